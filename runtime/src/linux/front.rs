//! Where the program `sbx` is entered, when it is linked so (`shell/sbx/build.rs`): `front/` runs first, and then the C
//! library begins as if nothing had been. What was begun is here.

use crate::named::Begun;
use std::arch::global_asm;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

// The stack pointer and rdx belong to the C library's beginning. Weak, because a shared library has none.
global_asm!(
    ".pushsection .bss.sbx_begun, \"aw\", @nobits",
    ".globl sbx_begun",
    ".hidden sbx_begun",
    ".balign 8",
    "sbx_begun: .zero {size}",
    ".popsection",
    ".pushsection .text.sbx_entry, \"ax\", @progbits",
    ".weak _start",
    ".globl sbx_entry",
    "sbx_entry:",
    "mov rbx, rsp",
    "mov r12, rdx",
    "mov rdi, rsp",
    "lea rsi, [rip + sbx_begun]",
    "and rsp, -16",
    "call 2f",
    "mov rsp, rbx",
    "mov rdx, r12",
    "xor ebp, ebp",
    "jmp _start",
    ".balign 64",
    concat!("2: .incbin \"", env!("OUT_DIR"), "/front\""),
    ".popsection",
    size = const size_of::<Begun>(),
);

unsafe extern "C" {
    static mut sbx_begun: Begun;
}

/// A process 1 that was begun, by a record. Dropping it ends process 1.
#[derive(Debug)]
pub(crate) struct Started {
    pub control: OwnedFd,
    pub pidfd: OwnedFd,
    pub record: &'static [u8],
}

/// What was begun before the program, the first time that somebody asks.
pub(crate) fn take() -> Option<Started> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: written before the program began, and read once.
    let begun = unsafe { (&raw const sbx_begun).read() };
    if begun.control == 0 {
        return None;
    }
    // SAFETY: descriptors that were opened for this, and memory that was mapped and stays.
    unsafe {
        Some(Started {
            control: OwnedFd::from_raw_fd(begun.control - 1),
            pidfd: OwnedFd::from_raw_fd(begun.pidfd - 1),
            record: std::slice::from_raw_parts(begun.record as *const u8, begun.length),
        })
    }
}
