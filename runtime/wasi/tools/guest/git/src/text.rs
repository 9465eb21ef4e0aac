//! Texts compared by line: hunks with context.

use imara_diff::{Algorithm, Diff, InternedInput};
use std::borrow::Cow;

/// How lines are compared and shown.
#[derive(Clone)]
pub struct Lines {
    /// Lines of context.
    pub context: u32,
    /// Lines between hunks that are shown rather than left out.
    pub inter_hunk: u32,
    /// How they are compared.
    pub algorithm: Algorithm,
    /// What space is not looked at.
    pub ignore: Space,
    /// Changes of blank lines are none.
    pub blank_lines: bool,
    /// Hunks slide to where the indentation is least.
    pub indent: bool,
    /// Upper and lower case are one.
    pub fold: bool,
}

/// What space is not looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// All is looked at.
    None,
    /// Not at the ends of lines.
    AtEnd,
    /// Not how much there is.
    Amount,
    /// None is looked at.
    All,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines {
            context: 3,
            inter_hunk: 0,
            algorithm: Algorithm::Myers,
            ignore: Space::None,
            blank_lines: false,
            indent: true,
            fold: false,
        }
    }
}

/// A stretch of lines that was replaced: start and end in the old and the new text, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In the old text.
    pub old: (usize, usize),
    /// In the new text.
    pub new: (usize, usize),
}

/// Splits a text into lines with their newlines.
pub fn split(data: &[u8]) -> Vec<&[u8]> {
    data.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Whether a content is not text: a zero byte near its start.
pub fn is_binary(data: &[u8]) -> bool {
    data[..data.len().min(8000)].contains(&0)
}

fn key(line: &[u8], ignore: Space, fold: bool) -> Cow<'_, [u8]> {
    if fold {
        return Cow::Owned(key(line, ignore, false).to_ascii_lowercase());
    }
    match ignore {
        Space::None => Cow::Borrowed(line),
        Space::AtEnd => Cow::Borrowed(line.trim_ascii_end()),
        Space::All => Cow::Owned(line.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()),
        Space::Amount => {
            let mut out = Vec::new();
            for byte in line.trim_ascii_end() {
                if !byte.is_ascii_whitespace() {
                    out.push(*byte);
                } else if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            Cow::Owned(out)
        }
    }
}

/// Compares two texts.
pub fn edits(old: &[&[u8]], new: &[&[u8]], how: &Lines) -> Vec<Edit> {
    let mut input: InternedInput<Cow<'_, [u8]>> = InternedInput::default();
    input.reserve(old.len() as u32, new.len() as u32);
    input.update_before(old.iter().map(|line| key(line, how.ignore, how.fold)));
    input.update_after(new.iter().map(|line| key(line, how.ignore, how.fold)));
    let mut diff = Diff::compute(how.algorithm, &input);
    if how.indent {
        diff.postprocess_lines(&input);
    } else {
        diff.postprocess_no_heuristic(&input);
    }
    let edit = |hunk: imara_diff::Hunk| Edit {
        old: (hunk.before.start as usize, hunk.before.end as usize),
        new: (hunk.after.start as usize, hunk.after.end as usize),
    };
    let mut edits: Vec<Edit> = diff.hunks().map(edit).collect();
    if how.blank_lines {
        let blank = |lines: &[&[u8]]| lines.iter().all(|line| line.trim_ascii().is_empty());
        edits.retain(|edit| !(blank(&old[edit.old.0..edit.old.1]) && blank(&new[edit.new.0..edit.new.1])));
    }
    edits
}

/// Edits that share their context are one hunk: groups of them.
pub fn hunks(edits: &[Edit], how: &Lines) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    let near = 2 * how.context as usize + how.inter_hunk as usize;
    for (at, edit) in edits.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if edit.old.0 - edits[group.end - 1].old.1 <= near => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// Writes the hunks in unified form; `heading` says what line names a function.
pub fn unified(
    out: &mut Vec<u8>,
    old: &[&[u8]],
    new: &[&[u8]],
    how: &Lines,
    heading: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let edits = edits(old, new, how);
    let context = how.context as usize;
    for group in hunks(&edits, how) {
        let group = &edits[group];
        let (first, last) = (group[0], group[group.len() - 1]);
        let before = context.min(first.old.0).min(first.new.0);
        let after = context.min(old.len() - last.old.1).min(new.len() - last.new.1);
        let old_range = (first.old.0 - before, last.old.1 + after);
        let new_range = (first.new.0 - before, last.new.1 + after);
        out.extend_from_slice(format!("@@ -{} +{} @@", range(old_range), range(new_range)).as_bytes());
        if let Some(name) = old[..old_range.0].iter().rev().find_map(|line| heading(line)) {
            out.push(b' ');
            out.extend_from_slice(&name);
        }
        out.push(b'\n');
        let mut at = old_range.0;
        for edit in group {
            for line in &old[at..edit.old.0] {
                put(out, b' ', line);
            }
            for line in &old[edit.old.0..edit.old.1] {
                put(out, b'-', line);
            }
            for line in &new[edit.new.0..edit.new.1] {
                put(out, b'+', line);
            }
            at = edit.old.1;
        }
        // Context is shown as the new text has it.
        let skipped = at;
        for line in &new[last.new.1 + (at - skipped)..new_range.1] {
            put(out, b' ', line);
        }
    }
}

fn range((start, end): (usize, usize)) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

fn put(out: &mut Vec<u8>, sign: u8, line: &[u8]) {
    out.push(sign);
    out.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        out.extend_from_slice(b"\n\\ No newline at end of file\n");
    }
}

/// A line that begins with a letter, `_` or `$` names the function that follows.
pub fn plain_heading(line: &[u8]) -> Option<Vec<u8>> {
    let first = *line.first()?;
    (first.is_ascii_alphabetic() || first == b'_' || first == b'$').then(|| cut(line))
}

/// The same for Python, where attributes ask for it.
pub fn python_heading(line: &[u8]) -> Option<Vec<u8>> {
    let text = line.trim_ascii_start();
    let after = |word: &[u8], text: &[u8]| {
        text.strip_prefix(word).is_some_and(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t"))
    };
    let unasync =
        text.strip_prefix(b"async").filter(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t"));
    let def = unasync.map_or(text, |rest| rest.trim_ascii_start());
    (after(b"class", text) || after(b"def", def)).then(|| cut(text))
}

fn cut(line: &[u8]) -> Vec<u8> {
    line[..line.len().min(80)].trim_ascii_end().to_vec()
}
