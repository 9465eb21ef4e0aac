//! `git worktree`

use super::branch::valid_name;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::linked::{Linked, absolute};
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::refs::{Head, short};
use crate::repo::Repo;
use crate::worktree::Untracked;
use crate::{Out, warn};
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: git worktree add [-f] [--detach] [--checkout] [--lock [--reason <string>]]
                        [-b <new-branch>] <path> [<commit-ish>]
   or: git worktree list [-v | --porcelain [-z]]
   or: git worktree lock [--reason <string>] <worktree>
   or: git worktree move <worktree> <new-path>
   or: git worktree prune [-n] [-v] [--expire <expire>]
   or: git worktree remove [-f] <worktree>
   or: git worktree repair [<path>...]
   or: git worktree unlock <worktree>
";

/// `git worktree`
pub fn worktree(repo: &Repo, mut args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    if args.is_empty() {
        return Err(die(129, format!("error: need a subcommand\n{USAGE}")));
    }
    let name = String::from_utf8_lossy(&args.remove(0)).into_owned();
    match name.as_str() {
        "add" => add(repo, args, out),
        "list" => list(repo, args, out),
        "lock" => lock(repo, args),
        "unlock" => unlock(repo, args),
        "move" => shift(repo, args),
        "prune" => prune(repo, args),
        "remove" => remove(repo, args),
        _ => Err(die(129, format!("error: unknown subcommand: `{name}'\n{USAGE}"))),
    }
}

/// What `add` was asked for.
#[derive(Default)]
struct Asked {
    force: bool,
    quiet: bool,
    detach: bool,
    create: Option<String>,
    reset: bool,
    empty: bool,
    lock: Option<String>,
}

fn ask(args: &mut Args) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut locks = false;
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-f" | "--force" => asked.force = true,
            "-q" | "--quiet" => asked.quiet = true,
            "-d" | "--detach" => asked.detach = true,
            "-b" => asked.create = Some(args.value(&option)?),
            "-B" => {
                asked.create = Some(args.value(&option)?);
                asked.reset = true;
            }
            "--no-checkout" => asked.empty = true,
            "--lock" => locks = true,
            "--reason" => asked.lock = Some(args.value(&option)?),
            "--checkout" | "--track" | "--no-track" | "--guess-remote" | "--no-guess-remote" => {}
            option => return Err(unknown(option, "worktree add [<options>] <path> [<commit-ish>]")),
        }
    }
    match (locks, &asked.lock) {
        (false, Some(_)) => Err(fatal("the option '--reason' requires '--lock'")),
        (true, None) => Ok(Asked { lock: Some(String::new()), ..asked }),
        _ => Ok(asked),
    }
}

fn add(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "fqd"));
    let mut asked = ask(&mut args)?;
    let words = args.words();
    let (typed, start) = match words.as_slice() {
        [typed] => (typed, None),
        [typed, start] => (typed, Some(if start == "-" { "@{-1}" } else { start.as_str() })),
        _ => return Err(die(129, USAGE.trim_end())),
    };
    let path = absolute(Path::new(typed))?;
    // Without more, the branch is named as the directory.
    let mut branch = None;
    if start.is_none() && asked.create.is_none() && !asked.detach {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match repo.find_ref(&format!("refs/heads/{name}")) {
            Some(_) => branch = Some(name),
            None => asked.create = Some(name),
        }
    } else if let Some(start) = start.filter(|_| asked.create.is_none() && !asked.detach) {
        branch = repo.find_ref(&format!("refs/heads/{start}")).map(|_| start.to_owned());
    }
    let from = branch.as_deref().or(start).unwrap_or("HEAD");
    let invalid = |_| fatal(format!("invalid reference: {from}"));
    let id = repo.rev_commit(from).map_err(invalid)?;
    if let Some(name) = &asked.create {
        create_branch(repo, name, id, from, &asked)?;
        branch = Some(name.clone());
    } else if !asked.quiet {
        warn(match &branch {
            Some(name) => format!("Preparing worktree (checking out '{name}')"),
            None => format!("Preparing worktree (detached HEAD {})", repo.short(&id)),
        });
    }
    let full = branch.map(|name| format!("refs/heads/{name}"));
    let taken = path.exists() && !fs::read_dir(&path).is_ok_and(|mut names| names.next().is_none());
    if taken {
        return Err(fatal(format!("'{typed}' already exists")));
    }
    if let Some(full) = full.as_deref().filter(|_| !asked.force) {
        refuse_twice(repo, full)?;
    }
    let known = repo.worktrees()?.into_iter().find(|linked| linked.path == path && !linked.main);
    match known {
        Some(known) if asked.force && known.locked.is_none() => forget(repo, &known)?,
        Some(_) => {
            return Err(fatal(format!(
                "'{typed}' is a missing but already registered worktree;\nuse 'add -f' to override, or 'prune' or 'remove' to clear"
            )));
        }
        None => {}
    }
    let head = full.map_or(Head::Detached(id), Head::Branch);
    let linked = link(repo, &path, &head, id)?;
    if let Some(why) = &asked.lock {
        fs::write(
            linked.dir.join("locked"),
            if why.is_empty() { String::new() } else { format!("{why}\n") },
        )?;
    }
    let own = linked.open();
    own.log_line("HEAD", None, id, "")?;
    if !asked.empty {
        super::checkout::reset_work(&own, own.peel(id, Kind::Tree)?)?;
        fs::write(own.dir.join("ORIG_HEAD"), format!("{id}\n"))?;
        own.log_line("HEAD", Some(id), id, "reset: moving to HEAD")?;
        if !asked.quiet {
            let subject = own.odb.commit(&id)?.subject();
            out.line([format!("HEAD is now at {} ", own.short(&id)).as_bytes(), &subject].concat());
        }
    }
    Ok(0)
}

fn create_branch(repo: &Repo, name: &str, id: Id, from: &str, asked: &Asked) -> Result<()> {
    if !valid_name(name) {
        return Err(fatal(format!("'{name}' is not a valid branch name")));
    }
    let full = format!("refs/heads/{name}");
    let old = repo.find_ref(&full);
    if old.is_some() && !asked.reset {
        return Err(fatal(format!("a branch named '{name}' already exists")));
    }
    if old.is_some() && !asked.force {
        refuse_twice(repo, &full)?;
    }
    if !asked.quiet {
        warn(match old {
            Some(old) => {
                format!("Preparing worktree (resetting branch '{name}'; was at {})", repo.short(&old))
            }
            None => format!("Preparing worktree (new branch '{name}')"),
        });
    }
    let what = if old.is_some() { "Reset to" } else { "Created from" };
    repo.set_ref(&full, id, &format!("branch: {what} {from}"))
}

/// Refuses a branch that some worktree, this one too, has checked out.
fn refuse_twice(repo: &Repo, full: &str) -> Result<()> {
    let here = matches!(repo.head(), Ok(Head::Branch(name)) if name == full);
    let at = if here { repo.work.clone() } else { repo.elsewhere(full)? };
    match at {
        Some(at) => Err(fatal(format!("'{}' is already checked out at '{}'", short(full), at.display()))),
        None => Ok(()),
    }
}

/// Makes a worktree's own part of the repository, and its directory with the way back.
fn link(repo: &Repo, path: &Path, head: &Head, id: Id) -> Result<Linked> {
    let base = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let worktrees = repo.common.join("worktrees");
    let name = std::iter::once(base.clone()).chain((1..).map(|number| format!("{base}{number}")));
    let dir = name.map(|name| worktrees.join(name)).find(|dir| !dir.exists()).unwrap_or_default();
    let failed = |at: &Path, error: std::io::Error| {
        fatal(format!("could not create leading directories of '{}': {}", at.display(), reason(&error)))
    };
    fs::create_dir_all(path).map_err(|error| failed(&path.join(".git"), error))?;
    fs::create_dir_all(&dir).map_err(|error| failed(&dir, error))?;
    let text = match head {
        Head::Branch(name) => format!("ref: {name}\n"),
        Head::Detached(id) => format!("{id}\n"),
    };
    fs::write(dir.join("HEAD"), text)?;
    fs::write(dir.join("commondir"), "../..\n")?;
    fs::write(dir.join("gitdir"), format!("{}/.git\n", path.display()))?;
    fs::write(path.join(".git"), format!("gitdir: {}\n", dir.display()))?;
    let (path, head) = (path.to_owned(), None);
    Ok(Linked { path, dir, head, id: Some(id), locked: None, main: false, bare: false })
}

fn list(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut porcelain, mut verbose, mut end) = (false, false, '\n');
    while let Some(option) = args.option() {
        match option.as_str() {
            "--porcelain" => porcelain = true,
            "-v" | "--verbose" => verbose = true,
            "-z" => end = '\0',
            option => return Err(unknown(option, "worktree list [-v | --porcelain [-z]]")),
        }
    }
    let all = repo.worktrees()?;
    if porcelain {
        for linked in &all {
            let mut lines = vec![format!("worktree {}", linked.path.display())];
            if linked.bare {
                lines.push("bare".into());
            } else {
                lines.push(format!("HEAD {}", linked.id.unwrap_or(Id::ZERO)));
                lines.push(match &linked.head {
                    Some(Head::Branch(name)) => format!("branch {name}"),
                    _ => "detached".into(),
                });
            }
            if let Some(why) = &linked.locked {
                lines.push(format!("locked {why}").trim_end().to_owned());
            }
            lines.extend(linked.gone().map(|why| format!("prunable {why}")));
            lines.push(String::new());
            lines.iter().for_each(|line| out.bytes.extend(format!("{line}{end}").bytes()));
        }
        return Ok(0);
    }
    let width = all.iter().map(|linked| linked.path.display().to_string().chars().count()).max().unwrap_or(0);
    for linked in &all {
        let mut line = format!("{:width$}  ", linked.path.display().to_string());
        if linked.bare {
            line += "(bare)";
        } else {
            line += &repo.short(&linked.id.unwrap_or(Id::ZERO));
            line += &match &linked.head {
                Some(Head::Branch(name)) => format!(" [{}]", short(name)),
                Some(Head::Detached(_)) => " (detached HEAD)".into(),
                None => " (error)".into(),
            };
        }
        for (word, why) in [("locked", linked.locked.as_deref()), ("prunable", linked.gone())] {
            match why {
                Some(why) if verbose && !why.is_empty() => line += &format!("\n\t{word}: {why}"),
                Some(_) => line += &format!(" {word}"),
                None => {}
            }
        }
        out.line(line);
    }
    Ok(0)
}

fn only(args: &Args, usage: &str) -> Result<String> {
    match args.words().as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(die(129, format!("usage: git worktree {usage}\n"))),
    }
}

fn find(repo: &Repo, typed: &str) -> Result<Linked> {
    repo.worktree_of(typed)?.ok_or_else(|| fatal(format!("'{typed}' is not a working tree")))
}

fn lock(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(args);
    let mut reason = String::new();
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--reason" => reason = args.value(&option)? + "\n",
            option => return Err(unknown(option, "worktree lock [--reason <string>] <worktree>")),
        }
    }
    let typed = only(&args, "lock [--reason <string>] <worktree>")?;
    let linked = find(repo, &typed)?;
    match linked.locked {
        _ if linked.main => Err(fatal("The main working tree cannot be locked or unlocked")),
        Some(why) if why.is_empty() => Err(fatal(format!("'{typed}' is already locked"))),
        Some(why) => Err(fatal(format!("'{typed}' is already locked, reason: {why}"))),
        None => {
            fs::write(linked.dir.join("locked"), reason)?;
            Ok(0)
        }
    }
}

fn unlock(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(args);
    if let Some(option) = args.option() {
        return Err(unknown(&option, "worktree unlock <worktree>"));
    }
    let typed = only(&args, "unlock <worktree>")?;
    let linked = find(repo, &typed)?;
    if linked.main {
        return Err(fatal("The main working tree cannot be locked or unlocked"));
    }
    if linked.locked.is_none() {
        return Err(fatal(format!("'{typed}' is not locked")));
    }
    fs::remove_file(linked.dir.join("locked"))?;
    Ok(0)
}

/// Refuses the main worktree, and a locked one unless forced twice.
fn changeable(linked: &Linked, typed: &str, what: &str, force: usize) -> Result<()> {
    if linked.main {
        return Err(fatal(format!("'{typed}' is a main working tree")));
    }
    match &linked.locked {
        Some(why) if force < 2 => {
            let tail = format!("use '{what} -f -f' to override or unlock first");
            Err(fatal(if why.is_empty() {
                format!("cannot {what} a locked working tree;\n{tail}")
            } else {
                format!("cannot {what} a locked working tree, lock reason: {why}\n{tail}")
            }))
        }
        _ => Ok(()),
    }
}

fn shift(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(args);
    let mut force = 0;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-f" | "--force" => force += 1,
            option => return Err(unknown(option, "worktree move <worktree> <new-path>")),
        }
    }
    let words = args.words();
    let [typed, target] = words.as_slice() else {
        return Err(die(129, "usage: git worktree move <worktree> <new-path>\n"));
    };
    let linked = find(repo, typed)?;
    changeable(&linked, typed, "move", force)?;
    let mut to = absolute(Path::new(target))?;
    if to.is_dir() {
        to.push(linked.path.file_name().unwrap_or_default());
    }
    if to.exists() {
        return Err(fatal(format!("target '{}' already exists", to.display())));
    }
    fs::rename(&linked.path, &to).map_err(|error| {
        fatal(format!("failed to move '{typed}' to '{}': {}", to.display(), reason(&error)))
    })?;
    fs::write(linked.dir.join("gitdir"), format!("{}/.git\n", to.display()))?;
    Ok(0)
}

fn prune(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "nv"));
    let (mut dry, mut verbose) = (false, false);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-n" | "--dry-run" => dry = true,
            "-v" | "--verbose" => verbose = true,
            "--expire" => _ = args.value(&option)?,
            option => return Err(unknown(option, "worktree prune [-n] [-v] [--expire <expire>]")),
        }
    }
    for linked in repo.worktrees()? {
        let Some(why) = linked.gone() else { continue };
        if dry || verbose {
            let name = linked.dir.file_name().unwrap_or_default().to_string_lossy();
            warn(format!("Removing worktrees/{name}: {why}"));
        }
        if !dry {
            forget(repo, &linked)?;
        }
    }
    Ok(0)
}

fn remove(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "f"));
    let mut force = 0;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-f" | "--force" => force += 1,
            option => return Err(unknown(option, "worktree remove [-f] <worktree>")),
        }
    }
    let typed = only(
        &args,
        "remove [-f] <worktree>\n\n    -f, --force           force removal even if worktree is dirty or locked",
    )?;
    let linked = find(repo, &typed)?;
    changeable(&linked, &typed, "remove", force)?;
    if linked.path.join(".git").exists() {
        if force == 0 && changed(&linked.open())? {
            return Err(fatal(format!(
                "'{typed}' contains modified or untracked files, use --force to delete it"
            )));
        }
        fs::remove_dir_all(&linked.path).map_err(|error| {
            fatal(format!("failed to delete '{}': {}", linked.path.display(), reason(&error)))
        })?;
    }
    forget(repo, &linked)?;
    Ok(0)
}

fn changed(repo: &Repo) -> Result<bool> {
    let all = Pathspec::default();
    let index = repo.index()?;
    let tree = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
    Ok(!repo.diff_cached(tree, &index, &all)?.is_empty()
        || !repo.diff_files(&index, &all)?.is_empty()
        || !repo.untracked(&index, &all, Untracked::Normal, false)?.is_empty())
}

/// Takes a worktree's part of the repository away.
fn forget(repo: &Repo, linked: &Linked) -> Result<()> {
    let failed = |at: &PathBuf, error: std::io::Error| {
        fatal(format!("failed to delete '{}': {}", at.display(), reason(&error)))
    };
    fs::remove_dir_all(&linked.dir).map_err(|error| failed(&linked.dir, error))?;
    // The directory of them all goes with the last.
    let _ = fs::remove_dir(repo.common.join("worktrees"));
    Ok(())
}
