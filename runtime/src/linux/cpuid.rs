//! What the processor says of itself, and code that says it in its place: see `view/loader.rs`.

use std::arch::x86_64::__cpuid_count;
use std::arch::{asm, global_asm};

// The table's reader: as `cpuid`, for what is in the table that follows it. It changes no other register, and no flag.
global_asm!(
    ".pushsection .rodata.sbx_cpuid, \"a\", @progbits",
    ".globl sbx_cpuid_begin, sbx_cpuid_end",
    ".hidden sbx_cpuid_begin, sbx_cpuid_end",
    "sbx_cpuid_begin:",
    "pushfq",
    "push rsi",
    "lea rsi, [rip + sbx_cpuid_end]",
    "2: cmp dword ptr [rsi], -1",
    "je 5f",
    "cmp eax, [rsi]",
    "jne 4f",
    "cmp ecx, [rsi + 4]",
    "je 3f",
    "cmp dword ptr [rsi + 4], -1",
    "jne 4f",
    "3: mov eax, [rsi + 8]",
    "mov ebx, [rsi + 12]",
    "mov ecx, [rsi + 16]",
    "mov edx, [rsi + 20]",
    "jmp 6f",
    "4: add rsi, 24",
    "jmp 2b",
    "5: cpuid",
    "6: pop rsi",
    "popfq",
    "ret",
    ".balign 4",
    "sbx_cpuid_end:",
    ".popsection",
);

/// The code of the table's reader. It runs wherever it lies, before the table.
pub(crate) fn reader() -> &'static [u8] {
    let (begin, end): (*const u8, *const u8);
    // SAFETY: two addresses are taken.
    unsafe {
        asm!("lea {}, [rip + sbx_cpuid_begin]", "lea {}, [rip + sbx_cpuid_end]", out(reg) begin, out(reg) end,
             options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: both are labels of one section of constants, in this order.
    unsafe { std::slice::from_raw_parts(begin, end as usize - begin as usize) }
}

/// What the processor answers: eax, ebx, ecx, edx.
pub(crate) fn ask(leaf: u32, part: u32) -> [u32; 4] {
    // The instruction is there on every x86-64, and a leaf that is not known answers zeroes or another leaf.
    let answer = __cpuid_count(leaf, part);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}
