//! Where the program `sbx` is entered, when it is linked so (`shell/sbx/build.rs`): `front/` runs first, and then the C
//! library begins as if nothing had been. What was begun is here.

use super::cgroup::Cgroup;
use super::enter::Init;
use crate::asking::Asking;
use crate::named::{Begun, parts};
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
    concat!("2: .incbin \"", env!("OUT_DIR"), "/front\" # ", env!("SBX_FRONT_SUM")),
    ".popsection",
    size = const size_of::<Begun>(),
);

unsafe extern "C" {
    static mut sbx_begun: Begun;
}

/// A process 1 that was begun, by a record. Dropping it ends process 1.
#[derive(Debug)]
pub(crate) struct Started {
    // Dropped in this order, as in a sandbox.
    pub control: OwnedFd,
    pub init: Init,
    /// Made for what was asked for.
    pub group: Option<Cgroup>,
    pub asked: Option<Asked>,
    /// What process 1 has said already.
    pub heard: Option<Heard>,
    /// The request and the view were compared.
    pub is_compared: bool,
    pub record: &'static [u8],
}

/// A message of process 1, and the descriptors that came with it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub said: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

/// An action that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub message: &'static [u8],
    /// Its stdout and stderr.
    pub outputs: [OwnedFd; 2],
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
    // SAFETY: descriptors that were opened for this, each one less than what was noted.
    let descriptor = |noted: i32| unsafe { OwnedFd::from_raw_fd(noted - 1) };
    // SAFETY: memory that was mapped and stays.
    let bytes = |at: usize, length| unsafe { std::slice::from_raw_parts(at as *const u8, length) };
    let record = bytes(begun.record, begun.length);
    let asked = (begun.message != 0).then(|| Asked {
        message: bytes(begun.message, begun.message_length),
        outputs: begun.outputs.map(descriptor),
    });
    let heard = (begun.heard != 0).then(|| Heard {
        said: begun.said.get(..begun.heard as usize).unwrap_or(&[]).to_vec(),
        fds: begun.dirs.into_iter().filter(|fd| *fd > 0).map(descriptor).collect(),
    });
    let asking = || Asking::read(parts(record)?.asking);
    let group = asked.as_ref().and_then(|_| Some(Cgroup::begun(asking()?.groups())));
    Some(Started {
        control: descriptor(begun.control),
        init: Init::of(descriptor(begun.pidfd)),
        group: group.filter(|group| group.dirs().next().is_some()),
        asked,
        heard,
        is_compared: begun.is_compared != 0,
        record,
    })
}
