//! What changes the index: `git add`, `rm`, `mv`, `update-index`, and `git clean`.

mod add;
mod clean;

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
pub use add::add;
use bstr::ByteSlice;
pub use clean::clean;

/// `git rm`
pub fn rm(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "rfqn"));
    let (mut recursive, mut force, mut quiet, mut cached, mut dry, mut lenient) =
        (false, false, false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-r" => recursive = true,
            "-f" | "--force" => force = true,
            "-q" | "--quiet" => quiet = true,
            "-n" | "--dry-run" => dry = true,
            "--cached" => cached = true,
            "--ignore-unmatch" => lenient = true,
            "--sparse" => {}
            option => {
                return Err(unknown(
                    option,
                    "rm [-f | --force] [-n] [-r] [--cached] [--ignore-unmatch] [--quiet] [--] [<pathspec>...]",
                ));
            }
        }
    }
    if args.plain.is_empty() {
        return Err(fatal("No pathspec was given. Which files should I remove?"));
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let mut index = repo.index()?;
    let paths: Vec<Vec<u8>> = {
        let mut paths: Vec<_> =
            index.entries.iter().map(|entry| entry.path.clone()).filter(|path| specs.has(path)).collect();
        paths.dedup();
        paths
    };
    if let Some(typed) = specs.unmatched(paths.iter().map(Vec::as_slice))
        && !lenient
    {
        return Err(fatal([b"pathspec '", typed, b"' did not match any files"].concat()));
    }
    for typed in &args.plain {
        let inside = repo.inside(typed)?;
        if !recursive && index.stages(&inside).is_empty() && index.has_below(&inside) {
            return Err(fatal([b"not removing '", typed.as_slice(), b"' recursively without -r"].concat()));
        }
    }
    if !force {
        let head = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
        let staged = repo.diff_cached(head, &index, &specs)?;
        let changed = repo.diff_files(&index, &specs)?;
        let is_staged = |path: &[u8]| staged.iter().any(|change| change.path() == path && !change.unmerged);
        let is_changed = |path: &[u8]| {
            changed.iter().any(|change| change.path() == path && change.new.is_some() && !change.unmerged)
        };
        let list = |paths: Vec<&Vec<u8>>| {
            paths.iter().map(|path| format!("    {}\n", path.to_str_lossy())).collect::<String>()
        };
        let both: Vec<_> = paths.iter().filter(|path| is_staged(path) && is_changed(path)).collect();
        let only_staged: Vec<_> = paths.iter().filter(|path| is_staged(path) && !is_changed(path)).collect();
        let only_changed: Vec<_> = paths.iter().filter(|path| !is_staged(path) && is_changed(path)).collect();
        let head = |count: usize| if count == 1 { "file has" } else { "files have" };
        if !both.is_empty() {
            return Err(die(
                1,
                format!(
                    "error: the following {} staged content different from both the\nfile and the HEAD:\n{}(use -f to force removal)",
                    head(both.len()),
                    list(both)
                ),
            ));
        }
        if !only_staged.is_empty() && !cached {
            return Err(die(
                1,
                format!(
                    "error: the following {} changes staged in the index:\n{}(use --cached to keep the file, or -f to force removal)",
                    head(only_staged.len()),
                    list(only_staged)
                ),
            ));
        }
        if !only_changed.is_empty() && !cached {
            return Err(die(
                1,
                format!(
                    "error: the following {} local modifications:\n{}(use --cached to keep the file, or -f to force removal)",
                    head(only_changed.len()),
                    list(only_changed)
                ),
            ));
        }
    }
    for path in &paths {
        if !quiet {
            out.line([b"rm '", path.as_slice(), b"'"].concat());
        }
        if !dry {
            index.remove(path);
            if !cached {
                repo.remove_file(path)?;
            }
        }
    }
    if !dry {
        index.write(&repo.index_path())?;
    }
    Ok(0)
}

/// `git mv`
pub fn mv(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "fknv"));
    let (mut force, mut dry, mut verbose, mut lenient) = (false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-f" | "--force" => force = true,
            "-n" | "--dry-run" => dry = true,
            "-v" | "--verbose" => verbose = true,
            "-k" => lenient = true,
            option => return Err(unknown(option, "mv [<options>] <source>... <destination>")),
        }
    }
    let Some((last, sources)) = args.plain.split_last().filter(|(_, sources)| !sources.is_empty()) else {
        return Err(die(129, "usage: git mv [-v] [-f] [-n] [-k] <source> <destination>"));
    };
    let mut index = repo.index()?;
    let to = repo.inside(last)?;
    let into = repo.at(&to)?.is_dir();
    if sources.len() > 1 && !into {
        return Err(fatal([b"destination '", last.as_slice(), b"' is not a directory"].concat()));
    }
    for source in sources {
        let from = repo.inside(source)?;
        let name = from.rfind_byte(b'/').map_or(from.as_slice(), |at| &from[at + 1..]);
        let target = match into {
            true if to.is_empty() => name.to_vec(),
            true => [to.as_slice(), b"/", name].concat(),
            false => to.clone(),
        };
        let refuse = |why: &str| {
            fatal(format!("{why}, source={}, destination={}", from.to_str_lossy(), target.to_str_lossy()))
        };
        let inside = [from.as_slice(), b"/"].concat();
        let tracked: Vec<Entry> = index
            .entries
            .iter()
            .filter(|entry| entry.path == from || entry.path.starts_with(&inside))
            .cloned()
            .collect();
        let exists = std::fs::symlink_metadata(repo.at(&from)?).is_ok();
        let problem = if !exists {
            Some("bad source")
        } else if tracked.is_empty() {
            Some("not under version control")
        } else if std::fs::symlink_metadata(repo.at(&target)?).is_ok() && !force {
            Some("destination exists")
        } else {
            None
        };
        if let Some(why) = problem {
            if lenient {
                continue;
            }
            return Err(refuse(why));
        }
        if verbose || dry {
            out.line([b"Renaming ", from.as_slice(), b" to ", &target].concat());
        }
        if dry {
            continue;
        }
        std::fs::rename(repo.at(&from)?, repo.at(&target)?).map_err(|error| {
            refuse(&format!("renaming '{}' failed: {}", from.to_str_lossy(), reason(&error)))
        })?;
        for mut entry in tracked {
            index.remove(&entry.path);
            entry.path = [target.as_slice(), &entry.path[from.len()..]].concat();
            index.put(entry);
        }
    }
    if !dry {
        index.write(&repo.index_path())?;
    }
    Ok(0)
}

/// `git update-index`
pub fn update_index(repo: &Repo, args: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    let mut index = repo.index()?;
    let (mut add, mut remove, mut mode) = (false, false, None);
    let mut iter = args.into_iter();
    while let Some(arg) = iter.next() {
        match arg.as_slice() {
            b"--add" => add = true,
            b"--remove" => remove = true,
            b"--chmod=+x" => mode = Some(0o100755),
            b"--chmod=-x" => mode = Some(0o100644),
            b"--refresh" | b"-q" | b"--really-refresh" | b"--" | b"--force-remove" => {}
            b"--assume-unchanged" | b"--no-assume-unchanged" | b"--skip-worktree" | b"--no-skip-worktree" => {
            }
            b"--cacheinfo" => {
                let spec = iter.next().ok_or_else(|| fatal("--cacheinfo needs a value"))?;
                let parts: Vec<Vec<u8>> = if spec.contains(&b',') {
                    spec.splitn(3, |byte| *byte == b',').map(<[u8]>::to_vec).collect()
                } else {
                    std::iter::once(spec).chain(iter.by_ref().take(2)).collect()
                };
                let [bits, id, path] = parts.as_slice() else {
                    return Err(fatal("--cacheinfo needs mode, id and path"));
                };
                let bits = u32::from_str_radix(&bits.to_str_lossy(), 8).map_err(|_| fatal("bad mode"))?;
                let id = Id::parse(id).ok_or_else(|| fatal("bad object id"))?;
                index.put(Entry::new(path.clone(), bits, id));
            }
            typed => {
                let path = repo.inside(typed)?;
                let exists = std::fs::symlink_metadata(repo.at(&path)?).is_ok();
                let name = typed.to_str_lossy();
                if !exists {
                    if !remove {
                        return Err(die(
                            128,
                            format!(
                                "error: {name}: does not exist and --remove not passed\nfatal: Unable to process path {name}"
                            ),
                        ));
                    }
                    index.remove(&path);
                    continue;
                }
                if index.get(&path).is_none() && !add {
                    return Err(die(
                        128,
                        format!(
                            "error: {name}: cannot add to the index - missing --add option?\nfatal: Unable to process path {name}"
                        ),
                    ));
                }
                if mode.is_none() {
                    repo.stage(&mut index, &path)?;
                }
                if let (Some(mode), Some(entry)) = (mode, index.get_mut(&path)) {
                    entry.mode = mode;
                }
            }
        }
    }
    index.write(&repo.index_path())?;
    Ok(0)
}

/// `git write-tree`
pub fn write_tree(repo: &Repo, _: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    out.line(repo.index()?.write_tree(&repo.odb)?.hex());
    Ok(0)
}

/// `git read-tree`
pub fn read_tree(repo: &Repo, args: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut empty, mut update) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--empty" => empty = true,
            "-u" => update = true,
            "--reset" | "-m" | "-q" | "-i" => {}
            option => return Err(unknown(option, "read-tree [-m] [-u] <tree-ish>")),
        }
    }
    let tree = match args.words().first() {
        Some(name) => Some(repo.rev_tree(name)?),
        None if empty => None,
        None => return Err(fatal("no tree was given")),
    };
    if update {
        super::checkout::reset_work(repo, tree)?;
        return Ok(0);
    }
    let mut index = Index::default();
    for (path, (mode, id)) in repo.tree_files(tree)? {
        index.entries.push(Entry::new(path, mode, id));
    }
    index.write(&repo.index_path())?;
    Ok(0)
}
