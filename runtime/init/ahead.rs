//! What this process 1 does between actions: when it has run one or two it becomes a bash, one that is loaded and linked and
//! stands before its `main`, and the next scripts are its forks: see `ahead/`.

use crate::action::{Between, Heard};
use crate::ending::Endings;
use crate::message::word;
use crate::signals::Signals;
use crate::start::Start;
use crate::steps::Ready;
use crate::sys::*;
use crate::wire::*;

/// How long nothing must be asked for until it becomes a bash, in milliseconds: a caller without a pause needs both
/// processors himself.
const PAUSE: i32 = 2;
/// Actions after which it is worth that even for such a caller.
const MANY: u32 = 2;

/// A process 1 that is no bash.
pub struct Plain {
    actions: u32,
    endings: Option<Endings>,
    may_become_bash: bool,
    /// What was not said yet.
    ready: Option<Ready>,
}

impl Plain {
    pub fn new(ready: Option<Ready>, endings: Option<Endings>) -> Plain {
        Plain { actions: 0, endings, may_become_bash: true, ready }
    }
}

impl Between for Plain {
    fn rest(&mut self) -> Option<Start> {
        let is_time = || self.actions >= MANY || !readable(FD_CONTROL, PAUSE);
        if self.may_become_bash && self.actions > 0 && is_time() {
            if let Some(endings) = self.endings {
                endings.pass_on();
            }
            // The control socket, the null device and the walls stay; everything else closes by itself.
            let argv = [
                BASH_NAME.as_ptr().cast::<u8>(),
                c"-c".as_ptr().cast(),
                BASH_FAILS.as_ptr().cast(),
                core::ptr::null(),
            ];
            let envp = [BASH_PRELOAD.as_ptr().cast::<u8>(), core::ptr::null()];
            syscall!(EXECVE, BASH.as_ptr(), argv.as_ptr(), envp.as_ptr());
            self.may_become_bash = false;
        }
        None
    }

    fn begun(&mut self) {
        if let Some(ready) = self.ready.take() {
            ready.send();
        }
    }

    fn listen(&mut self, _: &Signals, buffer: &mut [u8], fds: &mut Cmsg) -> Heard {
        let len = receive(FD_CONTROL, buffer, fds);
        self.actions += u32::from(word(buffer, 0) == MSG_RUN);
        Heard::Message(len)
    }
}
