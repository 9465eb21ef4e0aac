//! Writes one path's change as `git diff --binary --no-renames` writes it. Binary files are always whole literals, where
//! git may choose a delta.

use super::version::Version;
use imara_diff::{Algorithm, Diff, Hunk, InternedInput};
use std::io::Write;

/// Lines of context around a change.
const CONTEXT: u32 = 3;
/// Longest line after `@@ … @@`, in bytes.
const FUNCTION_BYTES: usize = 80;

/// Pairs of equal lines that one patch may compare; the time that Myers' algorithm takes grows with them. Two files of
/// 100,000 lines, each line one of fifty, have 200 million and take some seconds.
const MAX_PAIRS: u64 = 500_000_000;

/// A patch that is being written.
#[derive(Debug)]
pub(super) struct Patch {
    out: Vec<u8>,
    /// Pairs that may still be compared. Files beyond are replaced as a whole.
    pairs: u64,
    /// Whether files that are not UTF-8 are written as binary ones, so that the patch can be a text.
    is_utf8: bool,
}

impl Patch {
    pub(super) fn new(is_utf8: bool) -> Patch {
        Patch { out: Vec::new(), pairs: MAX_PAIRS, is_utf8 }
    }

    /// Appends what happened to one path.
    pub(super) fn add(&mut self, path: &[u8], old: Option<&Version>, new: Option<&Version>) {
        match (old, new) {
            (Some(old), Some(new)) if old.is_link() != new.is_link() => {
                // A file that became a link, or a link a file: git deletes one and adds the other.
                section(self, path, Some(old), None);
                section(self, path, None, Some(new));
            }
            (old, new) => section(self, path, old, new),
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

const NO_BLOB: &str = "0000000000000000000000000000000000000000";

fn section(patch: &mut Patch, path: &[u8], old: Option<&Version>, new: Option<&Version>) {
    let is_utf8 = patch.is_utf8;
    let out = &mut patch.out;
    let (a, b) = (quote(b"a/", path), quote(b"b/", path));
    line(out, &[b"diff --git ", &a, b" ", &b]);
    match (old, new) {
        (None, Some(new)) => line(out, &[b"new file mode ", new.mode().as_bytes()]),
        (Some(old), None) => line(out, &[b"deleted file mode ", old.mode().as_bytes()]),
        (Some(old), Some(new)) if old.mode() != new.mode() => {
            line(out, &[b"old mode ", old.mode().as_bytes()]);
            line(out, &[b"new mode ", new.mode().as_bytes()]);
        }
        _ => {}
    }
    let (before, after) = (old.and_then(Version::bytes), new.and_then(Version::bytes));
    let null = b"/dev/null".to_vec();
    let (from, to) = (if old.is_some() { a } else { null.clone() }, if new.is_some() { b } else { null });
    if (old.is_some() && before.is_none()) || (new.is_some() && after.is_none()) {
        // No index line: the names of blobs that were not read are not known.
        line(out, &[b"Binary files ", &from, b" and ", &to, b" differ"]);
        return;
    }
    if old.is_some() && new.is_some() && before == after {
        return;
    }
    let (old_hash, new_hash) = (hash(old), hash(new));
    let other = |bytes: Option<&[u8]>| is_utf8 && bytes.is_some_and(|b| str::from_utf8(b).is_err());
    let binary = old.is_some_and(Version::is_binary)
        || new.is_some_and(Version::is_binary)
        || other(before)
        || other(after);
    let abbreviated = if binary { 40 } else { 7 };
    let mut index = format!("index {}..{}", &old_hash[..abbreviated], &new_hash[..abbreviated]);
    if let (Some(old), Some(new)) = (old, new)
        && old.mode() == new.mode()
    {
        index = format!("{index} {}", new.mode());
    }
    line(out, &[index.as_bytes()]);
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    if binary {
        line(out, &[b"GIT binary patch"]);
        literal(out, after);
        literal(out, before);
    } else {
        text(patch, path, before, after, [&from, &to]);
    }
}

fn hash(version: Option<&Version>) -> String {
    version.map_or_else(|| NO_BLOB.to_string(), Version::hash)
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|p| out.extend(*p));
    out.push(b'\n');
}

/// A name as git writes it: in C quotes when it holds something unusual.
fn quote(prefix: &[u8], path: &[u8]) -> Vec<u8> {
    let plain = path.iter().all(|b| (0x20..0x7f).contains(b) && !matches!(b, b'"' | b'\\'));
    if plain {
        return [prefix, path].concat();
    }
    let mut out = b"\"".to_vec();
    for byte in [prefix, path].concat() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            0x0b => out.extend(b"\\v"),
            0x0c => out.extend(b"\\f"),
            0x20..0x7f => out.push(byte),
            _ => out.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    out.push(b'"');
    out
}

fn text(patch: &mut Patch, path: &[u8], before: &[u8], after: &[u8], [from, to]: [&[u8]; 2]) {
    let input = InternedInput::new(before, after);
    let hunks = hunks(&input, &mut patch.pairs);
    let out = &mut patch.out;
    let old: Vec<&[u8]> = input.before.iter().map(|t| input.interner[*t]).collect();
    let new: Vec<&[u8]> = input.after.iter().map(|t| input.interner[*t]).collect();
    // A name with a blank ends with a tab, so that patch(1) finds its end.
    let tab: &[u8] = if path.contains(&b' ') { b"\t" } else { b"" };
    if !hunks.is_empty() {
        line(out, &[b"--- ", from, if from == b"/dev/null" { b"" } else { tab }]);
        line(out, &[b"+++ ", to, if to == b"/dev/null" { b"" } else { tab }]);
    }
    // The function that a hunk lies in, and the line up to which it was looked for.
    let (mut at, mut looked, mut function) = (0, 0, &b""[..]);
    while at < hunks.len() {
        // Changes whose contexts touch share a hunk.
        let mut end = at + 1;
        while end < hunks.len() && hunks[end].before.start - hunks[end - 1].before.end <= 2 * CONTEXT {
            end += 1;
        }
        let group = &hunks[at..end];
        let (first, last) = (&group[0], &group[group.len() - 1]);
        let start = first.before.start.saturating_sub(CONTEXT);
        let lead = first.before.start - start;
        let new_start = first.after.start - lead;
        let stop = (last.before.end + CONTEXT).min(old.len() as u32);
        let new_stop = last.after.end + (stop - last.before.end);
        let header = format!("@@ -{} +{} @@", range(start, stop), range(new_start, new_stop));
        function = function_in(&old[looked..(start as usize).max(looked)]).unwrap_or(function);
        looked = looked.max(start as usize);
        line(out, &[header.as_bytes(), if function.is_empty() { b"" } else { b" " }, function]);
        let mut here = start;
        for hunk in group {
            lines(out, b' ', &old[here as usize..hunk.before.start as usize]);
            lines(out, b'-', &old[hunk.before.start as usize..hunk.before.end as usize]);
            lines(out, b'+', &new[hunk.after.start as usize..hunk.after.end as usize]);
            here = hunk.before.end;
        }
        lines(out, b' ', &old[here as usize..stop as usize]);
        at = end;
    }
}

/// Where the lines differ: as git finds it, or, beyond what may be compared, from the first to the last difference.
fn hunks(input: &InternedInput<&[u8]>, allowed: &mut u64) -> Vec<Hunk> {
    let (before, after) = (&input.before, &input.after);
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let most = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (ends, starts) = ([before.len() - tail, after.len() - tail], head as u32);
    let mut counts = vec![0u64; input.interner.num_tokens() as usize];
    before[head..ends[0]].iter().for_each(|token| counts[token.0 as usize] += 1);
    let pairs = after[head..ends[1]].iter().map(|token| counts[token.0 as usize]).sum::<u64>();
    let Some(rest) = allowed.checked_sub(pairs) else {
        return vec![Hunk { before: starts..ends[0] as u32, after: starts..ends[1] as u32 }];
    };
    *allowed = rest;
    let mut diff = Diff::compute(Algorithm::Myers, input);
    diff.postprocess_lines(input);
    diff.hunks().collect()
}

/// `start,count` from 1; an empty range names the line before it.
fn range(start: u32, end: u32) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        n => format!("{},{n}", start + 1),
    }
}

fn lines(out: &mut Vec<u8>, mark: u8, lines: &[&[u8]]) {
    for text in lines {
        out.push(mark);
        out.extend(*text);
        if text.last() != Some(&b'\n') {
            out.extend(b"\n\\ No newline at end of file\n");
        }
    }
}

/// The last of these lines that begins like a function: with a letter, `_` or `$`.
fn function_in<'a>(lines: &[&'a [u8]]) -> Option<&'a [u8]> {
    let starts = |l: &&&[u8]| l.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$'));
    let found = lines.iter().rev().find(starts)?;
    Some(found[..found.len().min(FUNCTION_BYTES)].trim_ascii_end())
}

/// A blob, deflated and in git's base 85, 52 bytes a line.
fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 85] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    line(out, &[format!("literal {}", bytes.len()).as_bytes()]);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory does not fail.
    let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
    for chunk in deflated.chunks(52) {
        let length = u8::try_from(chunk.len()).unwrap_or(52);
        out.push(if length <= 26 { b'A' + length - 1 } else { b'a' + length - 27 });
        for group in chunk.chunks(4) {
            let mut word = [0; 4];
            word[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(word);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = ALPHABET[(value % 85) as usize];
                value /= 85;
            }
            out.extend(digits);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_what_may_be_compared_a_file_is_replaced_from_the_first_to_the_last_difference() {
        let input = InternedInput::new(&b"a\nx\nx\nx\nb\n"[..], &b"a\nx\ny\nx\nx\nz\nb\n"[..]);
        let (mut much, mut little) = (100, 3);
        assert_eq!(hunks(&input, &mut much).len(), 2);
        assert_eq!(hunks(&input, &mut little), [Hunk { before: 2..4, after: 2..6 }]);
        assert_eq!((much, little), (96, 3));
    }
}
