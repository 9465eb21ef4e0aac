//! What a record says of finishing an action before the program itself: three numbers and two truth values, and strings, each
//! with its NUL.

use crate::asking::string;

/// What has to be looked at, and what an action must not be.
pub struct Finishing<'a> {
    /// Inode of the view's record, and its change time in seconds and nanoseconds.
    pub record_is: [i64; 3],
    /// Whether the first writable area is what changes of the workspace.
    pub can_change: bool,
    /// Whether an action may reach something outside of its sandbox.
    pub reaches_out: bool,
    /// The view's directory in the cache, its lock, and its record. Each ends with NUL.
    pub tree: &'a [u8],
    pub lock: &'a [u8],
    pub record: &'a [u8],
    words: &'a [u8],
}

/// Bytes of the numbers.
const HEAD: usize = 3 * 8 + 2;

impl<'a> Finishing<'a> {
    /// `None` for what is damaged, or says that nothing may be finished.
    pub fn read(bytes: &'a [u8]) -> Option<Finishing<'a>> {
        let (head, mut rest) = bytes.split_at_checked(HEAD)?;
        let mut numbers = head.as_chunks::<8>().0.iter().map(|bytes| i64::from_ne_bytes(*bytes));
        let record_is = [numbers.next()?, numbers.next()?, numbers.next()?];
        let [.., can_change, reaches_out] = head else { return None };
        let (can_change, reaches_out) = (*can_change != 0, *reaches_out != 0);
        let mut next = || {
            let before = rest;
            let len = string(&mut rest)?.len();
            before.get(..=len)
        };
        let (tree, lock, record) = (next()?, next()?, next()?);
        Some(Finishing { record_is, can_change, reaches_out, tree, lock, record, words: rest })
    }

    /// Whether the policy's rules may refuse a command with such a word: each rule has a word here that its commands
    /// contain, and quotes may stand in the midst of a word.
    pub fn may_refuse(&self, text: &[u8]) -> bool {
        let mut rest = self.words;
        core::iter::from_fn(|| string(&mut rest)).any(|word| contains(text, word))
    }
}

/// Whether a text contains a word, whatever quotes are in it.
fn contains(text: &[u8], word: &[u8]) -> bool {
    let is_quote = |b: &u8| matches!(b, b'\'' | b'"' | b'\\' | b'$' | b'\n');
    (0..text.len()).any(|at| {
        let mut letters = text.iter().skip(at).filter(|b| !is_quote(b));
        word.iter().filter(|b| !is_quote(b)).all(|b| letters.next() == Some(b))
    })
}
