//! The command line, as the program reads the usual ones (`shell/sbx/cli/exec/quick.rs`).

use crate::asking::Words;
use core::ffi::CStr;

/// A table of strings that ends with NULL.
#[derive(Clone, Copy)]
pub struct Strings(pub *const *const u8);

impl Iterator for Strings {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: not yet past the NULL; the kernel's strings end with NUL and stay.
        unsafe {
            let one = self.0.read();
            if one.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(one.cast()).to_bytes())
        }
    }
}

impl Strings {
    /// The value of a variable.
    pub fn value(mut self, name: &[u8]) -> Option<&'static [u8]> {
        self.find_map(|one| one.strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// `sbx exec`, with what is said of it.
pub struct Line {
    pub policy: Option<&'static [u8]>,
    pub workspace: Option<&'static [u8]>,
    pub words: Words<Strings>,
    /// Nothing is asked for but the output, and perhaps the changes in their place.
    pub is_plain: bool,
    /// Whether the changes are asked for.
    pub keeps_changes: bool,
}

const POLICY: &[u8] = b"--policy";
const WORKSPACE: &[u8] = b"--workspace";
const CHANGES: &[u8] = b"--changes";

impl Line {
    /// `None` for any other subcommand, and for what the program complains about or reads with its parser.
    pub fn read(mut arguments: Strings) -> Option<Line> {
        arguments.next()?;
        if arguments.next()? != b"exec" {
            return None;
        }
        let (mut policy, mut workspace, mut changes) = (None, None, None);
        let mut is_plain = true;
        let words = loop {
            let word = arguments.next()?;
            let (place, len) = match word {
                b"--" => break Words::Program(arguments),
                b"-c" => break Words::Script(said(arguments.next()?)?),
                b"--json" | b"--timings" => {
                    is_plain = false;
                    continue;
                }
                _ if word.starts_with(POLICY) => (&mut policy, POLICY.len()),
                _ if word.starts_with(WORKSPACE) => (&mut workspace, WORKSPACE.len()),
                _ if word.starts_with(CHANGES) => (&mut changes, CHANGES.len()),
                _ => return None,
            };
            let value = match word.get(len..)? {
                [] => arguments.next()?,
                [b'=', value @ ..] => value,
                _ => return None,
            };
            if place.replace(said(value)?).is_some() {
                return None;
            }
        };
        // Options may follow a script.
        if matches!(words, Words::Script(_)) && arguments.next().is_some() {
            return None;
        }
        is_plain &= matches!(changes, None | Some(b"commit" | b"discard"));
        Some(Line { policy, workspace, words, is_plain, keeps_changes: changes != Some(b"discard") })
    }
}

/// The value of an option, if the program does not complain about it.
fn said(value: &'static [u8]) -> Option<&'static [u8]> {
    (!matches!(value, [] | [b'-', ..])).then_some(value)
}
