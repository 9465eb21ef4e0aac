//! The pieces of one file's change: hunks that are taken, left, or split.

use crate::diff::Change;
use crate::error::{Result, fatal};
use crate::index::{Entry, Index};
use crate::object::Kind;
use crate::patch::{self, Hunk};
use crate::repo::Repo;
use crate::show::Style;
use crate::text;

/// What becomes of a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Undecided,
    Yes,
    No,
}

/// What can be taken or left.
enum What {
    /// Lines.
    Text(Hunk),
    /// The file's mode, as the patch words it.
    Mode(Vec<u8>),
}

/// A piece of a change.
pub struct Piece {
    what: What,
    /// What was decided.
    pub used: Use,
}

/// The change of one file.
pub struct Pieces {
    /// What stands above the hunks, without a change of mode that is a piece of its own.
    pub head: Vec<u8>,
    /// The pieces, in order.
    pub pieces: Vec<Piece>,
    /// The file is gone.
    pub deleted: bool,
    /// The file is new, announced by `add -N`.
    pub added: bool,
    change: Change,
    old: Vec<u8>,
}

impl Piece {
    fn new(what: What) -> Piece {
        Piece { what, used: Use::Undecided }
    }

    /// Whether it is lines.
    pub fn is_text(&self) -> bool {
        matches!(self.what, What::Text(_))
    }

    /// Returns into how many hunks it can be split.
    pub fn parts(&self) -> usize {
        match &self.what {
            What::Mode(_) => 1,
            What::Text(hunk) => {
                let changes = |at: usize| hunk.lines[at].0 != b' ';
                (0..hunk.lines.len()).filter(|at| changes(*at) && (*at == 0 || !changes(at - 1))).count()
            }
        }
    }

    /// Writes it as a patch does.
    pub fn show(&self, out: &mut Vec<u8>) {
        match &self.what {
            What::Mode(lines) => out.extend_from_slice(lines),
            What::Text(hunk) => {
                out.extend_from_slice(format!("@@ {} @@", ranges(hunk)).as_bytes());
                if !hunk.heading.is_empty() {
                    out.push(b' ');
                    out.extend_from_slice(hunk.heading.trim_ascii_start());
                }
                if out.last() != Some(&b'\n') {
                    out.push(b'\n');
                }
                for (sign, line) in &hunk.lines {
                    out.push(*sign);
                    out.extend_from_slice(line);
                    if !line.ends_with(b"\n") {
                        out.extend_from_slice(b"\n\\ No newline at end of file\n");
                    }
                }
            }
        }
    }

    /// Returns its line in a list.
    pub fn summary(&self, number: usize) -> Vec<u8> {
        let mark = match self.used {
            Use::Undecided => ' ',
            Use::Yes => '+',
            Use::No => '-',
        };
        let (place, first) = match &self.what {
            What::Mode(_) => (" -0,0 +0,0".to_owned(), &b""[..]),
            What::Text(hunk) => {
                let changed = hunk.lines.iter().find(|(sign, _)| *sign != b' ');
                let place =
                    format!(" -{},{} +{},{}", hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count);
                (place, changed.map_or(&b""[..], |(_, line)| line.as_slice()))
            }
        };
        let sign = match &self.what {
            What::Text(hunk) => {
                hunk.lines.iter().find(|(sign, _)| *sign != b' ').map_or(b' ', |(sign, _)| *sign)
            }
            What::Mode(_) => b' ',
        };
        let mut line = format!("{mark}{number:2}: {place:<20}").into_bytes();
        line.push(sign);
        line.extend_from_slice(first.trim_ascii_end());
        line.truncate(80);
        line
    }
}

fn ranges(hunk: &Hunk) -> String {
    let one =
        |start: usize, count: usize| if count == 1 { start.to_string() } else { format!("{start},{count}") };
    format!("-{} +{}", one(hunk.old_start, hunk.old_count), one(hunk.new_start, hunk.new_count))
}

impl Pieces {
    /// Takes a change apart; `None` if it is not text.
    pub fn read(repo: &Repo, change: &Change) -> Result<Option<Pieces>> {
        let mut patch = Vec::new();
        Style::new(Some(repo)).write_patch(repo, change, &mut patch)?;
        let parsed =
            patch::parse(&patch).map_err(|line| fatal(format!("could not parse diff, line {line}")))?;
        let [parsed] = parsed.as_slice() else { return Ok(None) };
        let whole_mode = parsed.hunks.is_empty() && parsed.old_mode != parsed.new_mode;
        if parsed.hunks.is_empty() && (patch.ends_with(b"differ\n") || !whole_mode) {
            return Ok(None);
        }
        let lines = text::split(&patch);
        let until = parsed.hunks.first().map_or(lines.len(), |hunk| hunk.line - 1);
        let is_mode = |line: &&[u8]| line.starts_with(b"old mode ") || line.starts_with(b"new mode ");
        let (mode, head): (Vec<&[u8]>, Vec<&[u8]>) = lines[..until].iter().partition(|line| is_mode(line));
        let mut pieces = Vec::new();
        if !mode.is_empty() {
            pieces.push(Piece::new(What::Mode(mode.concat())));
        }
        pieces.extend(parsed.hunks.iter().map(|hunk| Piece::new(What::Text(hunk.clone()))));
        let old = match &change.old {
            Some(side) => side.content(repo)?,
            None => Vec::new(),
        };
        Ok(Some(Pieces {
            head: head.concat(),
            pieces,
            deleted: change.new.is_none(),
            added: change.old.is_none(),
            change: change.clone(),
            old,
        }))
    }

    /// Splits a hunk at the lines between its changes, which both neighbours keep; returns into how many.
    pub fn split(&mut self, at: usize) -> usize {
        let What::Text(hunk) = &self.pieces[at].what else { return 1 };
        let changes = |at: usize| hunk.lines[at].0 != b' ';
        let mut groups: Vec<(usize, usize)> = Vec::new();
        for line in 0..hunk.lines.len() {
            match groups.last_mut() {
                _ if !changes(line) => {}
                Some(last) if last.1 == line => last.1 = line + 1,
                _ => groups.push((line, line + 1)),
            }
        }
        let mut parts = Vec::new();
        for number in 0..groups.len() {
            let from = if number == 0 { 0 } else { groups[number - 1].1 };
            let to = groups.get(number + 1).map_or(hunk.lines.len(), |next| next.0);
            let count =
                |lines: &[(u8, Vec<u8>)], not: u8| lines.iter().filter(|(sign, _)| *sign != not).count();
            let (before, inside) = (&hunk.lines[..from], &hunk.lines[from..to]);
            parts.push(Piece::new(What::Text(Hunk {
                old_start: hunk.old_start + count(before, b'+'),
                old_count: count(inside, b'+'),
                new_start: hunk.new_start + count(before, b'-'),
                new_count: count(inside, b'-'),
                lines: inside.to_vec(),
                heading: if number == 0 { hunk.heading.clone() } else { Vec::new() },
                line: hunk.line,
            })));
        }
        let count = parts.len();
        self.pieces.splice(at..=at, parts);
        count
    }

    /// Puts what was chosen into the index.
    pub fn stage(&self, repo: &Repo, index: &mut Index) -> Result<()> {
        let chosen: Vec<&Piece> = self.pieces.iter().filter(|piece| piece.used == Use::Yes).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let path = self.change.path();
        if self.deleted {
            index.remove(path);
            return Ok(());
        }
        if chosen.len() == self.pieces.len() {
            return repo.stage(index, path);
        }
        let side = |side: &Option<crate::diff::Side>| side.as_ref().map_or(0o100644, |side| side.mode);
        let takes_mode = chosen.iter().any(|piece| !piece.is_text());
        let mode = if takes_mode || self.added { side(&self.change.new) } else { side(&self.change.old) };
        let old = text::split(&self.old);
        let mut new: Vec<u8> = Vec::new();
        let mut at = 0;
        for piece in &chosen {
            let What::Text(hunk) = &piece.what else { continue };
            // A hunk of no old lines stands behind the line that it names.
            let mut place = if hunk.old_count == 0 { hunk.old_start } else { hunk.old_start - 1 };
            for (sign, line) in &hunk.lines {
                match sign {
                    b'+' => {
                        new.extend(old[at..place.max(at)].concat());
                        at = place.max(at);
                        new.extend_from_slice(line);
                    }
                    b'-' => {
                        new.extend(old[at..place.max(at)].concat());
                        place += 1;
                        at = place;
                    }
                    _ => place += 1,
                }
            }
        }
        new.extend(old[at..].concat());
        index.put(Entry::new(path.to_vec(), mode, repo.odb.write(Kind::Blob, &new)?));
        Ok(())
    }
}
