//! The last call of a script: this library stands in for the C library's `exit`, so that process 1 hears of it early.

use crate::ending;
use crate::sys::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

const GETPID: usize = 39;

unsafe extern "C" {
    /// fflush(3).
    fn fflush(stream: *mut c_void) -> i32;
}

/// The C library's `exit`.
static REAL: AtomicUsize = AtomicUsize::new(0);
/// The process whose end is to be told. Its forks are others.
static SCRIPT: AtomicI32 = AtomicI32::new(0);

/// Notes the function that this library stands in for.
pub fn found(real: *mut c_void) {
    REAL.store(real as usize, Ordering::Relaxed);
}

/// Has the end of this process told.
pub fn will_tell() {
    SCRIPT.store(syscall!(GETPID) as i32, Ordering::Relaxed);
}

/// exit(3). What the process has written is on its way, and all its files are closed, before its end is told.
#[unsafe(no_mangle)]
extern "C" fn exit(status: i32) -> ! {
    let script = SCRIPT.load(Ordering::Relaxed);
    if script != 0 && syscall!(GETPID) as i32 == script {
        // SAFETY: NULL is every stream.
        unsafe { fflush(core::ptr::null_mut()) };
        syscall!(CLOSE_RANGE, 0, u32::MAX, 0);
        ending::tell(status);
    }
    let real = REAL.load(Ordering::Relaxed);
    if real == 0 {
        crate::sys::exit(status);
    }
    // SAFETY: the C library's function of that name, found before `main`.
    let real: extern "C" fn(i32) -> ! = unsafe { core::mem::transmute(real) };
    real(status)
}
