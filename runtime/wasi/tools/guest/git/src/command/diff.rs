//! `git diff` and its plumbing.

use crate::Out;
use crate::args::Args;
use crate::diff::{Change, Side};
use crate::error::{Result, die, fatal, reason};
use crate::object::{Id, Kind};
use crate::odb::EMPTY_TREE;
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::Style;
use crate::text;
use bstr::ByteSlice;

/// `git diff`
pub fn diff(repo: Result<Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let outside = args.iter().any(|arg| arg == b"--no-index");
    if outside || repo.is_err() {
        return no_index(repo, args, out);
    }
    let repo = &repo?;
    let mut style = Style::new(Some(repo));
    let mut cached = false;
    let mut merge_base = false;
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if style.option(&option, &mut || args.next())? {
            continue;
        }
        match option.as_str() {
            "--cached" | "--staged" => cached = true,
            "--merge-base" => merge_base = true,
            "--ours" | "--theirs" | "--base" | "--cc" | "-c" => {}
            _ => return Err(die(129, format!("error: invalid option: {option}"))),
        }
    }
    if style.unset {
        style.patch = true;
    }
    let (revs, paths) = repo.sort_args(&args.plain, args.dashes)?;
    let specs = Pathspec::new(repo, &paths)?;
    let tree = |id: Id| -> Result<Id> {
        repo.peel(id, Kind::Tree)?.ok_or_else(|| fatal(format!("bad object {id}")))
    };
    let mut changes = if cached {
        let tree = match revs.from.first() {
            Some((_, id)) => Some(tree(*id)?),
            None => repo.head_id().map(tree).transpose()?,
        };
        repo.diff_cached(tree, &repo.index()?, &specs)?
    } else if let Some((old, new)) = revs.range {
        let old =
            if revs.three { revs.not.first().copied().ok_or_else(|| fatal("no merge base"))? } else { old };
        repo.diff_trees(Some(tree(old)?), Some(tree(new)?), &specs)?
    } else {
        match revs.from.as_slice() {
            [] => repo.diff_files(&repo.index()?, &specs)?,
            [(_, id)] => match repo.odb.kind(id) {
                Some(Kind::Blob) => return Err(fatal("one blob cannot be compared with the worktree")),
                _ => {
                    let id = match (merge_base, repo.head_id()) {
                        (true, Some(head)) => repo.merge_base(*id, head)?.first().copied().unwrap_or(*id),
                        _ => *id,
                    };
                    repo.diff_work(Some(tree(id)?), &repo.index()?, &specs)?
                }
            },
            [(a, old), (b, new)] => match (repo.odb.kind(old), repo.odb.kind(new)) {
                (Some(Kind::Blob), Some(Kind::Blob)) => {
                    let side = |name: &str, id: &Id| {
                        Side::stored(name.rsplit(':').next().unwrap_or(name).as_bytes(), 0o100644, *id)
                    };
                    vec![Change::new(Some(side(a, old)), Some(side(b, new)))]
                }
                _ => repo.diff_trees(Some(tree(*old)?), Some(tree(*new)?), &specs)?,
            },
            _ => return Err(fatal("more than two revisions")),
        }
    };
    if !style.reverse && !cached && revs.from.is_empty() && changes.iter().any(|change| change.unmerged) {
        changes = combined(repo, changes, &style, out)?;
    }
    let changes = style.prepare(repo, changes)?;
    style.write(repo, &changes, &mut out.bytes)?;
    Ok(i32::from(style.exit_code && !changes.is_empty()))
}

// A file in conflict is shown against both sides.
fn combined(repo: &Repo, changes: Vec<Change>, style: &Style, out: &mut Out) -> Result<Vec<Change>> {
    let index = repo.index()?;
    let (unmerged, mut rest): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.unmerged);
    for change in unmerged {
        let stages = index.stages(change.path());
        let side = |stage: u8| stages.iter().find(|entry| entry.stage == stage);
        let (Some(ours), Some(theirs)) = (side(2), side(3)) else {
            rest.push(change);
            continue;
        };
        if !style.patch {
            rest.push(change);
            continue;
        }
        let work = repo.content(change.path()).unwrap_or_default();
        let (a, b) = (repo.odb.blob(&ours.id)?, repo.odb.blob(&theirs.id)?);
        let name = change.path().to_str_lossy();
        out.line(format!("diff --cc {name}"));
        out.line(format!("index {},{}..{}", repo.short(&ours.id), repo.short(&theirs.id), "0000000"));
        out.line(format!("--- a/{name}"));
        out.line(format!("+++ b/{name}"));
        crate::merge::combined(&mut out.bytes, &text::split(&a), &text::split(&b), &text::split(&work));
    }
    rest.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(rest)
}

fn no_index(repo: Result<Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut style = Style::new(repo.as_ref().ok());
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if style.option(&option, &mut || args.next())? || option == "--no-index" {
            continue;
        }
        return Err(die(129, format!("error: invalid option: {option}")));
    }
    if style.unset {
        style.patch = true;
    }
    let [a, b] = args.plain.as_slice() else {
        return Err(die(129, "usage: git diff --no-index [<options>] <path> <path>"));
    };
    let here = std::env::current_dir()?;
    let plain = Repo {
        dir: here.clone(),
        common: here.clone(),
        work: Some(here.clone()),
        prefix: Vec::new(),
        config: repo.map(|repo| repo.config).unwrap_or_default(),
        odb: crate::odb::Odb::open(here.join(".git/objects")),
    };
    let mut changes = Vec::new();
    pair(&plain, a, b, &mut changes)?;
    let same = changes.is_empty();
    style.write(&plain, &changes, &mut out.bytes)?;
    Ok(i32::from(!same))
}

fn pair(repo: &Repo, a: &[u8], b: &[u8], changes: &mut Vec<Change>) -> Result<()> {
    let stat = |path: &[u8]| guest_host::stat(guest_host::path_of(path), true);
    let missing = |path: &[u8], error: std::io::Error| {
        let path = path.to_str_lossy().into_owned();
        match error.kind() {
            std::io::ErrorKind::NotFound => die(128, format!("error: Could not access '{path}'")),
            _ => fatal(format!("{path}: {}", reason(&error))),
        }
    };
    let side = |path: &[u8]| -> Result<Option<Side>> {
        if path == b"/dev/null" {
            return Ok(None);
        }
        let stat = stat(path).map_err(|error| missing(path, error))?;
        let id = Id::of(Kind::Blob, &repo.content(path)?);
        Ok(Some(Side { path: path.to_vec(), mode: repo.mode_of(&stat, 0), id, work: true, unknown: false }))
    };
    let is_dir = |path: &[u8]| stat(path).is_ok_and(|stat| stat.mode & 0o170000 == 0o040000);
    if is_dir(a) && is_dir(b) {
        let names = |dir: &[u8]| -> Vec<Vec<u8>> {
            let names = std::fs::read_dir(guest_host::path_of(dir)).into_iter().flatten().flatten();
            names.map(|name| guest_host::bytes_of(&name.file_name()).to_vec()).collect()
        };
        let (of_a, of_b) = (names(a), names(b));
        let mut all: Vec<_> = of_a.iter().chain(&of_b).cloned().collect();
        all.sort();
        all.dedup();
        let join = |dir: &[u8], name: &[u8]| [dir.trim_end_with(|c| c == '/'), b"/", name].concat();
        for name in all {
            let (left, right) = (join(a, &name), join(b, &name));
            match (of_a.contains(&name), of_b.contains(&name)) {
                (true, true) => pair(repo, &left, &right, changes)?,
                (true, false) if !is_dir(&left) => changes.push(Change::new(side(&left)?, None)),
                (false, true) if !is_dir(&right) => changes.push(Change::new(None, side(&right)?)),
                _ => {}
            }
        }
        return Ok(());
    }
    let (old, new) = (side(a)?, side(b)?);
    if let (Some(old), Some(new)) = (&old, &new)
        && old.id == new.id
        && old.mode == new.mode
    {
        return Ok(());
    }
    changes.push(Change::new(old, new));
    Ok(())
}

/// `git diff-tree`
pub fn diff_tree(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut style = Style::new(Some(repo));
    style.renames = false;
    let (mut recursive, mut root, mut no_id) = (false, false, false);
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if style.option(&option, &mut || args.next())? {
            continue;
        }
        match option.as_str() {
            "-r" => recursive = true,
            "--root" => root = true,
            "--no-commit-id" => no_id = true,
            "-m" | "-c" | "--cc" | "-t" => {}
            _ => return Err(die(129, format!("error: invalid option: {option}"))),
        }
    }
    if style.unset {
        style.raw = true;
        style.full_index = true;
    }
    let _ = recursive;
    let (revs, paths) = repo.sort_args(&args.plain, args.dashes)?;
    let specs = Pathspec::new(repo, &paths)?;
    let tree = |id: Id| repo.peel(id, Kind::Tree);
    let changes = match revs.from.as_slice() {
        [(_, id)] => {
            let commit = repo.odb.commit(id)?;
            let parent = commit.parents.first().map(|parent| tree(*parent)).transpose()?.flatten();
            if parent.is_none() && !root {
                return Ok(0);
            }
            if !no_id {
                out.line(id.hex());
            }
            repo.diff_trees(parent.or(Some(EMPTY_TREE)), Some(commit.tree), &specs)?
        }
        [(_, a), (_, b)] => repo.diff_trees(tree(*a)?, tree(*b)?, &specs)?,
        _ => return Err(die(129, "usage: git diff-tree [<options>] <tree-ish> [<tree-ish>] [<path>...]")),
    };
    let changes = style.prepare(repo, changes)?;
    style.write(repo, &changes, &mut out.bytes)?;
    Ok(i32::from(style.exit_code && !changes.is_empty()))
}

/// `git diff-index`
pub fn diff_index(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    plumbing(repo, args, out, true)
}

/// `git diff-files`
pub fn diff_files(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    plumbing(repo, args, out, false)
}

fn plumbing(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out, with_tree: bool) -> Result<i32> {
    let mut style = Style::new(Some(repo));
    style.renames = false;
    let mut cached = false;
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if style.option(&option, &mut || args.next())? {
            continue;
        }
        match option.as_str() {
            "--cached" => cached = true,
            "-r" | "-m" => {}
            _ => return Err(die(129, format!("error: invalid option: {option}"))),
        }
    }
    if style.unset {
        style.raw = true;
        style.full_index = true;
    }
    let (revs, paths) = repo.sort_args(&args.plain, args.dashes)?;
    let specs = Pathspec::new(repo, &paths)?;
    let index = repo.index()?;
    let changes = match revs.from.first() {
        Some((_, id)) if with_tree => {
            let tree = repo.peel(*id, Kind::Tree)?;
            if cached {
                repo.diff_cached(tree, &index, &specs)?
            } else {
                repo.diff_work(tree, &index, &specs)?
            }
        }
        _ => repo.diff_files(&index, &specs)?,
    };
    let changes = style.prepare(repo, changes)?;
    style.write(repo, &changes, &mut out.bytes)?;
    Ok(i32::from(style.exit_code && !changes.is_empty()))
}
