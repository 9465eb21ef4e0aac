//! The memory of process 1 lies beside its program, and it leaves the stack that the kernel gave it: memory in one place
//! takes four pages of page tables instead of eight, which every idle sandbox has.

use crate::action;
use crate::sys::{self, *};
use core::arch::asm;
use core::cell::UnsafeCell;

const PAGE: usize = 4096;
/// Bytes of its stack.
pub const STACK_LEN: usize = 64 << 10;
/// Where a file is mapped, if that is free.
const FILES: usize = 0x40_0000;
/// The end of what a process can have.
const END: usize = 0x7fff_ffff_f000;

#[repr(C, align(4096))]
pub struct Room<const LEN: usize>(UnsafeCell<[u8; LEN]>);

// SAFETY: only pointers to it are given away; each says who uses what lies there.
unsafe impl<const LEN: usize> Sync for Room<LEN> {}

impl<const LEN: usize> Room<LEN> {
    pub const fn new() -> Room<LEN> {
        Room(UnsafeCell::new([0; LEN]))
    }

    pub fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }

    /// Returns its pages, which are zeroes again.
    pub fn give_back(&self) {
        give_back(self.start() as usize, LEN);
    }
}

/// Its stack; `_start` knows it.
pub static STACK: Room<STACK_LEN> = Room::new();
/// The stack of its child until exec: one at a time.
pub static CHILD: Room<{ action::CHILD_STACK }> = Room::new();

/// Unmaps the stack that the kernel made, of which this is an address.
pub fn leave_stack(inside: usize) {
    /// More than the kernel maps below the first address, and less than it leaves free there.
    const BELOW: usize = 1 << 20;
    let start = (inside & !(PAGE - 1)) - BELOW;
    sys::unmap(start as *mut u8, END - start);
}

/// Returns the pages of the stack below that were touched before.
pub fn give_back_stack() {
    /// What a function may use below its stack's end (x86-64 psABI, 3.2.2).
    const RED_ZONE: usize = 128;
    let end: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) end, options(nomem, nostack, preserves_flags)) };
    let used = (end - RED_ZONE) & !(PAGE - 1);
    let start = STACK.start() as usize;
    give_back(start, used.saturating_sub(start));
}

fn give_back(start: usize, len: usize) {
    const MADV_DONTNEED: u32 = 4;
    syscall!(MADVISE, start, len, MADV_DONTNEED);
}

/// Unmaps what [`file`] has mapped. Nothing may point into it.
pub fn unmap(file: &'static [u8]) {
    sys::unmap(file.as_ptr().cast_mut(), file.len());
}

/// Maps a file privately.
pub fn file(fd: i32, len: usize) -> Result<*mut u8, i32> {
    sys::map_at(FILES, fd, len)
}
