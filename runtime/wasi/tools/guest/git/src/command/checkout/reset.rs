//! `git reset`

use super::trees::{reset_work, two_way};
use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal};
use crate::index::{Entry, Index};
use crate::object::Kind;
use crate::pathspec::Pathspec;
use crate::repo::Repo;

/// `git reset`
pub fn reset(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qN"));
    let (mut mode, mut quiet) = ("mixed", false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--soft" => mode = "soft",
            "--mixed" => mode = "mixed",
            "--hard" => mode = "hard",
            "--merge" | "--keep" => mode = "keep",
            "-q" | "--quiet" => quiet = true,
            "-N" | "--no-quiet" | "--refresh" | "--no-refresh" => {}
            option => {
                return Err(unknown(
                    option,
                    "reset [--mixed | --soft | --hard | --merge | --keep] [-q] [<commit>]",
                ));
            }
        }
    }
    let (revs, paths) = repo.sort_args(&args.plain, args.dashes)?;
    let name = revs.from.first().map_or("HEAD", |(name, _)| name.as_str());
    let head = repo.head_id();
    let target = match revs.from.first() {
        Some((name, _)) if paths.is_empty() => Some(repo.rev_commit(name)?),
        Some((_, id)) => Some(*id),
        None => head,
    };
    let tree = target.map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
    if !paths.is_empty() {
        if mode != "mixed" {
            return Err(fatal(format!("Cannot do {mode} reset with paths.")));
        }
        let specs = Pathspec::new(repo, &paths)?;
        let mut index = repo.index()?;
        for change in repo.diff_cached(tree, &index, &specs)? {
            match &change.old {
                Some(old) => index.put(Entry::new(old.path.clone(), old.mode, old.id)),
                None => {
                    index.remove(change.path());
                }
            }
        }
        return unstaged(repo, index, quiet, out);
    }
    if let Some(target) = target {
        std::fs::write(repo.dir.join("ORIG_HEAD"), format!("{}\n", head.unwrap_or(target)))?;
    }
    match mode {
        "hard" => reset_work(repo, tree)?,
        "keep" => {
            let old = head.map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
            two_way(repo, old, tree, "reset", "reset")?;
        }
        _ => {}
    }
    if let Some(target) = target {
        repo.set_head(target, &format!("reset: moving to {name}"))?;
    }
    for name in ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD"] {
        if mode != "soft" {
            let _ = std::fs::remove_file(repo.dir.join(name));
        }
    }
    if mode == "hard"
        && !quiet
        && let Some(target) = target
    {
        let commit = repo.odb.commit(&target)?;
        out.line([format!("HEAD is now at {} ", repo.short(&target)).as_bytes(), &commit.subject()].concat());
    }
    if mode == "mixed" {
        let mut index = repo.index()?;
        for path in index.unmerged() {
            index.remove(&path);
        }
        for change in repo.diff_cached(tree, &index, &Pathspec::default())? {
            match &change.old {
                Some(old) => index.put(Entry::new(old.path.clone(), old.mode, old.id)),
                None => {
                    index.remove(change.path());
                }
            }
        }
        return unstaged(repo, index, quiet, out);
    }
    Ok(0)
}

fn unstaged(repo: &Repo, index: Index, quiet: bool, out: &mut Out) -> Result<i32> {
    index.write(&repo.index_path())?;
    if !quiet && repo.work.is_some() {
        let changes = repo.diff_files(&index, &Pathspec::default())?;
        if !changes.is_empty() {
            out.line("Unstaged changes after reset:");
            for change in changes {
                out.line([&[change.status() as u8, b'\t'][..], change.path()].concat());
            }
        }
    }
    Ok(0)
}
