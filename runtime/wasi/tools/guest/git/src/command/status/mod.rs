//! `git status`

mod branch;
mod long;

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::diff::Change;
use crate::error::{Result, fatal};
use crate::index::Index;
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::rename;
use crate::repo::Repo;
use crate::show::quote;
use crate::worktree::Untracked;
pub use branch::{about_upstream, detached, tracking};
use long::long;
use std::collections::BTreeMap;

/// What a status tells.
pub struct Status {
    pub staged: Vec<Change>,
    pub changed: Vec<Change>,
    pub unmerged: BTreeMap<Vec<u8>, u8>,
    pub untracked: Vec<Vec<u8>>,
    pub ignored: Vec<Vec<u8>>,
}

impl Status {
    pub fn new(
        repo: &Repo,
        index: &Index,
        specs: &Pathspec,
        untracked: Untracked,
        ignored: bool,
    ) -> Result<Status> {
        let head = match repo.head_id() {
            Some(id) => repo.peel(id, Kind::Tree)?,
            None => None,
        };
        let renames = repo.config.is("status.renames", repo.config.get("diff.renames") != Some("false"));
        let find = |changes: Vec<Change>| {
            if renames { rename::find(repo, changes, rename::MOST / 2, false) } else { Ok(changes) }
        };
        let mut staged = repo.diff_cached(head, index, specs)?;
        staged.retain(|change| !change.unmerged);
        let mut changed = repo.diff_files(index, specs)?;
        changed.retain(|change| !change.unmerged);
        let mut unmerged: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
        for entry in index.entries.iter().filter(|entry| entry.stage != 0 && specs.has(&entry.path)) {
            *unmerged.entry(entry.path.clone()).or_default() |= 1 << (entry.stage - 1);
        }
        Ok(Status {
            staged: find(staged)?,
            changed: find(changed)?,
            unmerged,
            untracked: repo.untracked(index, specs, untracked, false)?,
            ignored: if ignored {
                repo.untracked(index, specs, Untracked::Normal, true)?
            } else {
                Vec::new()
            },
        })
    }
}

enum Form {
    Long,
    Short,
    Porcelain,
    PorcelainTwo,
}

/// `git status`
pub fn status(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    repo.work()?;
    let mut form = if repo.config.is("status.short", false) { Form::Short } else { Form::Long };
    let mut branch = repo.config.is("status.branch", false);
    let mut zero = false;
    let mut ignored = false;
    let mut untracked = match repo.config.get("status.showuntrackedfiles") {
        Some("no") => Untracked::No,
        Some("all") => Untracked::All,
        _ => Untracked::Normal,
    };
    let mut args = Args::new(unbundle(args, "sbvz"));
    while let Some(option) = args.option() {
        match option.as_str() {
            "-s" | "--short" => form = Form::Short,
            "-b" | "--branch" => branch = true,
            "--porcelain" | "--porcelain=v1" | "--porcelain=1" => form = Form::Porcelain,
            "--porcelain=v2" | "--porcelain=2" => form = Form::PorcelainTwo,
            "--long" => form = Form::Long,
            "-z" => {
                zero = true;
                if matches!(form, Form::Long) {
                    form = Form::Porcelain;
                }
            }
            "-u" | "-uall" | "--untracked-files" | "--untracked-files=all" => untracked = Untracked::All,
            "-uno" | "--untracked-files=no" => untracked = Untracked::No,
            "-unormal" | "--untracked-files=normal" => untracked = Untracked::Normal,
            "--ignored" | "--ignored=traditional" | "--ignored=matching" => ignored = true,
            "--ignored=no" => ignored = false,
            "-v"
            | "--verbose"
            | "--ahead-behind"
            | "--no-ahead-behind"
            | "--renames"
            | "--no-renames"
            | "--no-column"
            | "--column"
            | "--show-stash"
            | "--no-optional-locks" => {}
            option if option.starts_with("--ignore-submodules") || option.starts_with("--find-renames") => {}
            option => return Err(unknown(option, "status [<options>] [--] [<pathspec>...]")),
        }
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let index = repo.index()?;
    let status = Status::new(repo, &index, &specs, untracked, ignored)?;
    match form {
        Form::Long => long(repo, &status, untracked, out)?,
        Form::Short => short(repo, &status, branch, zero, true, out)?,
        Form::Porcelain => short(repo, &status, branch, zero, false, out)?,
        Form::PorcelainTwo => second(repo, &status, branch, zero, out)?,
    }
    Ok(0)
}

fn letters(mask: u8) -> &'static str {
    match mask {
        0b001 => "DD",
        0b010 => "AU",
        0b100 => "UA",
        0b011 => "UD",
        0b101 => "DU",
        0b110 => "AA",
        _ => "UU",
    }
}

/// The two letters of a path, and where it came from.
type Line = ([u8; 2], Option<Vec<u8>>);

fn short(
    repo: &Repo,
    status: &Status,
    branch: bool,
    zero: bool,
    relative: bool,
    out: &mut Out,
) -> Result<()> {
    let end = if zero { b'\0' } else { b'\n' };
    if branch {
        let mut line = match repo.branch() {
            Some(name) if repo.head_id().is_none() => format!("## No commits yet on {name}"),
            Some(name) => {
                let mut line = format!("## {name}");
                if let Some((upstream, counts)) = tracking(repo, &name) {
                    line += &format!("...{upstream}");
                    line += &match counts {
                        None => " [gone]".to_owned(),
                        Some((0, 0)) => String::new(),
                        Some((ahead, 0)) => format!(" [ahead {ahead}]"),
                        Some((0, behind)) => format!(" [behind {behind}]"),
                        Some((ahead, behind)) => format!(" [ahead {ahead}, behind {behind}]"),
                    };
                }
                line
            }
            None => "## HEAD (no branch)".to_owned(),
        }
        .into_bytes();
        line.push(end);
        out.bytes.append(&mut line);
    }
    let name = |path: &[u8]| {
        if zero {
            return path.to_vec();
        }
        let shown = if relative { repo.shown(path) } else { path.to_vec() };
        let quoted = quote(repo, &shown);
        if quoted == shown && shown.contains(&b' ') {
            [b"\"", shown.as_slice(), b"\""].concat()
        } else {
            quoted
        }
    };
    let mut lines: BTreeMap<Vec<u8>, Line> = BTreeMap::new();
    for change in &status.staged {
        let from = change.score.and(change.old.as_ref()).map(|side| side.path.clone());
        lines.insert(change.path().to_vec(), ([change.status() as u8, b' '], from));
    }
    for change in &status.changed {
        let line = lines.entry(change.path().to_vec()).or_insert(([b' ', b' '], None));
        line.0[1] = change.status() as u8;
        if change.score.is_some() {
            line.1 = change.old.as_ref().map(|side| side.path.clone());
        }
    }
    for (path, mask) in &status.unmerged {
        let letters = letters(*mask).as_bytes();
        lines.insert(path.clone(), ([letters[0], letters[1]], None));
    }
    for (path, (letters, from)) in lines {
        out.bytes.extend_from_slice(&letters);
        out.bytes.push(b' ');
        match (from, zero) {
            (Some(from), false) => {
                out.bytes.extend_from_slice(&name(&from));
                out.bytes.extend_from_slice(b" -> ");
                out.bytes.extend_from_slice(&name(&path));
            }
            (Some(from), true) => {
                out.bytes.extend_from_slice(&path);
                out.bytes.push(0);
                out.bytes.extend_from_slice(&from);
            }
            (None, _) => out.bytes.extend_from_slice(&name(&path)),
        }
        out.bytes.push(end);
    }
    for (letters, paths) in [("?? ", &status.untracked), ("!! ", &status.ignored)] {
        for path in paths {
            out.bytes.extend_from_slice(letters.as_bytes());
            out.bytes.extend_from_slice(&name(path));
            out.bytes.push(end);
        }
    }
    Ok(())
}

fn second(repo: &Repo, status: &Status, branch: bool, zero: bool, out: &mut Out) -> Result<()> {
    let end = if zero { b'\0' } else { b'\n' };
    if branch {
        let mut lines =
            vec![format!("# branch.oid {}", repo.head_id().map_or("(initial)".into(), |id| id.hex()))];
        let head = repo.branch();
        lines.push(format!("# branch.head {}", head.as_deref().unwrap_or("(detached)")));
        if let Some((upstream, counts)) = head.and_then(|name| tracking(repo, &name)) {
            lines.push(format!("# branch.upstream {upstream}"));
            lines.extend(counts.map(|(ahead, behind)| format!("# branch.ab +{ahead} -{behind}")));
        }
        for line in lines {
            out.bytes.extend_from_slice(line.as_bytes());
            out.bytes.push(end);
        }
    }
    let name = |path: &[u8]| if zero { path.to_vec() } else { quote(repo, path) };
    let mut paths: BTreeMap<Vec<u8>, (Option<&Change>, Option<&Change>)> = BTreeMap::new();
    for change in &status.staged {
        paths.entry(change.path().to_vec()).or_default().0 = Some(change);
    }
    for change in &status.changed {
        paths.entry(change.path().to_vec()).or_default().1 = Some(change);
    }
    for (path, (staged, changed)) in paths {
        let letter = |change: Option<&Change>| change.map_or('.', Change::status);
        let index = staged
            .map(|change| change.new.clone())
            .or_else(|| changed.map(|change| change.old.clone()))
            .flatten();
        let head = match staged {
            Some(change) => change.old.clone(),
            None => index.clone(),
        };
        let work = match changed {
            Some(change) => change.new.clone(),
            None => index.clone(),
        };
        let mode = |side: &Option<crate::diff::Side>| side.as_ref().map_or(0, |side| side.mode);
        let id = |side: &Option<crate::diff::Side>| side.as_ref().map_or(Id::ZERO, |side| side.id);
        let renamed = staged.filter(|change| change.score.is_some());
        let kind = if renamed.is_some() { 2 } else { 1 };
        let mut line = format!(
            "{kind} {}{} N... {:06o} {:06o} {:06o} {} {} ",
            letter(staged),
            letter(changed),
            mode(&head),
            mode(&index),
            mode(&work),
            id(&head),
            id(&index)
        )
        .into_bytes();
        if let Some(change) = renamed {
            line.extend_from_slice(
                format!("R{} ", change.score.unwrap_or(0) * 100 / rename::MOST).as_bytes(),
            );
        }
        line.extend_from_slice(&name(&path));
        if let Some(old) = renamed.and_then(|change| change.old.as_ref()) {
            line.push(if zero { 0 } else { b'\t' });
            line.extend_from_slice(&name(&old.path));
        }
        line.push(end);
        out.bytes.append(&mut line);
    }
    for (path, mask) in &status.unmerged {
        out.bytes.extend_from_slice(format!("u {} N... ", letters(*mask)).as_bytes());
        let index = repo.index()?;
        let stages = index.stages(path);
        let stage = |number: u8| stages.iter().find(|entry| entry.stage == number);
        let modes: Vec<String> =
            (1..4).map(|number| format!("{:06o}", stage(number).map_or(0, |entry| entry.mode))).collect();
        let ids: Vec<String> =
            (1..4).map(|number| stage(number).map_or(Id::ZERO, |entry| entry.id).hex()).collect();
        out.bytes.extend_from_slice(format!("{} 100644 {} ", modes.join(" "), ids.join(" ")).as_bytes());
        out.bytes.extend_from_slice(&name(path));
        out.bytes.push(end);
    }
    for (letter, paths) in [("? ", &status.untracked), ("! ", &status.ignored)] {
        for path in paths {
            out.bytes.extend_from_slice(letter.as_bytes());
            out.bytes.extend_from_slice(&name(path));
            out.bytes.push(end);
        }
    }
    Ok(())
}

/// The same for `git commit` with nothing to commit.
pub fn say(repo: &Repo, out: &mut Out) -> Result<()> {
    let index = repo.index()?;
    let status = Status::new(repo, &index, &Pathspec::default(), Untracked::Normal, false)?;
    long(repo, &status, Untracked::Normal, out).map_err(|_| fatal("cannot read the status"))
}
