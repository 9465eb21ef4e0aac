//! What both the library and what runs before it know of records, and of what was begun.

use crate::wire::{MAX_MISSING, READY_LEN};

/// The directory of records in the cache.
pub const OPENED: &str = "opened";

/// A process 1 that was begun before the program's own beginning. All zeroes where none was. Descriptors are noted with
/// one added to them.
#[repr(C)]
pub struct Begun {
    pub control: i32,
    pub pidfd: i32,
    /// Where the record is of which it was begun, and how long. It stays.
    pub record: usize,
    pub length: usize,
    /// 1 when the record is the request's, and its view was compared with the host.
    pub is_compared: u32,
    /// What process 1 has said when its walls stood: how many bytes, and descriptors.
    pub heard: u32,
    pub said: [u8; SAID],
    pub dirs: [i32; DIRS],
    /// The message by which it was asked for an action, and how long that is. It stays. 0 where it was not asked.
    pub message: usize,
    pub message_length: usize,
    /// Where that action's stdout and stderr can be read.
    pub outputs: [i32; 2],
}

#[allow(dead_code, reason = "the library finds it in memory")]
impl Begun {
    pub const NONE: Begun = Begun {
        control: 0,
        pidfd: 0,
        record: 0,
        length: 0,
        is_compared: 0,
        heard: 0,
        said: [0; SAID],
        dirs: [0; DIRS],
        message: 0,
        message_length: 0,
        outputs: [0; 2],
    };
}

/// Most bytes, and descriptors, of what process 1 says of its walls.
pub const SAID: usize = READY_LEN + 4 * MAX_MISSING;
pub const DIRS: usize = 4;

/// The name of a record: sixteen digits. Two requests of one name share a record in turn, no more.
pub fn name(policy: &[u8], workspace: &[u8]) -> impl Iterator<Item = u8> {
    digits(hash(policy.iter().chain(&[0]).chain(workspace).map(|b| u64::from(*b))))
}

/// A record: the request; the sum of the rest; how an action is asked for and finished; the answer; and the steps for
/// process 1. Each of them but the last comes after its length.
pub struct Parts<'a> {
    /// See `request.rs`.
    pub request: &'a [u8],
    /// See `asking.rs`. Empty where none may be asked for before the program itself.
    pub asking: &'a [u8],
    /// See `finishing.rs`. Empty where none may be finished so.
    #[allow(dead_code, reason = "looked at before the library alone")]
    pub finishing: &'a [u8],
    #[allow(dead_code, reason = "looked at by the library alone")]
    pub answer: &'a [u8],
    pub steps: &'a [u8],
}

/// Digits of a sum, and of a length.
const DIGITS: usize = 16;

/// The parts of a record. What is damaged is none: walls are built from it.
pub fn parts(record: &[u8]) -> Option<Parts<'_>> {
    let mut rest = record;
    let request = part(&mut rest)?;
    let (said, mut rest) = rest.split_at_checked(DIGITS)?;
    if !sum(rest).eq(said.iter().copied()) {
        return None;
    }
    let mut next = || part(&mut rest);
    let (asking, finishing, answer) = (next()?, next()?, next()?);
    Some(Parts { request, asking, finishing, answer, steps: rest })
}

/// What comes next, after its length.
fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (digits, after) = rest.split_at_checked(DIGITS)?;
    let length = digits.iter().try_fold(0usize, |sum, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(digit as usize)
    })?;
    let (one, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(one)
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

/// Sixteen digits, the highest first.
pub fn digits(number: u64) -> impl Iterator<Item = u8> {
    (0..16).rev().map(move |i| {
        let digit = (number >> (4 * i)) as u8 & 0xf;
        if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }
    })
}
