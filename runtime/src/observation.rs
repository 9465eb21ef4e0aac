//! All that is known after an action.

use serde::Serialize;
use std::time::Duration;

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It exited by itself; `exit_code` is its status.
    Exited,
    /// A signal ended it; `exit_code` is 128 + n.
    Signaled,
    /// The wall time was over; `exit_code` is 124.
    TimedOut,
    /// The policy refused it before it ran; `exit_code` is 126.
    Refused,
    /// The memory limit ended it; `exit_code` is that of the killed process, usually 137.
    OutOfMemory,
    /// It wrote more output than anybody would read and was killed; `exit_code` is 137.
    OutputLimit,
    /// It was [cancelled](crate::Cancel) by whoever started it; `exit_code` is 143.
    Cancelled,
}

/// One of an action's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// A command or access that was refused, for the agent and its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The program or path.
    pub what: String,
    /// The policy's key that decided: `commands.allow`, `refuse`, …
    pub rule: String,
    /// What is allowed instead, in at most three lines.
    pub hint: String,
}

/// One output stream: its head and its tail, and how much lay between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: std::collections::VecDeque<u8>,
    pub(crate) half: usize,
    pub(crate) total: u64,
}

impl Output {
    /// Keeps at most `limit` bytes: half from the head, half from the tail.
    pub fn with_limit(limit: u64) -> Output {
        let half = usize::try_from(limit / 2).unwrap_or(usize::MAX).max(1);
        Output { half, ..Output::default() }
    }

    /// Makes an output of these bytes, all kept.
    pub fn whole(bytes: impl Into<Vec<u8>>) -> Output {
        let head = bytes.into();
        Output { total: head.len() as u64, half: head.len(), head, tail: std::collections::VecDeque::new() }
    }

    /// Adds what was written.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.half - self.head.len().min(self.half);
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
    }

    /// Bytes that were written in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes between head and tail that were not kept.
    pub fn omitted(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// The kept bytes: head, then tail.
    pub fn bytes(&self) -> Vec<u8> {
        let (a, b) = self.tail.as_slices();
        [&self.head, a, b].concat()
    }

    /// The kept text: invalid UTF-8 replaced, and a line that says how much is missing where something is.
    pub fn text(&self) -> String {
        if self.omitted() == 0 {
            return String::from_utf8_lossy(&self.bytes()).into_owned();
        }
        let (a, b) = self.tail.as_slices();
        let tail = [a, b].concat();
        // A cut inside a character belongs to the omission, not to the text.
        let head_end = (0..4).map(|n| self.head.len().saturating_sub(n)).find(|end| {
            std::str::from_utf8(&self.head[..*end]).map_or_else(|e| e.error_len().is_some(), |_| true)
        });
        let tail_start = tail.iter().take(3).take_while(|b| (**b & 0xc0) == 0x80).count();
        format!(
            "{}\n[... {} bytes omitted ...]\n{}",
            String::from_utf8_lossy(&self.head[..head_end.unwrap_or(self.head.len())]),
            self.omitted(),
            String::from_utf8_lossy(&tail[tail_start..])
        )
    }
}

/// All that is known after an action.
#[derive(Clone, Debug)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// Its exit status: 0–255, 128 + n for signal n, 124 for a time-out, 126 refused or not executable, 127 not found.
    pub exit_code: i32,
    /// What it wrote to stdout.
    pub stdout: Output,
    /// What it wrote to stderr.
    pub stderr: Output,
    /// Wall time.
    pub wall: Duration,
    /// CPU time of all its processes, user and system.
    pub cpu: Duration,
    /// Peak resident memory of its largest process so far in this sandbox, in bytes.
    pub max_rss_bytes: u64,
    /// Limits that fired: `time`, `memory`, `output`, `processes`, `workspace`.
    pub limits_hit: Vec<String>,
    /// What was refused.
    pub denied: Vec<Denied>,
    /// Walls that stood: `user`, `mount`, `landlock:7`, …
    pub enforced: Vec<String>,
    /// Walls that the policy asks for and this host could not raise.
    pub missing: Vec<String>,
    /// Processes that were still running when the action ended, and were killed.
    pub killed: u32,
}

impl Observation {
    /// Whether it exited with status 0.
    pub fn success(&self) -> bool {
        self.outcome == Outcome::Exited && self.exit_code == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_and_the_middle_is_counted() {
        let mut output = Output::with_limit(10);
        for chunk in [&b"0123"[..], b"45678", b"9abcdefghijk", b"XYZ"] {
            output.push(chunk);
        }
        assert_eq!(output.bytes(), b"01234jkXYZ");
        assert_eq!(output.omitted(), 14);
        assert_eq!(output.text(), "01234\n[... 14 bytes omitted ...]\njkXYZ");
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let mut output = Output::with_limit(6);
        output.push("aéééééb".as_bytes());
        assert!(!output.text().contains('\u{fffd}'), "{:?}", output.text());
    }

    #[test]
    fn short_output_is_whole() {
        let mut output = Output::with_limit(10);
        output.push(b"0123456789");
        assert_eq!((output.bytes(), output.omitted()), (b"0123456789".to_vec(), 0));
    }
}
