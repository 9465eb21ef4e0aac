//! `git checkout`, `git switch`, `git restore` and `git reset`.

use super::branch::valid_name;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::refs::Head;
use crate::repo::Repo;
use crate::worktree::Found;
use crate::{Out, warn};
use bstr::ByteSlice;

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
            say_detached(name);
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
pub fn say_detached(name: &str) {
    warn(format!(
        "Note: switching to '{name}'.\n\nYou are in 'detached HEAD' state. You can look around, make experimental\nchanges and commit them, and you can discard any commits you make in this\nstate without impacting any branches by switching back to a branch.\n\nIf you want to create a new branch to retain commits you create, you may\ndo so (now or later) by using -c with the switch command. Example:\n\n  git switch -c <new-branch-name>\n\nOr undo this operation with:\n\n  git switch -\n\nTurn off this advice by setting config variable advice.detachedHead to false\n"
    ));
}

/// Brings index and worktree from HEAD's tree to a commit's, keeping local changes that do not collide.
pub fn move_work(repo: &Repo, target: Id, force: bool) -> Result<()> {
    let head = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
    let tree = repo.peel(target, Kind::Tree)?;
    if force {
        return reset_work(repo, tree);
    }
    two_way(repo, head, tree, "checkout", "switch branches")
}

/// The same between any two trees; `what` and `before` word the refusal.
pub fn two_way(repo: &Repo, head: Option<Id>, tree: Option<Id>, what: &str, before: &str) -> Result<()> {
    let mut index = repo.index()?;
    let changes = repo.diff_trees(head, tree, &Pathspec::default())?;
    let (mut dirty, mut untracked) = (Vec::new(), Vec::new());
    let mut todo = Vec::new();
    for change in changes {
        let path = change.path().to_vec();
        let old = change.old.as_ref().map(|side| (side.mode, side.id));
        let new = change.new.as_ref().map(|side| (side.mode, side.id));
        let entry = index.get(&path).cloned();
        let now = entry.as_ref().map(|entry| (entry.mode, entry.id));
        if now == new {
            continue;
        }
        if now != old {
            dirty.push(path);
            continue;
        }
        match &entry {
            Some(entry) => {
                if matches!(repo.compare(&index, entry)?, Found::Changed(..)) {
                    dirty.push(path);
                    continue;
                }
            }
            None => {
                if std::fs::symlink_metadata(repo.at(&path)?).is_ok_and(|meta| !meta.is_dir()) {
                    let same = change.new.as_ref().is_some_and(|new| {
                        repo.content(&path).is_ok_and(|content| Id::of(Kind::Blob, &content) == new.id)
                    });
                    if !same
                        && !crate::ignore::Ignore::new(repo)
                            .covers(&path, false)
                            .is_some_and(|rule| rule.ignored)
                    {
                        untracked.push(path);
                        continue;
                    }
                }
            }
        }
        todo.push((path, new));
    }
    let list = |paths: &[Vec<u8>]| {
        paths.iter().map(|path| format!("\t{}\n", path.to_str_lossy())).collect::<String>()
    };
    let mut text = String::new();
    if !dirty.is_empty() {
        text += &format!(
            "error: Your local changes to the following files would be overwritten by {what}:\n{}Please commit your changes or stash them before you {before}.\n",
            list(&dirty)
        );
    }
    if !untracked.is_empty() {
        text += &format!(
            "error: The following untracked working tree files would be overwritten by {what}:\n{}Please move or remove them before you {before}.\n",
            list(&untracked)
        );
    }
    if !text.is_empty() {
        return Err(die(1, text + "Aborting"));
    }
    for (path, new) in &todo {
        if new.is_none() {
            repo.remove_file(path)?;
            index.remove(path);
        }
    }
    for (path, new) in todo {
        if let Some((mode, id)) = new {
            repo.check_out(&mut index, &path, mode, id)?;
        }
    }
    index.write(&repo.index_path())
}

/// Makes index and worktree exactly a tree.
pub fn reset_work(repo: &Repo, tree: Option<Id>) -> Result<()> {
    let mut index = repo.index()?;
    let want = repo.tree_files(tree)?;
    let have: Vec<Vec<u8>> = index.entries.iter().map(|entry| entry.path.clone()).collect();
    for path in have {
        if !want.contains_key(&path) {
            repo.remove_file(&path)?;
            index.remove(&path);
        }
    }
    for (path, (mode, id)) in want {
        let fresh = match index.get(&path) {
            Some(entry) if (entry.mode, entry.id) == (mode, id) => {
                matches!(repo.compare(&index, entry)?, Found::Same)
            }
            _ => false,
        };
        if !fresh {
            repo.check_out(&mut index, &path, mode, id)?;
        }
    }
    index.write(&repo.index_path())
}

fn unmatched(typed: &[u8]) -> crate::error::Die {
    die(1, [b"error: pathspec '", typed, b"' did not match any file(s) known to git"].concat())
}

fn checkout_paths(repo: &Repo, from: Option<&str>, paths: &[Vec<u8>], stage: u8, quiet: bool) -> Result<i32> {
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
