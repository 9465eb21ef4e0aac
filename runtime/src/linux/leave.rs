//! Leaves the end of a sandbox to a process of its own: see `front/leave.rs`.

use crate::leave::{MOST_GROUPS, Rest, STACK, start as start_process};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Starts the process. What it needs is never freed. False when it could not be started.
pub(super) fn start(process1: &OwnedFd, groups: Vec<PathBuf>) -> bool {
    let mut paths = [std::ptr::null(); MOST_GROUPS];
    let groups = groups.into_iter().filter_map(|dir| CString::new(dir.into_os_string().into_vec()).ok());
    paths.iter_mut().zip(groups).for_each(|(path, dir)| *path = dir.into_raw().cast_const().cast());
    let rest: &'static Rest =
        Box::leak(Box::new(Rest { process1: process1.as_raw_fd(), kills: true, groups: paths }));
    let stack = Box::leak(Box::<[u8]>::new_uninit_slice(STACK));
    // SAFETY: both are leaked, and nobody else has them. The top is 16-byte aligned.
    unsafe {
        let top = stack.as_mut_ptr().cast::<u8>().add(STACK);
        start_process(&raw const *rest, top.sub(top as usize % 16))
    }
}
