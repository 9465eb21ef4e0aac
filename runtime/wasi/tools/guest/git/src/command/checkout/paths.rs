//! Single files brought back: `git restore`, `git checkout -- file`.

use super::say;
use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::index::Entry;
use crate::object::Kind;
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::Found;

fn unmatched(typed: &[u8]) -> crate::error::Die {
    die(1, [b"error: pathspec '", typed, b"' did not match any file(s) known to git"].concat())
}

pub(super) fn checkout_paths(
    repo: &Repo,
    from: Option<&str>,
    paths: &[Vec<u8>],
    stage: u8,
    quiet: bool,
) -> Result<i32> {
    let specs = Pathspec::new(repo, paths)?;
    let mut index = repo.index()?;
    let mut count = 0;
    match from {
        Some(from) => {
            let tree = repo.rev_tree(from)?;
            let files = repo.tree_files(Some(tree))?;
            if let Some(typed) = specs.unmatched(files.keys().map(Vec::as_slice)) {
                return Err(unmatched(typed));
            }
            for (path, (mode, id)) in files.into_iter().filter(|(path, _)| specs.has(path)) {
                let fresh = match index.get(&path) {
                    Some(entry) if (entry.mode, entry.id) == (mode, id) => {
                        matches!(repo.compare(&index, entry)?, Found::Same)
                    }
                    _ => false,
                };
                if !fresh {
                    repo.check_out(&mut index, &path, mode, id)?;
                    count += 1;
                }
            }
            say(quiet, format!("Updated {count} path{} from {}", plural(count), repo.short(&tree)));
        }
        None => {
            if let Some(typed) = specs.unmatched(index.entries.iter().map(|entry| entry.path.as_slice())) {
                return Err(unmatched(typed));
            }
            if stage == 0
                && let Some(path) = index.unmerged().into_iter().find(|path| specs.has(path))
            {
                return Err(die(1, [b"error: path '", path.as_slice(), b"' is unmerged"].concat()));
            }
            for entry in index.entries.clone().into_iter().filter(|entry| specs.has(&entry.path)) {
                if entry.stage == 0 {
                    if !matches!(repo.compare(&index, &entry)?, Found::Same) {
                        repo.check_out(&mut index, &entry.path, entry.mode, entry.id)?;
                        count += 1;
                    }
                } else if entry.stage == stage {
                    repo.write_out(&entry.path, entry.mode, &repo.odb.blob(&entry.id)?)?;
                    count += 1;
                }
            }
            say(quiet, format!("Updated {count} path{} from the index", plural(count)));
        }
    }
    index.write(&repo.index_path())?;
    Ok(0)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `git restore`
pub fn restore(repo: &Repo, args: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qSW"));
    let (mut source, mut staged, mut work, mut stage) = (None, false, false, 0);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-s" | "--source" => source = Some(args.value(&option)?),
            "-S" | "--staged" => staged = true,
            "-W" | "--worktree" => work = true,
            "--ours" => stage = 2,
            "--theirs" => stage = 3,
            "-q" | "--quiet" | "--progress" | "--no-progress" | "--overlay" | "--no-overlay"
            | "--ignore-unmerged" => {}
            option if option.starts_with("-s") => source = Some(option[2..].to_owned()),
            option => return Err(unknown(option, "restore [<options>] [--source=<branch>] <file>...")),
        }
    }
    if args.plain.is_empty() {
        return Err(fatal("you must specify path(s) to restore"));
    }
    if !staged {
        work = true;
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    if source.is_none() && !staged {
        return checkout_paths(repo, None, &args.plain, stage, true);
    }
    let mut index = repo.index()?;
    let tree = match &source {
        Some(source) => Some(repo.rev_tree(source)?),
        None => repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten(),
    };
    let files = repo.tree_files(tree)?;
    let tracked: Vec<Vec<u8>> = index.entries.iter().map(|entry| entry.path.clone()).collect();
    if let Some(typed) = specs.unmatched(files.keys().chain(&tracked).map(Vec::as_slice)) {
        return Err(unmatched(typed));
    }
    for path in tracked.iter().filter(|path| specs.has(path) && !files.contains_key(*path)) {
        if work {
            repo.remove_file(path)?;
        }
        if staged {
            index.remove(path);
        }
    }
    for (path, (mode, id)) in files.into_iter().filter(|(path, _)| specs.has(path)) {
        if work && staged {
            repo.check_out(&mut index, &path, mode, id)?;
        } else if work {
            repo.write_out(&path, mode, &repo.odb.blob(&id)?)?;
        } else if index.get(&path).is_none_or(|entry| (entry.mode, entry.id) != (mode, id)) {
            index.put(Entry::new(path, mode, id));
        }
    }
    index.write(&repo.index_path())?;
    Ok(0)
}
