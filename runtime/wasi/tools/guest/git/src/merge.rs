//! Three-way merges: of texts, and of trees.

use crate::error::Result;
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::repo::Repo;
use crate::text::{self, Edit, Lines};
use std::collections::{BTreeMap, BTreeSet};

/// Merges two texts that come from one; the result, and how many places collide.
pub fn texts(
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
    ours_name: &str,
    theirs_name: &str,
) -> (Vec<u8>, usize) {
    let (base, ours, theirs) = (text::split(base), text::split(ours), text::split(theirs));
    let how = Lines::default();
    let (a, b) = (text::edits(&base, &ours, &how), text::edits(&base, &theirs, &how));
    let mut out = Vec::new();
    let mut conflicts = 0;
    let (mut at, mut i, mut j) = (0, 0, 0);
    let (mut shift_a, mut shift_b) = (0isize, 0isize);
    let put = |out: &mut Vec<u8>, lines: &[&[u8]]| lines.iter().for_each(|line| out.extend_from_slice(line));
    while i < a.len() || j < b.len() {
        let start = a
            .get(i)
            .map_or(usize::MAX, |edit| edit.old.0)
            .min(b.get(j).map_or(usize::MAX, |edit| edit.old.0));
        put(&mut out, &base[at..start]);
        // All edits that touch one another are one place.
        let (mut end, first_i, first_j) = (start, i, j);
        loop {
            let before = (i, j);
            while a.get(i).is_some_and(|edit| edit.old.0 <= end) {
                end = end.max(a[i].old.1);
                i += 1;
            }
            while b.get(j).is_some_and(|edit| edit.old.0 <= end) {
                end = end.max(b[j].old.1);
                j += 1;
            }
            if before == (i, j) {
                break;
            }
        }
        let side = |edits: &[Edit], shift: &mut isize| {
            let from = (start as isize + *shift) as usize;
            for edit in edits {
                *shift += (edit.new.1 - edit.new.0) as isize - (edit.old.1 - edit.old.0) as isize;
            }
            (from, (end as isize + *shift) as usize)
        };
        let mine = side(&a[first_i..i], &mut shift_a);
        let other = side(&b[first_j..j], &mut shift_b);
        let (mine, other) = (&ours[mine.0..mine.1], &theirs[other.0..other.1]);
        if first_j == j || mine == other {
            put(&mut out, mine);
        } else if first_i == i {
            put(&mut out, other);
        } else {
            conflicts += 1;
            let head = mine.iter().zip(other).take_while(|(a, b)| a == b).count();
            let rest = mine.len().min(other.len()) - head;
            let tail =
                mine.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
            put(&mut out, &mine[..head]);
            let block = |out: &mut Vec<u8>, lines: &[&[u8]]| {
                put(out, lines);
                if out.last().is_some_and(|byte| *byte != b'\n') {
                    out.push(b'\n');
                }
            };
            out.extend_from_slice(format!("<<<<<<< {ours_name}\n").as_bytes());
            block(&mut out, &mine[head..mine.len() - tail]);
            out.extend_from_slice(b"=======\n");
            block(&mut out, &other[head..other.len() - tail]);
            out.extend_from_slice(format!(">>>>>>> {theirs_name}\n").as_bytes());
            put(&mut out, &mine[mine.len() - tail..]);
        }
        at = end;
    }
    put(&mut out, &base[at..]);
    (out, conflicts)
}

/// How a path collides.
pub struct Conflict {
    pub path: Vec<u8>,
    pub words: String,
}

/// Merges trees into index and worktree, which must be `ours`; what collides is left with marks.
pub fn trees(
    repo: &Repo,
    base: Option<Id>,
    ours: Option<Id>,
    theirs: Option<Id>,
    names: (&str, &str),
    before: &str,
) -> Result<(Vec<Conflict>, Vec<Vec<u8>>)> {
    let (base, mine, other) = (repo.tree_files(base)?, repo.tree_files(ours)?, repo.tree_files(theirs)?);
    let paths: BTreeSet<&Vec<u8>> = base.keys().chain(mine.keys()).chain(other.keys()).collect();
    let mut merged: BTreeMap<Vec<u8>, (u32, Id)> = BTreeMap::new();
    let mut conflicts = Vec::new();
    let mut texts_merged = Vec::new();
    let mut marked: Vec<(Vec<u8>, u32, Vec<u8>)> = Vec::new();
    let mut stages: Vec<Entry> = Vec::new();
    for path in paths {
        let (o, a, b) = (base.get(path), mine.get(path), other.get(path));
        let take = if a == b || o == b {
            Some(a)
        } else if o == a {
            Some(b)
        } else {
            None
        };
        if let Some(take) = take {
            merged.extend(take.map(|entry| (path.clone(), *entry)));
            continue;
        }
        let name = String::from_utf8_lossy(path).into_owned();
        let stage = |number: u8, side: Option<&(u32, Id)>| {
            side.map(|(mode, id)| {
                let mut entry = Entry::new(path.clone(), *mode, *id);
                entry.stage = number;
                entry
            })
        };
        let all = [stage(1, o), stage(2, a), stage(3, b)];
        match (a, b) {
            (Some((mode, a_id)), Some((b_mode, b_id))) => {
                let read = |id: &Id| repo.odb.blob(id);
                let from = o.map_or_else(|| Ok(Vec::new()), |(_, id)| read(id))?;
                let (a_text, b_text) = (read(a_id)?, read(b_id)?);
                let mode = if o.is_some_and(|(from, _)| from == mode) { *b_mode } else { *mode };
                if [&from, &a_text, &b_text].iter().any(|text| text::is_binary(text)) {
                    conflicts.push(Conflict { path: path.clone(), words: format!("warning: Cannot merge binary files: {name} ({} vs. {})\nAuto-merging {name}\nCONFLICT (content): Merge conflict in {name}", names.0, names.1) });
                    stages.extend(all.into_iter().flatten());
                    marked.push((path.clone(), mode, a_text));
                    continue;
                }
                let (text, count) = texts(&from, &a_text, &b_text, names.0, names.1);
                if count == 0 {
                    texts_merged.push(path.clone());
                    merged.insert(path.clone(), (mode, repo.odb.write(Kind::Blob, &text)?));
                } else {
                    let kind = if o.is_some() { "content" } else { "add/add" };
                    conflicts.push(Conflict {
                        path: path.clone(),
                        words: format!("Auto-merging {name}\nCONFLICT ({kind}): Merge conflict in {name}"),
                    });
                    stages.extend(all.into_iter().flatten());
                    marked.push((path.clone(), mode, text));
                }
            }
            (a, b) => {
                let (gone, kept) = if a.is_some() { (names.1, names.0) } else { (names.0, names.1) };
                conflicts.push(Conflict { path: path.clone(), words: format!("CONFLICT (modify/delete): {name} deleted in {gone} and modified in {kept}.  Version {kept} of {name} left in tree.") });
                stages.extend(all.into_iter().flatten());
                if let Some((mode, id)) = a.or(b) {
                    marked.push((path.clone(), *mode, repo.odb.blob(id)?));
                }
            }
        }
    }
    // The paths in conflict stay as they are until their marked texts are written.
    let mut clean = merged.clone();
    for (path, ..) in &marked {
        clean.extend(mine.get(path).map(|entry| (path.clone(), *entry)));
    }
    let tree = crate::index::build_tree(&repo.odb, &clean)?;
    crate::command::two_way(repo, ours, Some(tree), "merge", before)?;
    if !marked.is_empty() {
        let mut index: Index = repo.index()?;
        for (path, mode, text) in marked {
            repo.write_out(&path, mode, &text)?;
            index.remove(&path);
        }
        for entry in stages {
            index.put_stage(entry);
        }
        index.write(&repo.index_path())?;
    }
    Ok((conflicts, texts_merged))
}

/// Writes the hunks of a text that came from two.
pub fn combined(out: &mut Vec<u8>, a: &[&[u8]], b: &[&[u8]], result: &[&[u8]]) {
    let how = Lines::default();
    let of = [text::edits(a, result, &how), text::edits(b, result, &how)];
    // For each line of the result: who lacks it; before each line: what each side had instead.
    let mut lacks = vec![[false; 2]; result.len()];
    let mut lost: Vec<Vec<([bool; 2], &[u8])>> = vec![Vec::new(); result.len() + 1];
    for (side, (edits, old)) in of.iter().zip([a, b]).enumerate() {
        for edit in edits {
            lacks[edit.new.0..edit.new.1].iter_mut().for_each(|line| line[side] = true);
            let here = &mut lost[edit.new.0];
            let mut from = 0;
            for line in &old[edit.old.0..edit.old.1] {
                // A line that both sides lost is one.
                match here[from..].iter().position(|(who, text)| text == line && !who[side]) {
                    Some(at) if side == 1 => {
                        here[from + at].0[1] = true;
                        from += at + 1;
                    }
                    _ => {
                        let mut who = [false; 2];
                        who[side] = true;
                        here.push((who, line));
                    }
                }
            }
        }
    }
    // A hunk is worth showing where the result differs from both.
    let touched = |at: usize| at < result.len() && (lacks[at][0] || lacks[at][1]) || !lost[at].is_empty();
    let mut at = 0;
    let context = how.context as usize;
    while at <= result.len() {
        if !touched(at) {
            at += 1;
            continue;
        }
        let start = at.saturating_sub(context);
        let mut end = at;
        let mut both = [false; 2];
        let mut look = at;
        while look <= result.len() && look <= end + 2 * context + 1 {
            if touched(look) {
                end = look;
                for side in 0..2 {
                    both[side] |= (look < result.len() && lacks[look][side])
                        || lost[look].iter().any(|(who, _)| who[side]);
                }
            }
            look += 1;
        }
        let stop = (end + 1 + context).min(result.len());
        if both[0] && both[1] {
            let count = |side: usize| {
                (start..stop).filter(|line| !lacks[*line][side]).count()
                    + (start..=stop.min(end + 1))
                        .flat_map(|line| &lost[line])
                        .filter(|(who, _)| who[side])
                        .count()
            };
            let before = |side: usize| {
                1 + (0..start).filter(|line| !lacks[*line][side]).count()
                    + (0..start).flat_map(|line| &lost[line]).filter(|(who, _)| who[side]).count()
            };
            let head = format!(
                "@@@ -{},{} -{},{} +{},{} @@@\n",
                before(0),
                count(0),
                before(1),
                count(1),
                start + 1,
                stop - start
            );
            out.extend_from_slice(head.as_bytes());
            for line in start..=stop {
                if line <= end + 1 {
                    for (who, text) in &lost[line] {
                        out.extend(who.iter().map(|who| if *who { b'-' } else { b' ' }));
                        out.extend_from_slice(text);
                        if !text.ends_with(b"\n") {
                            out.push(b'\n');
                        }
                    }
                }
                if line < stop {
                    out.extend(lacks[line].iter().map(|lacks| if *lacks { b'+' } else { b' ' }));
                    out.extend_from_slice(result[line]);
                    if !result[line].ends_with(b"\n") {
                        out.push(b'\n');
                    }
                }
            }
        }
        at = stop.max(end + 1);
    }
}
