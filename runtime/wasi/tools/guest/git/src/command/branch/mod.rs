//! References: `git branch`, `git tag`, and their plumbing.

mod refs;
mod remote;
mod tag;

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal};
use crate::glob;
use crate::object::Id;
use crate::refs::{Head, short};
use crate::repo::Repo;
use crate::{Out, warn};
pub use refs::{for_each_ref, show_ref, symbolic_ref, update_ref};
pub use remote::remote;
pub use tag::tag;

/// Whether a branch or tag may be called this.
pub fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && name != "@"
        && !["..", "//", "@{", "/."].iter().any(|bad| name.contains(bad))
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_ascii_control() || " ~^:?*[\\".contains(c))
}

/// `git branch`
pub fn branch(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "arvqf"));
    let (mut all, mut remotes, mut verbose, mut current, mut list, mut force, mut quiet) =
        (false, false, false, false, false, false, false);
    let (mut action, mut format, mut contains, mut merged) = (None, None, None, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-a" | "--all" => all = true,
            "-r" | "--remotes" => remotes = true,
            "-v" | "-vv" | "--verbose" => verbose = true,
            "-q" | "--quiet" => quiet = true,
            "-f" | "--force" => force = true,
            "--show-current" => current = true,
            "-l" | "--list" => list = true,
            "-d" | "--delete" => action = Some('d'),
            "-D" => action = Some('D'),
            "-m" | "--move" => action = Some('m'),
            "-M" => {
                action = Some('m');
                force = true;
            }
            "-c" | "--copy" => action = Some('c'),
            "-u" | "--set-upstream-to" => {
                let to = args.value(&option)?;
                let name = repo.branch().unwrap_or_default();
                let (full, _) = repo
                    .named(&to)
                    .ok_or_else(|| fatal(format!("the requested upstream branch '{to}' does not exist")))?;
                super::setup::write_config(
                    &repo.common.join("config"),
                    &format!("branch.{name}.remote"),
                    Some("."),
                )?;
                super::setup::write_config(
                    &repo.common.join("config"),
                    &format!("branch.{name}.merge"),
                    Some(&full),
                )?;
                out.line(format!("branch '{name}' set up to track '{to}'."));
                return Ok(0);
            }
            "--unset-upstream" | "--edit-description" | "--no-track" | "-t" | "--track" | "--no-color"
            | "--color" | "--no-column" | "--column" => {}
            "--format" => format = Some(args.value(&option)?),
            "--contains" => contains = Some(args.next().unwrap_or_else(|| "HEAD".into())),
            "--merged" | "--no-merged" => {
                let value = option
                    .split_once('=')
                    .map(|(_, value)| value.to_owned())
                    .or_else(|| args.next())
                    .unwrap_or_else(|| "HEAD".into());
                merged = Some((option.starts_with("--merged"), value));
            }
            "--sort" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "branch [<options>] [-r | -a] [--merged] [--no-merged]")),
        }
    }
    let words = args.words();
    if current {
        out.bytes.extend(repo.branch().map(|name| name + "\n").unwrap_or_default().bytes());
        return Ok(0);
    }
    match action {
        Some(letter @ ('d' | 'D')) => {
            return delete(repo, &words, letter == 'D' || force, remotes, quiet, out);
        }
        Some(letter) => {
            let (from, to) = match words.as_slice() {
                [to] => (
                    repo.branch()
                        .ok_or_else(|| fatal("cannot rename the current branch while not on any"))?,
                    to.clone(),
                ),
                [from, to] => (from.clone(), to.clone()),
                _ => return Err(fatal("branch name required")),
            };
            if !valid_name(&to) {
                return Err(fatal(format!("'{to}' is not a valid branch name")));
            }
            let (old, new) = (format!("refs/heads/{from}"), format!("refs/heads/{to}"));
            if repo.find_ref(&new).is_some() && !force {
                return Err(fatal(format!("a branch named '{to}' already exists")));
            }
            let was_head = repo.branch().as_deref() == Some(&from);
            match repo.find_ref(&old) {
                Some(id) => {
                    let log = std::fs::read(repo.log_path(&old)).ok();
                    if letter == 'm' {
                        repo.delete_ref(&old)?;
                    }
                    if let Some(log) = log {
                        crate::refs::write(&repo.log_path(&new), &log)?;
                    }
                    repo.set_ref(&new, id, &format!("Branch: renamed {old} to {new}"))?;
                }
                None if was_head => {}
                None => return Err(fatal(format!("no branch named '{from}'"))),
            }
            if was_head && letter == 'm' {
                repo.move_head(&Head::Branch(new.clone()), &format!("Branch: renamed {old} to {new}"))?;
            }
            return Ok(0);
        }
        None => {}
    }
    if !words.is_empty() && !list && contains.is_none() && merged.is_none() {
        let name = &words[0];
        if !valid_name(name) {
            return Err(fatal(format!("'{name}' is not a valid branch name")));
        }
        let full = format!("refs/heads/{name}");
        if repo.find_ref(&full).is_some() && !force {
            return Err(fatal(format!("a branch named '{name}' already exists")));
        }
        let start = words.get(1).map_or("HEAD", String::as_str);
        let id = repo.rev_commit(start).map_err(|_| fatal(format!("not a valid object name: '{start}'")))?;
        repo.set_ref(&full, id, &format!("branch: Created from {start}"))?;
        return Ok(0);
    }
    let mut names: Vec<(String, Id)> = Vec::new();
    if !remotes {
        names.extend(repo.refs("refs/heads/"));
    }
    if all || remotes {
        names.extend(repo.refs("refs/remotes/"));
    }
    let here = repo.branch().map(|name| format!("refs/heads/{name}"));
    let patterns = if list { words } else { Vec::new() };
    if let Some(rev) = &contains {
        let id = repo.rev_commit(rev)?;
        let mut kept = Vec::new();
        for (name, tip) in names {
            if repo.merge_base(id, tip)?.contains(&id) {
                kept.push((name, tip));
            }
        }
        names = kept;
    }
    if let Some((wanted, rev)) = &merged {
        let id = repo.rev_commit(rev)?;
        let mut kept = Vec::new();
        for (name, tip) in names {
            if repo.merge_base(id, tip)?.contains(&tip) == *wanted {
                kept.push((name, tip));
            }
        }
        names = kept;
    }
    names.retain(|(name, _)| {
        patterns.is_empty()
            || patterns.iter().any(|pattern| glob::matches(pattern.as_bytes(), short(name).as_bytes(), false))
    });
    let mut rows: Vec<(String, Id, char)> = Vec::new();
    let mut leads: Vec<(String, String)> = Vec::new();
    if here.is_none()
        && !remotes
        && patterns.is_empty()
        && let Some(id) = repo.head_id()
    {
        let begun = std::fs::read_to_string(repo.dir.join("BISECT_START")).ok();
        let text = match (begun, super::status::detached(repo, id)) {
            (Some(begun), _) => format!("(no branch, bisect started on {})", begun.trim()),
            (None, Some(since)) => format!("(HEAD detached {since})"),
            (None, None) => "(no branch)".into(),
        };
        rows.push((text, id, '*'));
    }
    for (name, id) in names {
        let shown = match name.strip_prefix("refs/remotes/") {
            Some(rest) if all => format!("remotes/{rest}"),
            _ => short(&name).to_owned(),
        };
        let sign = match here.as_deref() == Some(&name) {
            true => '*',
            false if repo.elsewhere(&name)?.is_some() => '+',
            false => ' ',
        };
        if let Some(to) = repo.symbolic(&name) {
            leads.push((shown.clone(), short(&to).to_owned()));
        }
        rows.push((shown, id, sign));
    }
    let width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, id, sign) in rows {
        if let Some(format) = &format {
            out.line(
                format
                    .replace("%(refname:short)", &name)
                    .replace("%(refname)", &format!("refs/heads/{name}"))
                    .replace("%(objectname:short)", &repo.short(&id))
                    .replace("%(objectname)", &id.hex())
                    .replace("%(HEAD)", if sign == '*' { "*" } else { " " }),
            );
            continue;
        }
        if let Some((_, to)) = leads.iter().find(|(from, _)| *from == name) {
            out.line(if verbose {
                format!("{sign} {name:<width$} -> {to}")
            } else {
                format!("{sign} {name} -> {to}")
            });
        } else if verbose {
            let subject = repo.odb.commit(&id)?.subject();
            out.line([format!("{sign} {name:<width$} {} ", repo.short(&id)).as_bytes(), &subject].concat());
        } else {
            out.line(format!("{sign} {name}"));
        }
    }
    Ok(0)
}

fn delete(
    repo: &Repo,
    names: &[String],
    force: bool,
    remotes: bool,
    quiet: bool,
    out: &mut Out,
) -> Result<i32> {
    if names.is_empty() {
        return Err(fatal("branch name required"));
    }
    let mut status = 0;
    for name in names {
        let full = format!("refs/{}/{name}", if remotes { "remotes" } else { "heads" });
        let Some(id) = repo.find_ref(&full) else {
            warn(format!("error: branch '{name}' not found."));
            status = 1;
            continue;
        };
        if repo.branch().as_deref() == Some(name) {
            warn(format!("error: Cannot delete branch '{name}' checked out at '{}'", repo.work()?.display()));
            status = 1;
            continue;
        }
        if let Some(at) = repo.elsewhere(&full)? {
            warn(format!("error: Cannot delete branch '{name}' checked out at '{}'", at.display()));
            status = 1;
            continue;
        }
        let head = repo.head_id();
        if !force
            && let Some(head) = head
            && !repo.merge_base(id, head)?.contains(&id)
        {
            warn(format!(
                "error: The branch '{name}' is not fully merged.\nIf you are sure you want to delete it, run 'git branch -D {name}'."
            ));
            status = 1;
            continue;
        }
        repo.delete_ref(&full)?;
        if !quiet {
            out.line(format!("Deleted branch {name} (was {}).", repo.short(&id)));
        }
    }
    Ok(status)
}
