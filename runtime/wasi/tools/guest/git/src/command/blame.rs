//! `git blame`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::date;
use crate::error::{Result, die, fatal};
use crate::object::{Commit, Id};
use crate::pathspec::Pathspec;
use crate::rename;
use crate::repo::Repo;
use crate::text::{self, Lines, Space};
use bstr::ByteSlice;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// `git blame`
pub fn blame(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "slftnwe"));
    let (mut brief, mut long, mut names, mut numbers, mut raw_time, mut mail, mut porcelain) =
        (false, false, false, false, false, false, false);
    let mut each = false;
    let mut how = Lines::default();
    let mut ranges: Vec<String> = Vec::new();
    let mut form = repo.config.get("blame.date").unwrap_or("iso").to_owned();
    let mut length = None;
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-s" => brief = true,
            "-l" => long = true,
            "-f" | "--show-name" => names = true,
            "-n" | "--show-number" => numbers = true,
            "-t" => raw_time = true,
            "-e" | "--show-email" => mail = true,
            "-w" => how.ignore = Space::All,
            "-p" | "--porcelain" => porcelain = true,
            "--line-porcelain" => {
                porcelain = true;
                each = true;
            }
            "-L" => ranges.push(args.value(&option)?),
            "--date" => form = args.value(&option)?,
            "--abbrev" => length = args.value(&option)?.parse::<usize>().ok(),
            "-M" | "-C" | "--root" | "--first-parent" | "--no-progress" | "--progress" | "-b"
            | "--color-lines" => {}
            option if option.starts_with("-L") => ranges.push(option[2..].to_owned()),
            option => return Err(unknown(option, "blame [<options>] [<rev-opts>] [<rev>] [--] <file>")),
        }
    }
    let (rev, typed) = match args.plain.as_slice() {
        [file] => (None, file),
        [rev, file] => (Some(rev.to_str_lossy().into_owned()), file),
        _ => return Err(die(129, "usage: git blame [<options>] [<rev-opts>] [<rev>] [--] <file>")),
    };
    let path = repo.inside(typed)?;
    let start = match &rev {
        Some(rev) => repo.rev_commit(rev)?,
        None => repo.head_id().ok_or_else(|| fatal("no such ref: HEAD"))?,
    };
    let missing =
        || fatal(format!("no such path '{}' in {}", path.to_str_lossy(), rev.as_deref().unwrap_or("HEAD")));
    let content = match &rev {
        Some(_) => {
            let (_, id) = repo.in_tree(repo.odb.commit(&start)?.tree, &path)?.ok_or_else(missing)?;
            repo.odb.blob(&id)?
        }
        None => match repo.content(&path) {
            Ok(content) => {
                if repo.index()?.get(&path).is_none() {
                    return Err(missing());
                }
                content
            }
            Err(_) => return Err(missing()),
        },
    };
    let lines = text::split(&content);
    let mut wanted: Vec<usize> = Vec::new();
    for range in &ranges {
        let (from, to) = line_range(range, &lines, &path)?;
        wanted.extend(from..to);
    }
    if ranges.is_empty() {
        wanted.extend(0..lines.len());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let found = trace(repo, start, &path, &lines, &wanted, rev.is_none(), &how)?;
    write(
        repo,
        &found,
        &lines,
        &wanted,
        &Shown { brief, long, names, numbers, raw_time, mail, porcelain, each, form, length, path: &path },
        out,
    )?;
    Ok(0)
}

fn line_range(range: &str, lines: &[&[u8]], path: &[u8]) -> Result<(usize, usize)> {
    let bad = || die(128, format!("fatal: -L argument '{range}' is not a range"));
    let count = lines.len();
    if let Some(name) = range.strip_prefix(':') {
        let regex = crate::pattern::compile(name, crate::pattern::Form::Basic, false, false)?;
        let heading = |line: &[u8]| {
            if path.ends_with(b".py") {
                text::python_heading(line).or_else(|| text::plain_heading(line))
            } else {
                text::plain_heading(line)
            }
        };
        let from = (0..count)
            .find(|at| heading(lines[*at]).is_some() && regex.is_match(lines[*at]))
            .ok_or_else(|| fatal(format!("-L parameter '{name}' starting at line 1: no match")))?;
        let to = (from + 1..count).find(|at| heading(lines[*at]).is_some()).unwrap_or(count);
        return Ok((from, to));
    }
    let (left, right) = range.split_once(',').unwrap_or((range, ""));
    let place = |text: &str, after: usize| -> Result<usize> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            let regex = crate::pattern::compile(pattern, crate::pattern::Form::Basic, false, false)?;
            return (after..count).find(|at| regex.is_match(lines[*at])).map(|at| at + 1).ok_or_else(|| {
                fatal(format!("-L parameter '{pattern}' starting at line {}: no match", after + 1))
            });
        }
        text.parse().map_err(|_| bad())
    };
    let from = if left.is_empty() { 1 } else { place(left, 0)? };
    let to = if right.is_empty() {
        count
    } else if let Some(more) = right.strip_prefix('+') {
        from + more.parse::<usize>().map_err(|_| bad())? - 1
    } else if let Some(less) = right.strip_prefix('-') {
        let less = less.parse::<usize>().map_err(|_| bad())?;
        return Ok((from.saturating_sub(less), from));
    } else {
        place(right, from)?
    };
    if from > count {
        return Err(fatal(format!(
            "file {} has only {count} line{}",
            path.to_str_lossy(),
            if count == 1 { "" } else { "s" }
        )));
    }
    Ok((from.max(1) - 1, to.min(count)))
}

struct Found {
    commit: Option<Id>,
    path: Vec<u8>,
    line: usize,
}

// Lines whose origin is looked for: where each stands in this commit's file, and its place in the result.
type Lines_ = Vec<(usize, usize)>;

fn trace(
    repo: &Repo,
    start: Id,
    path: &[u8],
    lines: &[&[u8]],
    wanted: &[usize],
    work: bool,
    how: &Lines,
) -> Result<BTreeMap<usize, Found>> {
    let mut found = BTreeMap::new();
    let mut open: Lines_ = wanted.iter().map(|line| (*line, *line)).collect();
    if work {
        // What the worktree has and the commit has not is not committed yet.
        match repo.in_tree(repo.odb.commit(&start)?.tree, path)? {
            Some((_, id)) => {
                let old = repo.odb.blob(&id)?;
                let kept = pass(&text::split(&old), lines, &open, how);
                for (line, place) in &open {
                    if !kept.iter().any(|(_, other)| other == place) {
                        found.insert(*place, Found { commit: None, path: path.to_vec(), line: *line });
                    }
                }
                open = kept;
            }
            None => {
                for (line, place) in open.drain(..) {
                    found.insert(place, Found { commit: None, path: path.to_vec(), line });
                }
            }
        }
    }
    let mut waiting: HashMap<(Id, Vec<u8>), Lines_> = HashMap::new();
    let mut queue: BinaryHeap<(i64, Id, Vec<u8>)> = BinaryHeap::new();
    queue.push((repo.odb.commit(&start)?.committer.time, start, path.to_vec()));
    waiting.insert((start, path.to_vec()), open);
    while let Some((_, id, path)) = queue.pop() {
        let Some(mut lines) = waiting.remove(&(id, path.clone())) else { continue };
        if lines.is_empty() {
            continue;
        }
        let commit = repo.odb.commit(&id)?;
        let Some((_, blob)) = repo.in_tree(commit.tree, &path)? else { continue };
        let content = repo.odb.blob(&blob)?;
        let new = text::split(&content);
        for parent in &commit.parents {
            if lines.is_empty() {
                break;
            }
            let Ok(before) = repo.odb.commit(parent) else { continue };
            let mut origin = repo.in_tree(before.tree, &path)?.map(|(_, id)| (path.clone(), id));
            if origin.is_none() {
                let changes = rename::find(
                    repo,
                    repo.diff_trees(Some(before.tree), Some(commit.tree), &Pathspec::default())?,
                    rename::MOST / 2,
                    false,
                )?;
                let moved =
                    changes.iter().find(|change| change.path() == path.as_slice() && change.score.is_some());
                origin =
                    moved.and_then(|change| change.old.as_ref()).map(|side| (side.path.clone(), side.id));
            }
            let Some((old_path, old_blob)) = origin else { continue };
            let passed = if old_blob == blob {
                std::mem::take(&mut lines)
            } else {
                let old = repo.odb.blob(&old_blob)?;
                let passed = pass(&text::split(&old), &new, &lines, how);
                lines.retain(|(_, place)| !passed.iter().any(|(_, other)| other == place));
                passed
            };
            if !passed.is_empty() {
                queue.push((before.committer.time, *parent, old_path.clone()));
                waiting.entry((*parent, old_path)).or_default().extend(passed);
            }
        }
        for (line, place) in lines {
            found.insert(place, Found { commit: Some(id), path: path.clone(), line });
        }
    }
    Ok(found)
}

// The lines that were there before, at their old places.
fn pass(old: &[&[u8]], new: &[&[u8]], lines: &Lines_, how: &Lines) -> Lines_ {
    let edits = text::edits(old, new, how);
    let mut passed = Vec::new();
    for (line, place) in lines {
        let mut shift = 0isize;
        let mut touched = false;
        for edit in &edits {
            if edit.new.0 > *line {
                break;
            }
            if *line < edit.new.1 {
                touched = true;
                break;
            }
            shift += (edit.old.1 - edit.old.0) as isize - (edit.new.1 - edit.new.0) as isize;
        }
        if !touched {
            passed.push(((*line as isize + shift) as usize, *place));
        }
    }
    passed
}

struct Shown<'a> {
    brief: bool,
    long: bool,
    names: bool,
    numbers: bool,
    raw_time: bool,
    mail: bool,
    porcelain: bool,
    each: bool,
    form: String,
    length: Option<usize>,
    path: &'a [u8],
}

fn write(
    repo: &Repo,
    found: &BTreeMap<usize, Found>,
    lines: &[&[u8]],
    wanted: &[usize],
    shown: &Shown<'_>,
    out: &mut Out,
) -> Result<()> {
    let mut commits: HashMap<Id, Commit> = HashMap::new();
    for id in found.values().filter_map(|found| found.commit) {
        if let std::collections::hash_map::Entry::Vacant(entry) = commits.entry(id) {
            entry.insert(repo.odb.commit(&id)?);
        }
    }
    let now = date::now();
    let name = |found: &Found| match found.commit {
        Some(id) => {
            let who = &commits[&id].author;
            if shown.mail {
                [b"<".as_slice(), &who.mail, b">"].concat().to_str_lossy().into_owned()
            } else {
                who.name.to_str_lossy().into_owned()
            }
        }
        None if shown.mail => "<not.committed.yet>".into(),
        None => "Not Committed Yet".into(),
    };
    let when = |found: &Found| match found.commit {
        Some(id) => (commits[&id].author.time, commits[&id].author.zone),
        None => (now, 0),
    };
    if shown.porcelain {
        return porcelain(repo, found, lines, wanted, shown, &commits, out);
    }
    let width_name = found.values().map(|found| name(found).chars().count()).max().unwrap_or(0);
    let width_date = found
        .values()
        .map(|found| {
            let (time, zone) = when(found);
            date::show(time, zone, &shown.form).len()
        })
        .max()
        .unwrap_or(0);
    let digits = wanted.last().map_or(1, |line| (line + 1).to_string().len());
    let old_digits = found.values().map(|found| (found.line + 1).to_string().len()).max().unwrap_or(1);
    let names = shown.names || found.values().any(|found| found.path != shown.path);
    let width_path = found.values().map(|found| found.path.to_str_lossy().chars().count()).max().unwrap_or(0);
    let length = if shown.long {
        40
    } else {
        shown.length.map_or_else(
            || commits.keys().map(|id| repo.short(id).len()).max().unwrap_or(7) + 1,
            |length| length + 1,
        )
    }
    .min(40);
    for (line, found) in wanted.iter().filter_map(|line| found.get(line).map(|found| (*line, found))) {
        let hex = found.commit.unwrap_or(Id::ZERO).hex();
        let root = found.commit.is_some_and(|id| commits[&id].parents.is_empty());
        let mut head = if root { format!("^{}", &hex[..length - 1]) } else { hex[..length].to_owned() };
        if names {
            let path = found.path.to_str_lossy();
            head += &format!(" {path:<width_path$}");
        }
        if shown.numbers {
            head += &format!(" {:>old_digits$}", found.line + 1);
        }
        if !shown.brief {
            let (time, zone) = when(found);
            let name = name(found);
            let pad = width_name - name.chars().count();
            let date = if shown.raw_time {
                format!("{time} {}", date::zone(zone))
            } else {
                date::show(time, zone, &shown.form)
            };
            head += &format!(" ({name}{:pad$} {date:<width_date$}", "");
            head += &format!(" {:>digits$}) ", line + 1);
        } else {
            head += &format!(" {:>digits$}) ", line + 1);
        }
        out.bytes.extend_from_slice(head.as_bytes());
        out.bytes.extend_from_slice(lines[line]);
        if !lines[line].ends_with(b"\n") {
            out.bytes.push(b'\n');
        }
        out.pass()?;
    }
    Ok(())
}

fn porcelain(
    repo: &Repo,
    found: &BTreeMap<usize, Found>,
    lines: &[&[u8]],
    wanted: &[usize],
    shown: &Shown<'_>,
    commits: &HashMap<Id, Commit>,
    out: &mut Out,
) -> Result<()> {
    let _ = repo;
    let mut said: Vec<Id> = Vec::new();
    let list: Vec<(usize, &Found)> =
        wanted.iter().filter_map(|line| found.get(line).map(|found| (*line, found))).collect();
    for (at, (line, origin)) in list.iter().enumerate() {
        let id = origin.commit.unwrap_or(Id::ZERO);
        let follows = at > 0
            && list[at - 1].1.commit == origin.commit
            && list[at - 1].1.line + 1 == origin.line
            && list[at - 1].0 + 1 == *line;
        let mut head = format!("{id} {} {}", origin.line + 1, line + 1);
        if !follows {
            let run = (at + 1..list.len())
                .take_while(|next| {
                    list[*next].1.commit == origin.commit
                        && list[*next].1.line == origin.line + (next - at)
                        && list[*next].0 == line + (next - at)
                })
                .count();
            head += &format!(" {}", run + 1);
        }
        out.line(head);
        if shown.each || !said.contains(&id) {
            said.push(id);
            if let Some(commit) = commits.get(&id) {
                for (role, who) in [("author", &commit.author), ("committer", &commit.committer)] {
                    out.line([format!("{role} ").as_bytes(), &who.name].concat());
                    out.line([format!("{role}-mail <").as_bytes(), &who.mail, b">"].concat());
                    out.line(format!("{role}-time {}\n{role}-tz {}", who.time, date::zone(who.zone)));
                }
                out.line([b"summary ".as_slice(), &commit.subject()].concat());
                if commit.parents.is_empty() {
                    out.line("boundary");
                } else if let Some(parent) = commit.parents.first() {
                    out.line([format!("previous {parent} ").as_bytes(), &origin.path].concat());
                }
            }
            out.line([b"filename ".as_slice(), &origin.path].concat());
        }
        out.bytes.push(b'\t');
        out.bytes.extend_from_slice(lines[*line]);
        if !lines[*line].ends_with(b"\n") {
            out.bytes.push(b'\n');
        }
    }
    Ok(())
}
