//! One persistent bash: how scripts get in, and how their end is known.
//!
//! Bash reads its commands from a socket, while what it runs has the terminal: nothing that a script prints can be taken
//! for its end, and no echo or prompt gets into an output. The end is said twice, with a number that changes with every
//! script: on the terminal, because only that is in order with the output, and on the socket, with the exit status.

use super::terminal::Terminal;
use crate::sandbox::Sandbox;
use crate::{Action, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Said first: the terminal is kept, whatever a script does to the other descriptors; no prompts, no history, no `!`;
/// and a way to set `$?` without starting a process.
const PRELUDE: &str = "exec 63>&1; PS1= PS2= PROMPT_COMMAND=; unset HISTFILE; set +o history +H; \
                       __sbx() { return \"$1\"; }";

/// Said after a script: what its status was.
const STATUS: &str = "__sbx_status=$?; ";

/// Time that the rest of a script's output may take to come, when bash has said that the script is over.
const REST: Duration = Duration::from_secs(1);

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The script has ended.
    Ended,
    /// Bash itself has ended, with this wait status.
    Gone(u32),
    /// The time is over.
    Late,
    /// Nothing was written for as long as was asked.
    Quiet,
    /// It has written more than was asked for.
    TooMuch,
}

/// When a wait ends at the latest.
#[derive(Clone, Copy)]
pub(super) struct Until {
    pub deadline: Instant,
    pub quiet: Option<Duration>,
    /// Bytes of output.
    pub most: u64,
}

/// One persistent bash.
#[derive(Debug)]
pub(super) struct Bash {
    pub terminal: Terminal,
    line: OwnedFd,
    /// What bash has yet to take.
    feed: Vec<u8>,
    fed: usize,
    /// What follows when bash has answered once and twice: bytes for a command of ours, and the end.
    later: VecDeque<Vec<u8>>,
    /// From the terminal: not yet known to be output or the sign of the end.
    pending: Vec<u8>,
    /// From the socket: what a command of ours sent, then the sign, status and directory.
    heard: Vec<u8>,
    /// The sign of the end, and whether it came on the terminal.
    sign: Vec<u8>,
    signed: bool,
    /// Whether something runs.
    pub busy: bool,
    /// Exit status of the last script, and bash's directory after it.
    pub status: i32,
    pub cwd: Vec<u8>,
}

impl Bash {
    pub(super) fn start(sandbox: &mut Sandbox, env: &[(&str, &str)]) -> Result<Bash, Error> {
        let system = |e| Error::system("a terminal for bash", e);
        let (terminal, theirs) = Terminal::open().map_err(system)?;
        let (line, commands) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(|e| system(e.into()))?;
        let errors = theirs.try_clone().map_err(system)?;
        let mut action = Action::interactive().stdin_from(commands).output_to(theirs, errors);
        for (key, value) in env {
            action = action.env(key, value);
        }
        sandbox.launch(&action)?;
        let mut bash = Bash {
            terminal,
            line,
            feed: Vec::new(),
            fed: 0,
            later: VecDeque::new(),
            pending: Vec::new(),
            heard: Vec::new(),
            sign: Vec::new(),
            signed: false,
            busy: false,
            status: 0,
            cwd: Vec::new(),
        };
        bash.say(PRELUDE.as_bytes(), STATUS, None);
        Ok(bash)
    }

    /// Gives bash a script to run, with the terminal as its stdin.
    pub(super) fn run(&mut self, script: &[u8]) {
        // A program that ended badly may have left the terminal in a state of its own.
        let _ = self.terminal.restore();
        let mut line = format!("__sbx {}; eval ", self.status).into_bytes();
        quote(script, &mut line);
        line.extend(b" <&63 63>&-");
        self.say(&line, STATUS, None);
    }

    /// Gives bash a command of ours, which has the socket as stdin and may write to it. With `bytes` it writes one byte
    /// when it is about to read them, and another when it has read all: bash itself reads ahead.
    pub(super) fn run_ours(&mut self, command: &[u8], bytes: Option<&[u8]>) {
        // As a condition: after `set -e` a command of ours that fails would end bash.
        let line = [b"if ", command, b"; then __sbx_status=0; else __sbx_status=$?; fi"].concat();
        self.say(&line, "", bytes);
    }

    fn say(&mut self, line: &[u8], then: &str, bytes: Option<&[u8]>) {
        let number = format!("{:016x}", RandomState::new().build_hasher().finish());
        self.sign = format!("\0{number}\0").into_bytes();
        (self.signed, self.busy) = (false, true);
        self.heard.clear();
        self.feed.extend_from_slice(line);
        self.feed.push(b'\n');
        let end = format!(
            "{{ {then}builtin printf '\\000{number}\\000' >&63; \
             builtin printf '\\000{number}\\000%s\\000%s\\000' \"$__sbx_status\" \"$PWD\" >&0; \
             __sbx_said={number}; }} 2>/dev/null"
        );
        // An empty line first: after an open quote bash's parser takes what follows for a part of it. A Ctrl-C that bash takes
        // itself, when it has read on already, costs it a line or a command: the end is said again where it was not.
        let end = format!("\n\n\n{end}\ncase ${{__sbx_said-}} in {number}) ;; *) {end};; esac\n");
        match bytes {
            None => self.feed.extend(end.bytes()),
            Some(bytes) => self.later = [bytes.to_vec(), end.into_bytes()].into(),
        }
        self.give();
    }

    /// Gives bash what it can take now; the rest is for the next wait.
    fn give(&mut self) {
        while self.fed < self.feed.len() {
            match send(self.line.as_fd(), &self.feed[self.fed..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => self.fed += n,
                Err(Errno::INTR) => {}
                // A bash that is gone is told by process 1.
                Err(_) => break,
            }
        }
        if self.fed == self.feed.len() {
            self.feed.clear();
            self.fed = 0;
        }
    }

    /// Waits, and hands on what is written to the terminal. What has happened already is found, however late it is.
    pub(super) fn wait(
        &mut self,
        sandbox: &Sandbox,
        until: Until,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<Heard, Error> {
        let mut last = Instant::now();
        let mut written = 0u64;
        loop {
            let now = Instant::now();
            // The terminal hands the end of a long output on after the socket has told of it.
            let rest = if now >= until.deadline && self.is_said() { REST } else { Duration::ZERO };
            let left = (until.deadline + rest).saturating_duration_since(now);
            let silence = until.quiet.map(|quiet| (last + quiet).saturating_duration_since(now));
            let gone = self.poll(sandbox, silence.map_or(left, |silence| silence.min(left)))?;
            let before = written;
            self.read_terminal(&mut |bytes| {
                written += bytes.len() as u64;
                seen(bytes);
            });
            if written > before {
                last = Instant::now();
            }
            if gone {
                let done = sandbox.ended()?;
                self.busy = false;
                return Ok(Heard::Gone(done));
            }
            self.read_line()?;
            if self.signed && self.take_end() {
                self.busy = false;
                return Ok(Heard::Ended);
            }
            if written > until.most {
                return Ok(Heard::TooMuch);
            }
            if left.is_zero() && !(rest.is_zero() && self.is_said()) {
                // Ctrl-C drops what the terminal has not handed on, and the sign with it.
                if self.is_said() && self.take_end() {
                    self.busy = false;
                    return Ok(Heard::Ended);
                }
                return Ok(Heard::Late);
            }
            if silence == Some(Duration::ZERO) && written == before {
                return Ok(Heard::Quiet);
            }
        }
    }

    /// Waits for something to do, and feeds bash; true when process 1 has something to say: bash has ended.
    fn poll(&mut self, sandbox: &Sandbox, time: Duration) -> Result<bool, Error> {
        let out = if self.fed < self.feed.len() { PollFlags::OUT } else { PollFlags::empty() };
        let mut fds = [
            PollFd::from_borrowed_fd(sandbox.control_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.terminal.fd(), PollFlags::IN),
            PollFd::new(&self.line, PollFlags::IN | out),
        ];
        let wait = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) };
        match poll(&mut fds, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::system("waiting for bash", e)),
        }
        let gone = !fds[0].revents().is_empty();
        self.give();
        Ok(gone)
    }

    /// Reads what is on the terminal; all but the sign of the end, or what may become one, is output.
    fn read_terminal(&mut self, seen: &mut dyn FnMut(&[u8])) {
        /// Most reads in one turn, so that a flood cannot keep the clock from being looked at.
        const READS: usize = 16;
        let mut buffer = [0u8; 16 << 10];
        for _ in 0..READS {
            match rustix::io::read(self.terminal.fd(), &mut buffer) {
                Ok(n) if n > 0 => self.pending.extend_from_slice(&buffer[..n]),
                Err(Errno::INTR) => continue,
                // Nothing there, or nobody has the other end any more.
                _ => break,
            }
        }
        while let Some(at) = find(&self.pending, &self.sign) {
            self.pending.drain(at..at + self.sign.len());
            self.signed = true;
        }
        let held = if self.signed { 0 } else { beginning(&self.pending, &self.sign) };
        let output = self.pending.len() - held;
        if output > 0 {
            seen(&self.pending[..output]);
            self.pending.drain(..output);
        }
    }

    fn read_line(&mut self) -> Result<(), Error> {
        let mut buffer = [0u8; 64 << 10];
        loop {
            match recv(self.line.as_fd(), &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(()),
                Ok((n, _)) => {
                    for byte in &buffer[..n.min(buffer.len())] {
                        match self.later.pop_front() {
                            Some(next) => self.feed.extend(next),
                            None => self.heard.push(*byte),
                        }
                    }
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(Error::system("listening to bash", e)),
            }
        }
    }

    /// Whether bash has said the end on the socket.
    fn is_said(&self) -> bool {
        find(&self.heard, &self.sign).is_some()
    }

    /// Takes status and directory off the end of what was heard; what was before them stays.
    fn take_end(&mut self) -> bool {
        let Some(at) = find(&self.heard, &self.sign) else { return false };
        let words = self.heard.split_off(at).split_off(self.sign.len());
        let mut words = words.split(|b| *b == 0);
        let (status, cwd) = (words.next(), words.next());
        if words.next().is_none() {
            // The rest is on its way.
            let mut again = self.sign.clone();
            again.extend(status.unwrap_or_default());
            if let Some(cwd) = cwd {
                again.push(0);
                again.extend(cwd);
            }
            self.heard.extend(again);
            return false;
        }
        self.status = status.and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(self.status);
        self.cwd = cwd.unwrap_or_default().to_vec();
        true
    }

    /// What a command of ours wrote to the socket.
    pub(super) fn take_heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }
}

/// Quotes a word for bash.
pub(super) fn quote(word: &[u8], line: &mut Vec<u8>) {
    line.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => line.extend(b"'\\''"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\'');
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// Length of the longest end of `bytes` that is a beginning of `what`.
fn beginning(bytes: &[u8], what: &[u8]) -> usize {
    (1..what.len().min(bytes.len() + 1)).rev().find(|n| bytes.ends_with(&what[..*n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_sign_is_held_back() {
        for (bytes, held) in
            [(&b"abc"[..], 0), (b"ab\0", 1), (b"\0x", 2), (b"\0y", 0), (b"\0x\0", 1), (b"", 0)]
        {
            assert_eq!(beginning(bytes, b"\0xy\0"), held, "{bytes:?}");
        }
    }

    #[test]
    fn words_are_quoted_for_bash() {
        let mut line = Vec::new();
        quote(b"it's \"$HOME\" \\", &mut line);
        assert_eq!(line, br#"'it'\''s "$HOME" \'"#);
    }
}
