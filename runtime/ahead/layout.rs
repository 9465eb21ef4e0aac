//! What /proc shows of a program: its arguments and its environment.

use crate::start::Start;
use crate::sys::*;

const BRK: usize = 12;
/// Where the end of the heap is in [`Layout::program`].
const BRK_FIELD: usize = 5;

/// The addresses that the kernel keeps of a program, as prctl(2) wants them for `PR_SET_MM_MAP`.
#[repr(C)]
#[derive(Clone, Default)]
pub struct Layout {
    /// start_code, end_code, start_data, end_data, start_brk, brk, start_stack.
    program: [u64; 7],
    /// arg_start, arg_end, env_start, env_end.
    texts: [u64; 4],
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

impl Layout {
    /// Reads this process's from proc_pid_stat(5).
    pub fn of_self() -> Option<Layout> {
        let mut text = [0u8; 1024];
        let fd = open(c"/proc/self/stat", 0, 0).ok()?;
        let read = read_at(fd, &mut text);
        close(fd);
        read.ok()?;
        // The name, which may hold anything, ends with the last bracket.
        let start = text.iter().rposition(|b| *b == b')')? + 2;
        let number = |field: usize| -> Option<u64> {
            /// The number of the field after the name.
            const FIRST: usize = 3;
            let word = text.get(start..)?.split(|b| *b == b' ').nth(field - FIRST)?;
            word.iter().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b.wrapping_sub(b'0'))))
        };
        let program = [number(26)?, number(27)?, number(45)?, number(46)?, number(47)?, 0, number(28)?];
        Some(Layout { program, exe_fd: u32::MAX, ..Layout::default() })
    }

    /// Tells the kernel where the arguments and the environment are, for /proc. Where it cannot be told (Linux without
    /// checkpoints), the arguments shown are those of a bash without a script.
    pub fn tell(&self, start: &Start) {
        const PR_SET_MM: u32 = 35;
        const PR_SET_MM_MAP: u32 = 14;
        // SAFETY: both tables hold at least their NULL; the strings of one follow those of the other.
        let (arguments, environment) = unsafe { (start.argv.read(), start.envp.read()) };
        let environment = if environment.is_null() { start.end } else { environment };
        let texts = [arguments, environment, environment, start.end].map(|p| p as u64);
        // Whoever has run since may have more memory.
        let mut layout = Layout { texts, ..self.clone() };
        layout.program[BRK_FIELD] = syscall!(BRK, 0) as u64;
        syscall!(PRCTL, PR_SET_MM, PR_SET_MM_MAP, &raw const layout, size_of::<Layout>(), 0);
    }
}
