//! `git add`

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::ignore::Ignore;
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::{Found, Untracked};
use crate::{Out, warn};

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
        return crate::command::pieces::add(repo, &Pathspec::new(repo, &args.plain)?, out);
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
pub(super) fn write(
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
