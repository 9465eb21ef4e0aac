//! Whether an action looks as if it changes files: then the program had better begin while it runs. A wrong guess costs
//! half a millisecond, no more.

use crate::asking::Words;
use crate::line::Strings;

/// Words of commands that do.
const CHANGE: &[u8] =
    b"tee touch mkdir rmdir mv cp rm ln git patch dd install truncate ed chmod mktemp mkfifo split csplit \
    tar unzip zip gzip gunzip rename -i";

/// Whether one of the words of a command line looks so.
pub fn may_change(words: &Words<Strings>) -> bool {
    match words {
        Words::Script(script) => looks_so(script),
        Words::Program(argv) => { *argv }.any(looks_so),
    }
}

fn looks_so(text: &[u8]) -> bool {
    let is_of_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let changes = |word: &[u8]| CHANGE.split(|b| *b == b' ').any(|known| !word.is_empty() && known == word);
    text.split(|b| !is_of_word(b)).any(changes) || writes(text)
}

/// Whether output goes to a file that is not the null device.
fn writes(text: &[u8]) -> bool {
    (0..text.len()).any(|at| {
        let rest = text.get(at..).and_then(|rest| rest.strip_prefix(b">"));
        rest.is_some_and(|rest| {
            let start = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
            let file = rest.get(start..).unwrap_or(&[]);
            !(file.starts_with(b"&") || file.starts_with(b"/dev/null"))
        })
    })
}
