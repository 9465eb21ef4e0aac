//! `test` and `[`.

use super::Done;
use crate::shell::{Leave, Shell};

/// Expressions within brackets, at most.
const MAX_DEPTH: usize = 64;

struct Reader<'a> {
    shell: &'a mut Shell,
    who: &'a [u8],
    words: &'a [Vec<u8>],
    at: usize,
    depth: usize,
}

type Holds = Result<bool, Leave>;

pub(super) fn test(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut words = &argv[1..];
    if argv[0] == b"[" || argv[0].ends_with(b"/[") {
        match words.split_last() {
            Some((last, rest)) if last.as_slice() == b"]" => words = rest,
            _ => {
                shell.complain_as(b"[", "missing `]'");
                return Ok(2);
            }
        }
    }
    let mut reader = Reader { shell, who: &argv[0], words, at: 0, depth: 0 };
    match reader.whole() {
        Ok(holds) => Ok(i32::from(!holds)),
        Err(Leave::Discard) => Ok(2),
        Err(leave) => Err(leave),
    }
}

fn is_unary(word: &[u8]) -> bool {
    matches!(word, [b'-', letter] if b"abcdefghknoprstuvwxzGLNORS".contains(letter))
}

fn is_binary(word: &[u8]) -> bool {
    matches!(
        word,
        b"=" | b"=="
            | b"!="
            | b"<"
            | b">"
            | b"-eq"
            | b"-ne"
            | b"-lt"
            | b"-le"
            | b"-gt"
            | b"-ge"
            | b"-nt"
            | b"-ot"
            | b"-ef"
    )
}

impl Reader<'_> {
    fn fail(&mut self, what: Option<&[u8]>, why: &str) -> Leave {
        match what {
            Some(what) => self.shell.complain_about(self.who, what, why),
            None => self.shell.complain_as(self.who, why),
        }
        Leave::Discard
    }

    fn word(&self, at: usize) -> &[u8] {
        self.words.get(at).map_or(b"", Vec::as_slice)
    }

    /// The number of words tells what they mean, up to four; see POSIX.
    fn whole(&mut self) -> Holds {
        match self.words.len() {
            0 => Ok(false),
            1 => Ok(!self.word(0).is_empty()),
            2 => self.two(0),
            3 => self.three(0),
            4 if self.word(0) == b"!" => Ok(!self.three(1)?),
            4 if self.word(0) == b"(" && self.word(3) == b")" => self.two(1),
            _ => {
                let holds = self.or()?;
                if self.at < self.words.len() {
                    return Err(self.fail(None, "too many arguments"));
                }
                Ok(holds)
            }
        }
    }

    fn two(&mut self, at: usize) -> Holds {
        let first = self.word(at).to_vec();
        if first == b"!" {
            return Ok(self.word(at + 1).is_empty());
        }
        if is_unary(&first) {
            let text = self.word(at + 1).to_vec();
            return self.shell.unary_test(first[1], &text);
        }
        Err(self.fail(Some(&first), "unary operator expected"))
    }

    fn three(&mut self, at: usize) -> Holds {
        let op = self.word(at + 1).to_vec();
        if is_binary(&op) {
            return self.binary(at);
        }
        if op == b"-a" {
            return Ok(!self.word(at).is_empty() && !self.word(at + 2).is_empty());
        }
        if op == b"-o" {
            return Ok(!self.word(at).is_empty() || !self.word(at + 2).is_empty());
        }
        if self.word(at) == b"!" {
            return Ok(!self.two(at + 1)?);
        }
        if self.word(at) == b"(" && self.word(at + 2) == b")" {
            return Ok(!op.is_empty());
        }
        Err(self.fail(Some(&op), "binary operator expected"))
    }

    fn binary(&mut self, at: usize) -> Holds {
        let (left, op, right) =
            (self.word(at).to_vec(), self.word(at + 1).to_vec(), self.word(at + 2).to_vec());
        if op.len() == 3 && !matches!(op.as_slice(), b"-nt" | b"-ot" | b"-ef") {
            for side in [&left, &right] {
                let trimmed = side.trim_ascii();
                let digits = trimmed.strip_prefix(b"-").or(trimmed.strip_prefix(b"+")).unwrap_or(trimmed);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(self.fail(Some(side), "integer expression expected"));
                }
            }
        }
        self.shell.binary_test(&op, &left, &right, false)
    }

    fn or(&mut self) -> Holds {
        let mut holds = self.and()?;
        while self.word(self.at) == b"-o" {
            self.at += 1;
            let right = self.and()?;
            holds |= right;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Holds {
        let mut holds = self.term()?;
        while self.word(self.at) == b"-a" {
            self.at += 1;
            let right = self.term()?;
            holds &= right;
        }
        Ok(holds)
    }

    fn term(&mut self) -> Holds {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail(None, "too many arguments"));
        }
        let holds = self.term_inner();
        self.depth -= 1;
        holds
    }

    fn term_inner(&mut self) -> Holds {
        let left = self.words.len() - self.at.min(self.words.len());
        if left == 0 {
            return Err(self.fail(None, "argument expected"));
        }
        let first = self.word(self.at).to_vec();
        if left >= 3 && is_binary(self.word(self.at + 1)) {
            let at = self.at;
            self.at += 3;
            return self.binary(at);
        }
        if first == b"!" {
            self.at += 1;
            return Ok(!self.term()?);
        }
        if first == b"(" {
            self.at += 1;
            let holds = self.or()?;
            if self.word(self.at) != b")" {
                return Err(self.fail(None, "`)' expected"));
            }
            self.at += 1;
            return Ok(holds);
        }
        if is_unary(&first) && left >= 2 {
            let text = self.word(self.at + 1).to_vec();
            self.at += 2;
            return self.shell.unary_test(first[1], &text);
        }
        self.at += 1;
        Ok(!first.is_empty())
    }
}
