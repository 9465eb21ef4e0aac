//! Counts of lines: `--stat` and its kin.

use super::Style;
use super::name::quote;
use crate::diff::Change;
use crate::error::Result;
use crate::repo::Repo;
use crate::text::{self};
use bstr::ByteSlice;

impl Style {
    pub(super) fn count(&self, repo: &Repo, change: &Change) -> Result<Counts> {
        if change.unmerged {
            return Ok(Counts::Unmerged);
        }
        let (old, new) = self.contents(repo, change)?;
        if !self.text && (text::is_binary(&old) || text::is_binary(&new)) {
            let same = old == new;
            return Ok(if same { Counts::Binary(0, 0) } else { Counts::Binary(old.len(), new.len()) });
        }
        let (old, new) = (text::split(&old), text::split(&new));
        let edits = text::edits(&old, &new, &self.lines);
        let added = edits.iter().map(|edit| edit.new.1 - edit.new.0).sum();
        let removed = edits.iter().map(|edit| edit.old.1 - edit.old.0).sum();
        Ok(Counts::Lines(added, removed))
    }

    pub(super) fn pair(&self, repo: &Repo, change: &Change) -> Vec<u8> {
        match (&change.old, &change.new, change.score) {
            (Some(old), Some(new), Some(_)) => {
                rename_name(repo, self.cut(repo, &old.path), self.cut(repo, &new.path))
            }
            (Some(old), Some(new), None) if old.path != new.path => rename_name(repo, &old.path, &new.path),
            _ => quote(repo, self.cut(repo, change.path())),
        }
    }

    pub(super) fn write_stat(&self, repo: &Repo, changes: &[Change], counts: &[Counts], out: &mut Vec<u8>) {
        let names: Vec<Vec<u8>> = changes.iter().map(|change| self.pair(repo, change)).collect();
        let digits = |number: usize| number.to_string().len();
        let most = counts.iter().map(Counts::changed).max().unwrap_or(0);
        let longest = names.iter().map(|name| width_of(name)).max().unwrap_or(0);
        let mut number_width = digits(most);
        let mut binary_width = 0;
        for count in counts {
            match count {
                Counts::Binary(old, new) => {
                    binary_width = binary_width.max(14 + digits(*old) + digits(*new));
                    number_width = number_width.max(3);
                }
                Counts::Unmerged => binary_width = binary_width.max(8),
                Counts::Lines(..) => {}
            }
        }
        let width = self.stat_width.max(16 + 6 + number_width);
        let mut graph = if most + 4 > binary_width { most } else { binary_width - 4 };
        let mut name_width = longest;
        if name_width + number_width + 6 + graph > width {
            let share = (width * 3 / 8).saturating_sub(number_width + 6);
            if graph > share {
                graph = share.max(6);
            }
            if name_width > width.saturating_sub(number_width + 6 + graph) {
                name_width = width.saturating_sub(number_width + 6 + graph);
            } else {
                graph = width - number_width - 6 - name_width;
            }
        }
        for (name, count) in names.iter().zip(counts) {
            let mut shown = name.clone();
            let mut dots = "";
            if width_of(name) > name_width {
                dots = "...";
                let room = name_width.saturating_sub(3);
                while width_of(&shown) > room {
                    let first = shown.char_indices().next().map_or(1, |(_, end, _)| end);
                    shown.drain(..first);
                }
                if let Some(slash) = shown.find_byte(b'/') {
                    shown.drain(..slash);
                }
            }
            let pad = name_width.saturating_sub(dots.len() + width_of(&shown));
            out.extend_from_slice(format!(" {dots}").as_bytes());
            out.extend_from_slice(&shown);
            out.extend_from_slice(format!("{:pad$} | ", "").as_bytes());
            match count {
                Counts::Unmerged => out.extend_from_slice(b"Unmerged\n"),
                Counts::Binary(old, new) => {
                    out.extend_from_slice(format!("{:>number_width$}", "Bin").as_bytes());
                    if *old != 0 || *new != 0 {
                        out.extend_from_slice(format!(" {old} -> {new} bytes").as_bytes());
                    }
                    out.push(b'\n');
                }
                Counts::Lines(added, removed) => {
                    let (mut plus, mut minus) = (*added, *removed);
                    let sum = plus + minus;
                    if graph <= most {
                        let scale =
                            |count: usize| if count == 0 { 0 } else { 1 + count * (graph - 1) / most };
                        let mut all = scale(sum);
                        if all < 2 && plus > 0 && minus > 0 {
                            all = 2;
                        }
                        if plus < minus {
                            plus = scale(plus);
                            minus = all - plus;
                        } else {
                            minus = scale(minus);
                            plus = all - minus;
                        }
                    }
                    let gap = if sum > 0 { " " } else { "" };
                    out.extend_from_slice(
                        format!("{sum:>number_width$}{gap}{}{}\n", "+".repeat(plus), "-".repeat(minus))
                            .as_bytes(),
                    );
                }
            }
        }
    }
}

pub(super) enum Counts {
    Lines(usize, usize),
    Binary(usize, usize),
    Unmerged,
}

impl Counts {
    fn changed(&self) -> usize {
        match self {
            Counts::Lines(added, removed) => added + removed,
            _ => 0,
        }
    }
}

pub(super) fn total(counts: &[Counts]) -> Vec<u8> {
    let files = counts.iter().filter(|count| !matches!(count, Counts::Unmerged)).count();
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let added = sum(|count| if let Counts::Lines(added, _) = count { *added } else { 0 });
    let removed = sum(|count| if let Counts::Lines(_, removed) = count { *removed } else { 0 });
    totals(files, added, removed)
}

/// ` 2 files changed, 1 insertion(+)`
pub fn totals(files: usize, added: usize, removed: usize) -> Vec<u8> {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut line = format!(" {files} file{} changed", plural(files));
    if files > 0 && (added > 0 || removed == 0) {
        line += &format!(", {added} insertion{}(+)", plural(added));
    }
    if files > 0 && (removed > 0 || added == 0) {
        line += &format!(", {removed} deletion{}(-)", plural(removed));
    }
    line.push('\n');
    line.into_bytes()
}

/// `src/{old => new}/file`
pub(super) fn rename_name(repo: &Repo, old: &[u8], new: &[u8]) -> Vec<u8> {
    if quote(repo, old) != old || quote(repo, new) != new {
        return [quote(repo, old).as_slice(), b" => ", quote(repo, new).as_slice()].concat();
    }
    let mut start = 0;
    for at in 0..old.len().min(new.len()) {
        if old[at] != new[at] {
            break;
        }
        if old[at] == b'/' {
            start = at + 1;
        }
    }
    // The common end may begin with the slash that the common start ends with.
    let floor = if start > 0 { start - 1 } else { 0 };
    let mut end = 0;
    for back in 1..=old.len().min(new.len()) {
        let (a, b) = (old.len() - back, new.len() - back);
        if a < floor || b < floor || old[a] != new[b] {
            break;
        }
        if old[a] == b'/' {
            end = back;
        }
    }
    if start == 0 && end == 0 {
        return [old, b" => ", new].concat();
    }
    let middle = |path: &[u8]| path[start..(path.len() - end).max(start)].to_vec();
    [&old[..start], b"{", &middle(old), b" => ", &middle(new), b"}", &old[old.len() - end..]].concat()
}

fn width_of(name: &[u8]) -> usize {
    name.to_str_lossy().chars().count()
}
