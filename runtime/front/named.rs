//! What both the library and what runs before it know of records, and of what was begun.

/// The directory of records in the cache.
pub const OPENED: &str = "opened";

/// A process 1 that was begun before the program's own beginning. All zeroes where none was.
#[repr(C)]
pub struct Begun {
    /// The control socket's descriptor, and one.
    pub control: i32,
    /// That of the process, and one.
    pub pidfd: i32,
    /// Where the record is of which it was begun, and how long. It stays.
    pub record: usize,
    pub length: usize,
}

/// The name of a record: sixteen digits. Two requests of one name share a record in turn, no more.
pub fn name(policy: &[u8], workspace: &[u8]) -> impl Iterator<Item = u8> {
    digits(hash(policy.iter().chain(&[0]).chain(workspace).map(|b| u64::from(*b))))
}

/// A record: the request and a line break; the sum of the rest; the answer and a line break; the steps for process 1.
pub struct Parts<'a> {
    #[allow(dead_code, reason = "looked at by the library alone")]
    pub answer: &'a [u8],
    pub steps: &'a [u8],
}

/// Length of a sum.
const SUM: usize = 16;

/// The parts of a record. What is damaged is none: walls are built from it.
pub fn parts(record: &[u8]) -> Option<Parts<'_>> {
    let after = |text: &'_ [u8]| text.iter().position(|b| *b == b'\n').map(|at| at + 1);
    let (said, rest) = record.get(after(record)?..)?.split_at_checked(SUM)?;
    if !sum(rest).eq(said.iter().copied()) {
        return None;
    }
    let end = after(rest)?;
    Some(Parts { answer: rest.get(..end)?, steps: rest.get(end..)? })
}

/// A sum of the rest of a record, against damage: who can write there can write programs too.
pub fn sum(rest: &[u8]) -> impl Iterator<Item = u8> {
    let words = rest.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, b)| *to = *b);
        u64::from_le_bytes(word)
    });
    digits(hash(words.chain(core::iter::once(rest.len() as u64))))
}

/// FNV-1a, of words, whose upper bits are moved down on the way.
fn hash(words: impl Iterator<Item = u64>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    words.fold(BASIS, |hash, word| (hash ^ word).wrapping_mul(PRIME).rotate_left(5))
}

fn digits(number: u64) -> impl Iterator<Item = u8> {
    (0..16).rev().map(move |i| {
        let digit = (number >> (4 * i)) as u8 & 0xf;
        if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }
    })
}
