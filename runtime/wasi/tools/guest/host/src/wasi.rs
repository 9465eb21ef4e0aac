//! The imports of the module.

#![allow(unsafe_code)]

use crate::Stat;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::wasi::ffi::OsStrExt;
use std::os::wasi::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

#[link(wasm_import_module = "sbx")]
unsafe extern "C" {
    #[link_name = "spawn"]
    fn sbx_spawn(argv: *const u8, length: u32, input: u32, output: u32, error: u32) -> i32;
    #[link_name = "pipe"]
    fn sbx_pipe(descriptors: *mut u32) -> i32;
    #[link_name = "chmod"]
    fn sbx_chmod(path: *const u8, length: u32, mode: u32, follow: u32) -> i32;
    #[link_name = "mode"]
    fn sbx_mode(path: *const u8, length: u32, follow: u32) -> i32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn path_link(
        from_dir: i32,
        flags: i32,
        from: *const u8,
        from_length: u32,
        to_dir: i32,
        to: *const u8,
        to_length: u32,
    ) -> i32;
}

unsafe extern "C" {
    fn symlink(target: *const core::ffi::c_char, link: *const core::ffi::c_char) -> i32;
    fn __wasilibc_find_abspath(
        path: *const core::ffi::c_char,
        prefix: *mut *const core::ffi::c_char,
        rest: *mut *const core::ffi::c_char,
    ) -> i32;
}

pub(crate) fn stat(path: &Path, follow: bool) -> io::Result<Stat> {
    let meta = if follow { std::fs::metadata(path)? } else { std::fs::symlink_metadata(path)? };
    let kind = if meta.is_dir() {
        0o040_000
    } else if meta.file_type().is_symlink() {
        0o120_000
    } else if meta.is_file() {
        0o100_000
    } else {
        0o020_000
    };
    let bits = if kind == 0o120_000 { 0o777 } else { mode(path, follow)? };
    Ok(Stat {
        device: meta.dev(),
        inode: meta.ino(),
        links: meta.nlink(),
        size: meta.len(),
        modified: meta.modified()?,
        accessed: meta.accessed().or_else(|_| meta.modified())?,
        changed: meta.created().or_else(|_| meta.modified())?,
        mode: kind | bits,
        user: number("SBX_UID"),
        group: number("SBX_GID"),
        blocks: meta.len().div_ceil(4096) * 8,
    })
}

fn number(name: &str) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
}

pub(crate) fn spawn(argv: &[Vec<u8>], stdio: [u32; 3]) -> Option<i32> {
    let mut words = Vec::new();
    for word in argv {
        words.extend_from_slice(word);
        words.push(0);
    }
    // SAFETY: the host reads `length` bytes at the pointer during the call.
    let status = unsafe { sbx_spawn(words.as_ptr(), words.len() as u32, stdio[0], stdio[1], stdio[2]) };
    (status >= 0).then_some(status)
}

// The C library's own call keeps both paths in one buffer, so that the second is taken for both.
pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (CString::new(from.as_os_str().as_bytes())?, CString::new(to.as_os_str().as_bytes())?);
    let find = |path: &CString| {
        let (mut prefix, mut rest) = (core::ptr::null(), core::ptr::null());
        // SAFETY: the path is terminated and lives on; the two results point into it or into what never goes.
        let dir = unsafe { __wasilibc_find_abspath(path.as_ptr(), &mut prefix, &mut rest) };
        if dir < 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        // SAFETY: on success the rest is the terminated end of the path.
        let length = unsafe { core::ffi::CStr::from_ptr(rest) }.to_bytes().len() as u32;
        io::Result::Ok((dir, rest.cast::<u8>(), length))
    };
    let ((from_dir, from_rest, from_length), (to_dir, to_rest, to_length)) = (find(&from)?, find(&to)?);
    // SAFETY: the host reads both paths' bytes during the call; they live until its end.
    let errno = unsafe { path_link(from_dir, 0, from_rest, from_length, to_dir, to_rest, to_length) };
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// The number of an open file.
pub(crate) fn descriptor(file: &std::fs::File) -> u32 {
    use std::os::wasi::io::AsRawFd;
    file.as_raw_fd() as u32
}

pub(crate) fn pipe() -> io::Result<(u32, u32)> {
    let mut ends = [0u32; 2];
    // SAFETY: the host writes two numbers at the pointer during the call.
    let errno = unsafe { sbx_pipe(ends.as_mut_ptr()) };
    if errno == 0 { Ok((ends[0], ends[1])) } else { Err(io::Error::from_raw_os_error(errno)) }
}

pub(crate) fn file(descriptor: u32) -> std::fs::File {
    use std::os::wasi::io::FromRawFd;
    // SAFETY: the caller owns the descriptor, which the host made for it.
    unsafe { std::fs::File::from_raw_fd(descriptor as _) }
}

pub(crate) fn mode(path: &Path, follow: bool) -> io::Result<u32> {
    let bytes = absolute(path)?;
    // SAFETY: the host reads the path's bytes during the call.
    let mode = unsafe { sbx_mode(bytes.as_ptr(), bytes.len() as u32, u32::from(follow)) };
    if mode < 0 { Err(io::Error::from_raw_os_error(-mode)) } else { Ok(mode as u32 & 0o7777) }
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let bytes = absolute(path)?;
    // SAFETY: the host reads the path's bytes during the call.
    let errno = unsafe { sbx_chmod(bytes.as_ptr(), bytes.len() as u32, mode, 1) };
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

// The host knows the directory that the command started in, not where it went since.
fn absolute(path: &Path) -> io::Result<Vec<u8>> {
    let path = if path.is_absolute() { path.to_owned() } else { std::env::current_dir()?.join(path) };
    Ok(path.as_os_str().as_bytes().to_vec())
}

pub(crate) fn make_symlink(target: &Path, link: &Path) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    let link = CString::new(link.as_os_str().as_bytes())?;
    // SAFETY: both are terminated strings that live through the call.
    let result = unsafe { symlink(target.as_ptr(), link.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
