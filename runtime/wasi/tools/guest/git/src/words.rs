//! Words compared: `[-old-]{+new+}`.

use crate::text::{self, Lines};
use imara_diff::{Diff, InternedInput};

/// Writes hunks in which changed words are marked within their lines.
pub fn unified(
    out: &mut Vec<u8>,
    old: &[&[u8]],
    new: &[&[u8]],
    how: &Lines,
    heading: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let edits = text::edits(old, new, how);
    for group in text::hunks(&edits, how) {
        let group = &edits[group];
        let mut plain = Vec::new();
        let (first, last) = (group[0], group[group.len() - 1]);
        let context = how.context as usize;
        let start = first.old.0 - context.min(first.old.0);
        let end = (last.old.1 + context).min(old.len());
        let new_start = first.new.0 - context.min(first.new.0);
        let new_end = (last.new.1 + context).min(new.len());
        text::unified(&mut plain, &old[start..end], &new[new_start..new_end], how, &|_| None);
        let head = |from: usize, to: usize| match to - from {
            0 => format!("{from},0"),
            1 => format!("{}", from + 1),
            count => format!("{},{count}", from + 1),
        };
        out.extend_from_slice(
            format!("@@ -{} +{} @@", head(start, end), head(new_start, new_end)).as_bytes(),
        );
        if let Some(name) = old[..start].iter().rev().find_map(|line| heading(line)) {
            out.push(b' ');
            out.extend_from_slice(&name);
        }
        out.push(b'\n');
        let mut at = start;
        for edit in group {
            for line in &old[at..edit.old.0] {
                put(out, line);
            }
            mark(out, &old[edit.old.0..edit.old.1].concat(), &new[edit.new.0..edit.new.1].concat());
            at = edit.old.1;
        }
        for line in &old[at..end] {
            put(out, line);
        }
    }
}

fn put(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        out.push(b'\n');
    }
}

/// The words of a text: where each begins and ends.
fn words(data: &[u8]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in data.iter().enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| (from, data.len())));
    words
}

fn mark(out: &mut Vec<u8>, old: &[u8], new: &[u8]) {
    let (of_old, of_new) = (words(old), words(new));
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    input.update_before(of_old.iter().map(|(from, to)| &old[*from..*to]));
    input.update_after(of_new.iter().map(|(from, to)| &new[*from..*to]));
    let mut diff = Diff::compute(imara_diff::Algorithm::Myers, &input);
    diff.postprocess_no_heuristic(&input);
    let mut at = 0;
    for hunk in diff.hunks() {
        let span = |words: &[(usize, usize)], range: std::ops::Range<u32>| {
            if range.is_empty() {
                None
            } else {
                Some((words[range.start as usize].0, words[range.end as usize - 1].1))
            }
        };
        let (gone, came) = (span(&of_old, hunk.before.clone()), span(&of_new, hunk.after.clone()));
        // What stands before the change is shown as the new text has it.
        let until = match came {
            Some((from, _)) => from,
            None if hunk.after.start == 0 => 0,
            None => of_new[hunk.after.start as usize - 1].1,
        };
        out.extend_from_slice(&new[at.min(until)..until]);
        each_line(out, b"[-", gone.map_or(b"", |(from, to)| &old[from..to]), b"-]");
        each_line(out, b"{+", came.map_or(b"", |(from, to)| &new[from..to]), b"+}");
        at = came.map_or(until, |(_, to)| to);
    }
    put(out, &new[at..]);
}

fn each_line(out: &mut Vec<u8>, open: &[u8], data: &[u8], close: &[u8]) {
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        if !line.is_empty() {
            out.extend_from_slice(open);
            out.extend_from_slice(line);
            out.extend_from_slice(close);
        }
    }
}
