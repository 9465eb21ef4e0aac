//! `git checkout`, `git switch`, `git restore` and `git reset`.

mod paths;
mod reset;
mod trees;

use super::branch::valid_name;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal};
use crate::index::Index;
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::refs::Head;
use crate::repo::Repo;
use crate::{Out, warn};
use paths::checkout_paths;
pub use paths::restore;
pub use reset::reset;
pub use trees::{move_work, reset_work, two_way};

/// `git checkout`
pub fn checkout(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qf"));
    let (mut quiet, mut force, mut detach, mut create, mut reset, mut orphan) =
        (false, false, false, None, false, None);
    let mut stage = 0;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-q" | "--quiet" => quiet = true,
            "-f" | "--force" => force = true,
            "-b" => create = Some(args.value(&option)?),
            "-B" => {
                create = Some(args.value(&option)?);
                reset = true;
            }
            "--orphan" => orphan = Some(args.value(&option)?),
            "-d" | "--detach" => detach = true,
            "--ours" => stage = 2,
            "--theirs" => stage = 3,
            "-t" | "--track" | "--no-track" | "--no-guess" | "--guess" | "--progress" | "--no-progress"
            | "-m" | "--merge" | "--overlay" | "--no-overlay" => {}
            option => {
                return Err(unknown(
                    option,
                    "checkout [<options>] <branch>\n   or: git checkout [<options>] [<branch>] -- <file>...",
                ));
            }
        }
    }
    let words = args.words();
    if let Some(name) = orphan {
        repo.move_head(&Head::Branch(format!("refs/heads/{name}")), "")?;
        say(quiet, format!("Switched to a new branch '{name}'"));
        return Ok(0);
    }
    if let Some(name) = create {
        return create_branch(repo, &name, words.first().map(String::as_str), reset, force, quiet, out);
    }
    // What stands before `--` is a tree; without it, a word is a revision if it names one.
    let (from, paths): (Option<String>, Vec<Vec<u8>>) = match args.dashes {
        Some(0) => (None, args.plain.clone()),
        Some(_) => (Some(words[0].clone()), args.plain[1..].to_vec()),
        None => match words.first() {
            None => (None, Vec::new()),
            Some(first) if first == "-" || repo.try_rev(first)?.is_some() => {
                (Some(first.clone()), args.plain[1..].to_vec())
            }
            Some(first)
                if words.len() == 1
                    && std::fs::symlink_metadata(guest_host::path_of(&args.plain[0])).is_err() =>
            {
                let found: Vec<_> = repo
                    .refs("refs/remotes/")
                    .into_keys()
                    .filter(|name| name.ends_with(&format!("/{first}")))
                    .collect();
                if let [remote] = found.as_slice() {
                    return create_branch(repo, first, Some(remote), false, force, quiet, out);
                }
                (None, args.plain.clone())
            }
            Some(_) => (None, args.plain.clone()),
        },
    };
    if !paths.is_empty() {
        return checkout_paths(repo, from.as_deref(), &paths, stage, quiet || args.dashes.is_some());
    }
    let name = match from {
        Some(name) if name == "-" => repo.earlier_branch(1).ok_or_else(|| fatal("no previous branch"))?,
        Some(name) => name,
        None if args.dashes.is_some() => return Err(fatal("you must specify path(s) to restore")),
        None => {
            let index = repo.index()?;
            let tree = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
            if force {
                reset_work(repo, tree)?;
            }
            local_changes(repo, tree, &index, quiet, out)?;
            return Ok(0);
        }
    };
    switch_to(repo, &name, detach, force, quiet, out)
}

fn say(quiet: bool, text: impl AsRef<[u8]>) {
    if !quiet {
        warn(text);
    }
}

fn local_changes(repo: &Repo, tree: Option<Id>, index: &Index, quiet: bool, out: &mut Out) -> Result<()> {
    if !quiet {
        for change in repo.diff_work(tree, index, &Pathspec::default())? {
            out.line([&[change.status() as u8, b'\t'][..], change.path()].concat());
        }
    }
    Ok(())
}

fn create_branch(
    repo: &Repo,
    name: &str,
    start: Option<&str>,
    reset: bool,
    force: bool,
    quiet: bool,
    out: &mut Out,
) -> Result<i32> {
    if !valid_name(name) {
        return Err(fatal(format!("'{name}' is not a valid branch name")));
    }
    let full = format!("refs/heads/{name}");
    let exists = repo.find_ref(&full).is_some();
    if exists && !reset {
        return Err(fatal(format!("a branch named '{name}' already exists")));
    }
    let head = repo.head_id();
    let target = match start {
        Some(start) => Some(repo.rev_commit(start).map_err(|_| {
            fatal(format!("'{start}' is not a commit and a branch '{name}' cannot be created from it"))
        })?),
        None => head,
    };
    let from = here(repo)?;
    if let Some(target) = target {
        if Some(target) != head {
            move_work(repo, target, force)?;
        }
        let what = if exists { "Reset to" } else { "Created from" };
        repo.set_ref(&full, target, &format!("branch: {what} {}", start.unwrap_or("HEAD")))?;
    }
    repo.move_head(&Head::Branch(full), &format!("checkout: moving from {from} to {name}"))?;
    if let (Some(target), true) = (target, start.is_some()) {
        let _ = target;
        let tree = repo.peel(target, Kind::Tree)?;
        local_changes(repo, tree, &repo.index()?, quiet, out)?;
    }
    say(
        quiet,
        if exists && from == name {
            format!("Reset branch '{name}'")
        } else if exists {
            format!("Switched to and reset branch '{name}'")
        } else {
            format!("Switched to a new branch '{name}'")
        },
    );
    Ok(0)
}

fn here(repo: &Repo) -> Result<String> {
    Ok(match repo.head()? {
        Head::Branch(name) => name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned(),
        Head::Detached(id) => id.hex(),
    })
}

fn switch_to(repo: &Repo, name: &str, detach: bool, force: bool, quiet: bool, out: &mut Out) -> Result<i32> {
    let target = repo.rev_commit(name)?;
    let full = format!("refs/heads/{name}");
    let is_branch = !detach && repo.find_ref(&full).is_some();
    let old = repo.head()?;
    if is_branch && let Some(at) = repo.elsewhere(&full)? {
        return Err(fatal(format!("'{name}' is already checked out at '{}'", at.display())));
    }
    let from = here(repo)?;
    move_work(repo, target, force)?;
    // To where it is already, nothing moves and nothing is said.
    if name == "HEAD" && !detach {
        let tree = repo.peel(target, Kind::Tree)?;
        local_changes(repo, tree, &repo.index()?, quiet, out)?;
        return Ok(0);
    }
    let to = if is_branch { Head::Branch(full.clone()) } else { Head::Detached(target) };
    let same = matches!(&old, Head::Branch(old) if is_branch && *old == full);
    let old_id = repo.head_id();
    repo.move_head(&to, &format!("checkout: moving from {from} to {name}"))?;
    let tree = repo.peel(target, Kind::Tree)?;
    local_changes(repo, tree, &repo.index()?, quiet, out)?;
    if let (Head::Detached(id), true) = (&old, old_id != Some(target) || is_branch) {
        let commit = repo.odb.commit(id)?;
        say(
            quiet,
            [format!("Previous HEAD position was {} ", repo.short(id)).as_bytes(), &commit.subject()]
                .concat(),
        );
    }
    if same {
        say(quiet, format!("Already on '{name}'"));
    } else if is_branch {
        say(quiet, format!("Switched to branch '{name}'"));
    } else {
        if matches!(old, Head::Branch(_)) && !quiet && !detach && repo.config.is("advice.detachedhead", true)
        {
            say_detached(repo, name);
        }
        let commit = repo.odb.commit(&target)?;
        say(
            quiet,
            [format!("HEAD is now at {} ", repo.short(&target)).as_bytes(), &commit.subject()].concat(),
        );
    }
    if is_branch
        && !quiet
        && let Some((upstream, counts)) = super::status::tracking(repo, name)
    {
        out.line(super::status::about_upstream(&upstream, counts));
    }
    Ok(0)
}

/// Tells what HEAD on no branch means.
pub fn say_detached(repo: &Repo, name: &str) {
    if !repo.config.is("advice.detachedhead", true) {
        return;
    }
    warn(format!(
        "Note: switching to '{name}'.\n\nYou are in 'detached HEAD' state. You can look around, make experimental\nchanges and commit them, and you can discard any commits you make in this\nstate without impacting any branches by switching back to a branch.\n\nIf you want to create a new branch to retain commits you create, you may\ndo so (now or later) by using -c with the switch command. Example:\n\n  git switch -c <new-branch-name>\n\nOr undo this operation with:\n\n  git switch -\n\nTurn off this advice by setting config variable advice.detachedHead to false\n"
    ));
}

/// `git switch`
pub fn switch(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qf"));
    let (mut quiet, mut force, mut detach, mut create, mut reset) = (false, false, false, None, false);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-q" | "--quiet" => quiet = true,
            "-f" | "--force" | "--discard-changes" => force = true,
            "-c" | "--create" => create = Some(args.value(&option)?),
            "-C" | "--force-create" => {
                create = Some(args.value(&option)?);
                reset = true;
            }
            "-d" | "--detach" => detach = true,
            "-t" | "--track" | "--no-track" | "--guess" | "--no-guess" | "--no-progress" => {}
            option => return Err(unknown(option, "switch [<options>] [<branch>]")),
        }
    }
    let words = args.words();
    if let Some(name) = create {
        return create_branch(repo, &name, words.first().map(String::as_str), reset, force, quiet, out);
    }
    let name = match words.first().map(String::as_str) {
        Some("-") => repo.earlier_branch(1).ok_or_else(|| fatal("no previous branch"))?,
        Some(name) => name.to_owned(),
        None => return Err(fatal("missing branch or commit argument")),
    };
    if !detach && repo.find_ref(&format!("refs/heads/{name}")).is_none() {
        return Err(match repo.try_rev(&name)? {
            Some(_) => fatal(format!(
                "a branch is expected, got commit '{name}'\nhint: If you want to detach HEAD at the commit, try again with the --detach option."
            )),
            None => fatal(format!("invalid reference: {name}")),
        });
    }
    switch_to(repo, &name, detach, force, quiet, out)
}
