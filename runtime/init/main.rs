//! Process 1 of a sandbox: a static program without the standard library.
//!
//! It is started inside fresh namespaces, gets a plan, carries it out step by step, puts every wall around *itself*, and
//! then starts one action after the other on request of the library, so an action inherits all
//! walls by fork and exec. It allocates nothing, knows no policy, and decides nothing: what to do is in the plan.
//! A sandbox that is used for several scripts gets a process 1 that is a loaded bash: see `ahead/`.
//! When the control socket closes it exits, and the kernel kills all that is left in the PID namespace with it.
#![no_std]
#![no_main]

#[path = "../src/linux/wire.rs"]
#[allow(dead_code, reason = "each side of the wire uses its half")]
mod wire;

#[allow(dead_code, reason = "the bash that it becomes uses the rest")]
mod action;
mod ahead;
mod ending;
mod mem;
mod message;
mod network;
mod place;
mod room;
mod signals;
#[allow(dead_code, reason = "the bash that it becomes uses the rest")]
mod start;
mod steps;
#[allow(dead_code, reason = "the bash that it becomes uses the rest")]
mod sys;
mod text;
mod used;
mod victim;

use message::{put, word};
use network::Network;
use sys::{Cmsg, exit};
use wire::*;

/// Milliseconds without an action after which a sandbox is idle.
const SHORT: i32 = 1;

/// What the kernel left on the stack is not needed: no arguments, no environment.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!(
        "xor ebp, ebp", "mov rdi, rsp", "lea rsp, [rip + {stack} + {len}]", "call {main}", "ud2",
        stack = sym room::STACK, len = const room::STACK_LEN, main = sym main
    )
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(97)
}

extern "C" fn main(stack: usize) -> ! {
    sys::block_signals();
    sys::default_signals();
    sys::setsid();
    sys::name(c"sbx-init");
    victim::open_file();
    let mut buffer = [0u8; 64];
    let mut fds = Cmsg::new();
    let mut hear = |buffer: &mut [u8; 64]| {
        if sys::receive(FD_CONTROL, buffer, &mut fds) < GO_LEN as isize || word(buffer, 0) != MSG_GO {
            exit(96);
        }
    };
    let network = if sys::readable(FD_CONTROL, 0) {
        hear(&mut buffer);
        if word(&buffer, 4) & GO_AWAITED != 0 { Network::elsewhere() } else { Ok(Network::NotYet) }
    } else {
        // There is nothing else to do yet.
        let network = Network::now();
        hear(&mut buffer);
        network
    };
    let (ready, endings) = match steps::build(fds.fds(), network) {
        Ok(ready) if word(&buffer, 4) & GO_ASKED != 0 => {
            let endings = ready.endings;
            (Some(ready), endings)
        }
        Ok(ready) => {
            let endings = ready.endings;
            let plan = ready.send();
            // Who acts at once need not wait for that. An idle sandbox is small.
            if !sys::readable(FD_CONTROL, SHORT) {
                room::unmap(plan);
                room::leave_stack(stack);
                room::give_back_stack();
                room::CHILD.give_back();
            }
            (None, endings)
        }
        Err((step, errno)) => {
            let mut m = [0u8; 12];
            put(&mut m, 0, MSG_FAILED);
            put(&mut m, 4, step);
            put(&mut m, 8, errno as u32);
            sys::send(FD_CONTROL, &m, &[]);
            exit(95)
        }
    };
    sys::syscall!(sys::UMASK, 0o022);
    // Only a process that is an action comes back, and this program never is one.
    action::serve(&mut ahead::Plain::new(ready, endings), room::CHILD.start(), endings);
    exit(92)
}

/// The precompiled `core` names it in its unwind tables; nothing here unwinds (`panic=abort`).
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
