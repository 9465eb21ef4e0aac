//! Renames and copies: files that came, paired with files that went and are alike.

use crate::diff::{Change, Side};
use crate::error::Result;
use crate::object::Id;
use crate::repo::Repo;
use bstr::ByteSlice;
use std::collections::HashMap;

/// The likeness of equal files.
pub const MOST: u32 = 60_000;
/// Files compared with one another at most, on each side.
const LIMIT: usize = 1000;

/// Pairs removed files with added ones of at least this likeness.
pub fn find(repo: &Repo, changes: Vec<Change>, least: u32, copies: bool) -> Result<Vec<Change>> {
    let regular = |side: &Option<Side>| side.as_ref().is_some_and(|side| side.mode & 0o170000 != 0o160000);
    let (mut added, mut rest): (Vec<Change>, Vec<Change>) = changes
        .into_iter()
        .partition(|change| change.old.is_none() && regular(&change.new) && !change.unmerged);
    let removed: Vec<usize> =
        (0..rest.len()).filter(|at| rest[*at].new.is_none() && regular(&rest[*at].old)).collect();
    let kept: Vec<usize> = if copies {
        (0..rest.len()).filter(|at| rest[*at].new.is_some() && rest[*at].old.is_some()).collect()
    } else {
        Vec::new()
    };
    if added.is_empty() || (removed.is_empty() && kept.is_empty()) {
        rest.extend(added);
        rest.sort_by(|a, b| a.path().cmp(b.path()));
        return Ok(rest);
    }
    let mut used: HashMap<usize, usize> = HashMap::new();
    let mut pairs: Vec<(usize, usize, u32)> = Vec::new();
    // Equal content first; among several, the one of the same name.
    let mut of_id: HashMap<Id, Vec<usize>> = HashMap::new();
    for at in &removed {
        of_id
            .entry(rest[*at].old.as_ref().expect("removed files have an old side").id)
            .or_default()
            .push(*at);
    }
    let mut open: Vec<usize> = Vec::new();
    for (to, change) in added.iter().enumerate() {
        let new = change.new.as_ref().expect("added files have a new side");
        let best = of_id
            .get(&new.id)
            .into_iter()
            .flatten()
            .copied()
            .filter(|from| !used.contains_key(from))
            .max_by_key(|from| (name_of(rest[*from].path()) == name_of(&new.path), std::cmp::Reverse(*from)));
        match best.filter(|_| !content_is_empty(&new.id)) {
            Some(from) => {
                *used.entry(from).or_default() += 1;
                pairs.push((from, to, MOST));
            }
            None => open.push(to),
        }
    }
    // Then likeness, every pair, the best first.
    let sources: Vec<usize> =
        removed.iter().copied().filter(|at| !used.contains_key(at)).chain(kept.iter().copied()).collect();
    if least < MOST && sources.len().min(open.len()) > 0 && sources.len() * open.len() <= LIMIT * LIMIT {
        let read = |side: &Option<Side>| -> Result<Spans> {
            let side = side.as_ref().expect("the side exists by the partition above");
            Ok(Spans::new(&side.content(repo)?))
        };
        let from: Vec<Spans> = sources.iter().map(|at| read(&rest[*at].old)).collect::<Result<_>>()?;
        let mut scored = Vec::new();
        for to in &open {
            let spans = read(&added[*to].new)?;
            for (at, source) in sources.iter().zip(&from) {
                let score = source.likeness(&spans, least);
                if score >= least {
                    let same_name = name_of(rest[*at].path()) == name_of(added[*to].path());
                    scored.push((score, same_name, *at, *to));
                }
            }
        }
        scored.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then((a.3, a.2).cmp(&(b.3, b.2))));
        let mut taken: Vec<usize> = Vec::new();
        for (score, _, from, to) in scored {
            let is_copy = rest[from].new.is_some();
            if taken.contains(&to) || (!is_copy && used.contains_key(&from)) {
                continue;
            }
            taken.push(to);
            if !is_copy {
                *used.entry(from).or_default() += 1;
            }
            pairs.push((from, to, score));
        }
    }
    pairs.sort_by_key(|(_, to, _)| std::cmp::Reverse(*to));
    let mut gone: Vec<usize> = Vec::new();
    let mut out = Vec::new();
    for (from, to, score) in pairs {
        let mut change = added.remove(to);
        change.old = rest[from].old.clone();
        change.score = Some(score);
        change.copy = rest[from].new.is_some();
        if !change.copy {
            gone.push(from);
        }
        out.push(change);
    }
    gone.sort_unstable();
    for at in gone.into_iter().rev() {
        rest.remove(at);
    }
    out.extend(rest);
    out.extend(added);
    out.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(out)
}

fn content_is_empty(id: &Id) -> bool {
    id.hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rfind_byte(b'/').map_or(path, |at| &path[at + 1..])
}

/// A content as a multiset of lines, each cut at 64 bytes: what git compares contents by.
struct Spans {
    size: u64,
    counts: HashMap<Vec<u8>, u64>,
}

impl Spans {
    fn new(data: &[u8]) -> Spans {
        let text = !data[..data.len().min(8000)].contains(&0);
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut span = Vec::new();
        for (at, byte) in data.iter().enumerate() {
            if text && *byte == b'\r' && data.get(at + 1) == Some(&b'\n') {
                continue;
            }
            span.push(*byte);
            if span.len() == 64 || *byte == b'\n' {
                let length = span.len() as u64;
                *counts.entry(std::mem::take(&mut span)).or_default() += length;
            }
        }
        if !span.is_empty() {
            let length = span.len() as u64;
            *counts.entry(span).or_default() += length;
        }
        Spans { size: data.len() as u64, counts }
    }

    fn likeness(&self, other: &Spans, least: u32) -> u32 {
        let (most, fewest) = (self.size.max(other.size), self.size.min(other.size));
        if most * u64::from(MOST - least) < (most - fewest) * u64::from(MOST) || self.size == 0 {
            return 0;
        }
        let copied: u64 = self
            .counts
            .iter()
            .map(|(span, count)| (*count).min(other.counts.get(span).copied().unwrap_or(0)))
            .sum();
        (copied * u64::from(MOST)).checked_div(most).unwrap_or(0) as u32
    }
}
