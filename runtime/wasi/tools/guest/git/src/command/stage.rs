//! What changes the index: `git add`, `rm`, `mv`, `update-index`, and `git clean`.

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::ignore::Ignore;
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::{Found, Untracked};
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git add`
pub fn add(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "Aunvfp"));
    let (mut all, mut update, mut dry, mut verbose, mut force, mut intent, mut mode) =
        (false, false, false, false, false, false, None);
    let mut pieces = false;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-A" | "--all" | "--no-ignore-removal" => all = true,
            "-u" | "--update" => update = true,
            "-n" | "--dry-run" => dry = true,
            "-v" | "--verbose" => verbose = true,
            "-f" | "--force" => force = true,
            "-N" | "--intent-to-add" => intent = true,
            "--chmod=+x" => mode = Some(0o100755),
            "--chmod=-x" => mode = Some(0o100644),
            "--ignore-errors" | "--ignore-missing" | "--refresh" | "--renormalize" | "--sparse" => {}
            "-p" | "--patch" => pieces = true,
            "-i" | "--interactive" | "-e" | "--edit" => {
                return Err(fatal(format!(
                    "{option} needs a terminal or an editor, which this sandbox has not"
                )));
            }
            option => return Err(unknown(option, "add [<options>] [--] <pathspec>...")),
        }
    }
    if pieces {
        return super::pieces::add(repo, &Pathspec::new(repo, &args.plain)?, out);
    }
    if args.plain.is_empty() && !all && !update {
        warn(
            "Nothing specified, nothing added.\nhint: Maybe you wanted to say 'git add .'?\nhint: Turn this message off by running\nhint: \"git config advice.addEmptyPathspec false\"",
        );
        return Ok(0);
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let mut index = repo.index()?;
    let mut changed: Vec<(&str, Vec<u8>)> = Vec::new();
    for entry in index.entries.clone() {
        if entry.stage > 1 && index.get(&entry.path).is_some() || !specs.has(&entry.path) {
            continue;
        }
        let found = if entry.stage == 0 {
            repo.compare(&index, &entry)?
        } else if std::fs::symlink_metadata(repo.at(&entry.path)?).is_ok() {
            Found::Changed(0, Id::ZERO)
        } else {
            Found::Missing
        };
        match found {
            Found::Same => {}
            Found::Missing => changed.push(("remove", entry.path)),
            Found::Changed(..) => changed.push(("add", entry.path)),
        }
    }
    if !update {
        changed.extend(
            repo.untracked(&index, &specs, Untracked::All, false)?
                .into_iter()
                .filter(|path| !path.ends_with(b"/"))
                .map(|path| ("add", path)),
        );
        if force {
            changed.extend(
                repo.untracked(&index, &specs, Untracked::All, true)?
                    .into_iter()
                    .filter(|path| !path.ends_with(b"/"))
                    .map(|path| ("add", path)),
            );
        }
        let known = index
            .entries
            .iter()
            .map(|entry| entry.path.as_slice())
            .chain(changed.iter().map(|(_, path)| path.as_slice()));
        if let Some(typed) = specs.unmatched(known) {
            let inside = repo.inside(typed)?;
            let mut ignore = Ignore::new(repo);
            let exists = std::fs::symlink_metadata(repo.at(&inside)?).ok();
            let is_dir = exists.as_ref().is_some_and(|meta| meta.is_dir());
            if exists.is_some() && !force && ignore.covers(&inside, is_dir).is_some_and(|rule| rule.ignored) {
                write(repo, &mut index, &changed, dry, verbose, intent, mode, out)?;
                let mut text = b"The following paths are ignored by one of your .gitignore files:\n".to_vec();
                text.extend_from_slice(&inside);
                text.extend_from_slice(b"\nhint: Use -f if you really want to add them.\nhint: Turn this message off by running\nhint: \"git config advice.addIgnoredFile false\"");
                return Err(die(1, text));
            }
            if !is_dir {
                return Err(fatal([b"pathspec '", typed, b"' did not match any files"].concat()));
            }
        }
    }
    changed.sort_by(|a, b| a.1.cmp(&b.1));
    write(repo, &mut index, &changed, dry, verbose, intent, mode, out)?;
    Ok(0)
}

#[allow(clippy::too_many_arguments)]
fn write(
    repo: &Repo,
    index: &mut Index,
    changed: &[(&str, Vec<u8>)],
    dry: bool,
    verbose: bool,
    intent: bool,
    mode: Option<u32>,
    out: &mut Out,
) -> Result<()> {
    for (what, path) in changed {
        if verbose || dry {
            out.line([what.as_bytes(), b" '", path, b"'"].concat());
        }
        if dry {
            continue;
        }
        if *what == "remove" {
            index.remove(path);
        } else if intent {
            if index.get(path).is_none() {
                let mut entry = Entry::new(path.clone(), 0o100644, Id::of(Kind::Blob, b""));
                entry.intent = true;
                index.put(entry);
            }
        } else {
            repo.stage(index, path)?;
            if let (Some(mode), Some(entry)) = (mode, index.get_mut(path)) {
                entry.mode = mode;
            }
        }
    }
    if dry { Ok(()) } else { index.write(&repo.index_path()) }
}

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
    if let Some(typed) = specs.unmatched(paths.iter().map(Vec::as_slice)) {
        if !lenient {
            return Err(fatal([b"pathspec '", typed, b"' did not match any files"].concat()));
        }
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

/// `git clean`
pub fn clean(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "fdqnxX"));
    let (mut force, mut dirs, mut quiet, mut dry, mut ignored, mut only) =
        (!repo.config.is("clean.requireforce", true), false, false, false, false, false);
    let mut excluded = Vec::new();
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-f" | "--force" => force = true,
            "-d" => dirs = true,
            "-q" | "--quiet" => quiet = true,
            "-n" | "--dry-run" => dry = true,
            "-x" => ignored = true,
            "-X" => {
                ignored = true;
                only = true;
            }
            "-e" | "--exclude" => excluded.push(args.value(&option)?),
            option => {
                return Err(unknown(
                    option,
                    "clean [-d] [-f] [-i] [-n] [-q] [-e <pattern>] [-x | -X] [--] [<pathspec>...]",
                ));
            }
        }
    }
    if !force && !dry {
        return Err(fatal(
            "clean.requireForce defaults to true and neither -i, -n, nor -f given; refusing to clean",
        ));
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let index = repo.index()?;
    let mut paths = if only { Vec::new() } else { repo.untracked(&index, &specs, Untracked::Normal, false)? };
    if ignored {
        paths.extend(repo.untracked(&index, &specs, Untracked::Normal, true)?);
    }
    paths.sort();
    for path in paths {
        let is_dir = path.ends_with(b"/");
        let name = path.trim_end_with(|c| c == '/');
        let base = name.rfind_byte(b'/').map_or(name, |at| &name[at + 1..]);
        if (is_dir && !dirs && specs.is_empty())
            || excluded
                .iter()
                .any(|pattern| crate::glob::matches(pattern.trim_end_matches('/').as_bytes(), base, true))
        {
            continue;
        }
        if !path.starts_with(&repo.prefix) {
            continue;
        }
        if is_dir && repo.at(name)?.join(".git").exists() {
            if !quiet {
                out.line(
                    [
                        if dry { b"Would skip repository ".as_slice() } else { b"Skipping repository " },
                        &repo.shown(&path),
                    ]
                    .concat(),
                );
            }
            continue;
        }
        if dry || !quiet {
            out.line(
                [if dry { b"Would remove ".as_slice() } else { b"Removing " }, &repo.shown(&path)].concat(),
            );
        }
        if !dry {
            let at = repo.at(name)?;
            let removed = if is_dir { std::fs::remove_dir_all(&at) } else { std::fs::remove_file(&at) };
            removed.map_err(|error| {
                fatal(format!("failed to remove {}: {}", name.to_str_lossy(), reason(&error)))
            })?;
        }
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
