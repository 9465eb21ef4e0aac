//! What brings commits over: `git merge`, `cherry-pick`, `revert`, `rebase` and `am`.

mod am;
mod merge;
mod rebase;

use super::commit;
use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::merge::Conflict;
use crate::object::{Commit, Id, Kind, Who};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::{self, Style};
pub use am::am;
use bstr::ByteSlice;
pub use merge::merge;
use merge::reset_conflicts;
pub use rebase::rebase;

fn tree_of(repo: &Repo, id: Id) -> Result<Option<Id>> {
    repo.peel(id, Kind::Tree)
}

fn clean_start(repo: &Repo, what: &str) -> Result<()> {
    let index = repo.index()?;
    if !index.unmerged().is_empty() {
        return Err(die(
            128,
            format!(
                "error: {what} is not possible because you have unmerged files.\nhint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit.\nfatal: Exiting because of an unresolved conflict."
            ),
        ));
    }
    Ok(())
}

fn say_conflicts(conflicts: &[Conflict], merged: &[Vec<u8>], out: &mut Out) {
    let mut lines: Vec<(Vec<u8>, String)> =
        merged.iter().map(|path| (path.clone(), format!("Auto-merging {}", path.to_str_lossy()))).collect();
    lines.extend(conflicts.iter().map(|conflict| (conflict.path.clone(), conflict.words.clone())));
    lines.sort();
    for (_, words) in lines {
        out.line(words);
    }
}

fn diffstat(repo: &Repo, old: Option<Id>, new: Option<Id>, out: &mut Out) -> Result<()> {
    let style = Style { stat: true, ..Style::new(Some(repo)) };
    let changes = style.prepare(repo, repo.diff_trees(old, new, &Pathspec::default())?)?;
    style.write(repo, &changes, &mut out.bytes)?;
    for change in &changes {
        show::write_summary(repo, change, &mut out.bytes);
    }
    Ok(())
}

/// A change that is put onto HEAD.
struct Carried<'a> {
    from: Option<Id>,
    to: Option<Id>,
    /// What the other side is called in a conflict.
    name: &'a str,
    /// Whose commit it becomes; who commits, if none.
    author: Option<&'a Who>,
    message: &'a [u8],
    /// What the log says.
    why: &'a str,
    no_commit: bool,
}

/// Puts a change onto HEAD; the new commit, or `None` if it collides.
fn carry(repo: &Repo, carried: &Carried, out: &mut Out) -> Result<Option<Id>> {
    let Carried { from, to, name, author, message, why, no_commit } = *carried;
    let head = repo.head_id().ok_or_else(|| fatal("no commit to build on"))?;
    let ours = tree_of(repo, head)?;
    let (conflicts, merged) = crate::merge::trees(repo, from, ours, to, ("HEAD", name), "cherry-pick")?;
    say_conflicts(&conflicts, &merged, out);
    if !conflicts.is_empty() {
        std::fs::write(repo.dir.join("MERGE_MSG"), message)?;
        return Ok(None);
    }
    if no_commit {
        return Ok(Some(head));
    }
    let tree = repo.index()?.write_tree(&repo.odb)?;
    if Some(tree) == ours {
        return Err(die(
            1,
            "The previous cherry-pick is now empty, possibly due to conflict resolution.\nIf you wish to commit it anyway, use:\n\n    git commit --allow-empty\n",
        ));
    }
    let committer = repo.who("COMMITTER")?;
    let author = match author {
        Some(author) => author.clone(),
        None => repo.who("AUTHOR")?,
    };
    let id = repo.odb.write(Kind::Commit, &commit::text(tree, &[head], &author, &committer, message))?;
    repo.set_head(id, why)?;
    Ok(Some(id))
}

fn parent_of(commit: &Commit, mainline: Option<usize>) -> Result<Option<Id>> {
    match (commit.parents.len(), mainline) {
        (0 | 1, _) => Ok(commit.parents.first().copied()),
        (_, Some(number)) => Ok(commit.parents.get(number.saturating_sub(1)).copied()),
        _ => Err(die(
            128,
            format!(
                "error: commit {} is a merge but no -m option was given.\nfatal: cherry-pick failed",
                commit.id
            ),
        )),
    }
}

struct Asked {
    commits: Vec<Commit>,
    no_commit: bool,
    mainline: Option<usize>,
    trailer: bool,
    abort: bool,
    go_on: bool,
}

fn ask(repo: &Repo, args: Vec<Vec<u8>>, usage: &str) -> Result<Asked> {
    let mut args = Args::new(unbundle(args, "nxe"));
    let mut asked = Asked {
        commits: Vec::new(),
        no_commit: false,
        mainline: None,
        trailer: false,
        abort: false,
        go_on: false,
    };
    while let Some(option) = args.option() {
        match option.as_str() {
            "-n" | "--no-commit" => asked.no_commit = true,
            "-x" => asked.trailer = true,
            "-m" | "--mainline" => asked.mainline = args.value(&option)?.parse().ok(),
            "--abort" | "--quit" => asked.abort = true,
            "--continue" => asked.go_on = true,
            "-e" | "--edit" | "--no-edit" | "--allow-empty" | "--keep-redundant-commits" | "--ff" | "-s" => {}
            option if option.starts_with("-X") || option.starts_with("--strategy") => {}
            option => return Err(unknown(option, usage)),
        }
    }
    if asked.abort || asked.go_on {
        return Ok(asked);
    }
    for word in args.words() {
        let mut revs = crate::args::Revs::default();
        if !repo.take_rev(&word, &mut revs)? {
            return Err(fatal(format!("bad revision '{word}'")));
        }
        if revs.not.is_empty() {
            let id = repo.rev_commit(&word)?;
            asked.commits.push(repo.odb.commit(&id)?);
        } else {
            let from: Vec<Id> = revs.from.iter().map(|(_, id)| *id).collect();
            let mut list: Vec<Commit> = repo.walk(&from, &revs.not, false).collect::<Result<_>>()?;
            list.reverse();
            asked.commits.extend(list);
        }
    }
    if asked.commits.is_empty() {
        return Err(die(129, format!("usage: git {usage}")));
    }
    clean_start(repo, "Cherry-picking")?;
    let head = repo.head_id().map(|id| tree_of(repo, id)).transpose()?.flatten();
    let index = repo.index()?;
    let staged = repo.diff_cached(head, &index, &Pathspec::default())?;
    if !staged.is_empty() && !asked.no_commit {
        return Err(die(
            128,
            "error: your local changes would be overwritten by cherry-pick.\nhint: commit your changes or stash them to proceed.\nfatal: cherry-pick failed",
        ));
    }
    Ok(asked)
}

fn abort(repo: &Repo, mark: &str) -> Result<i32> {
    if !repo.dir.join(mark).exists() {
        return Err(die(128, "error: no cherry-pick or revert in progress\nfatal: cherry-pick failed"));
    }
    let head = repo.head_id().ok_or_else(|| fatal("no HEAD"))?;
    reset_conflicts(repo, head)?;
    repo.set_head(head, &format!("reset: moving to {head}"))?;
    for name in [mark, "MERGE_MSG"] {
        let _ = std::fs::remove_file(repo.dir.join(name));
    }
    Ok(0)
}

/// `git cherry-pick`
pub fn cherry_pick(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(repo, args, "cherry-pick [--edit] [-n] [-m <parent-number>] [-x] <commit>...")?;
    if asked.abort {
        return abort(repo, "CHERRY_PICK_HEAD");
    }
    if asked.go_on {
        return commit::commit(repo, vec![b"--no-edit".to_vec()], out);
    }
    for commit in &asked.commits {
        let parent = parent_of(commit, asked.mainline)?.map(|id| tree_of(repo, id)).transpose()?.flatten();
        let mut message = commit.message.clone();
        if asked.trailer {
            message.extend_from_slice(format!("\n(cherry picked from commit {})\n", commit.id).as_bytes());
        }
        let name = format!("{} ({})", repo.short(&commit.id), commit.subject().to_str_lossy());
        let why = format!("cherry-pick: {}", commit.subject().to_str_lossy());
        match carry(
            repo,
            &Carried {
                from: parent,
                to: Some(commit.tree),
                name: &name,
                author: Some(&commit.author),
                message: &message,
                why: &why,
                no_commit: asked.no_commit,
            },
            out,
        )? {
            Some(id) if !asked.no_commit => commit::summary(repo, id, &repo.who("COMMITTER")?, true, out)?,
            Some(_) => {}
            None => {
                std::fs::write(repo.dir.join("CHERRY_PICK_HEAD"), format!("{}\n", commit.id))?;
                return Err(die(
                    1,
                    format!(
                        "error: could not apply {}... {}\nhint: After resolving the conflicts, mark them with\nhint: \"git add/rm <pathspec>\", then run\nhint: \"git cherry-pick --continue\".\nhint: You can instead skip this commit with \"git cherry-pick --skip\".\nhint: To abort and get back to the state before \"git cherry-pick\",\nhint: run \"git cherry-pick --abort\".",
                        repo.short(&commit.id),
                        commit.subject().to_str_lossy()
                    ),
                ));
            }
        }
    }
    Ok(0)
}

/// `git revert`
pub fn revert(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(repo, args, "revert [--[no-]edit] [-n] [-m <parent-number>] <commit>...")?;
    if asked.abort {
        return abort(repo, "REVERT_HEAD");
    }
    if asked.go_on {
        return commit::commit(repo, vec![b"--no-edit".to_vec()], out);
    }
    for commit in asked.commits.iter().rev() {
        let parent = parent_of(commit, asked.mainline)?.map(|id| tree_of(repo, id)).transpose()?.flatten();
        let subject = commit.subject().to_str_lossy().into_owned();
        let head = match subject.strip_prefix("Revert \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => format!("Reapply \"{inner}\""),
            None => format!("Revert \"{subject}\""),
        };
        let message = format!("{head}\n\nThis reverts commit {}.\n", commit.id);
        let name = format!("parent of {} ({subject})", repo.short(&commit.id));
        match carry(
            repo,
            &Carried {
                from: Some(commit.tree),
                to: parent,
                name: &name,
                author: None,
                message: message.as_bytes(),
                why: &format!("revert: {head}"),
                no_commit: asked.no_commit,
            },
            out,
        )? {
            Some(id) if !asked.no_commit => commit::summary(repo, id, &repo.who("COMMITTER")?, true, out)?,
            Some(_) => {}
            None => {
                std::fs::write(repo.dir.join("REVERT_HEAD"), format!("{}\n", commit.id))?;
                return Err(die(
                    1,
                    format!(
                        "error: could not revert {}... {subject}\nhint: After resolving the conflicts, mark them with\nhint: \"git add/rm <pathspec>\", then run\nhint: \"git revert --continue\".\nhint: You can instead skip this commit with \"git revert --skip\".\nhint: To abort and get back to the state before \"git revert\",\nhint: run \"git revert --abort\".",
                        repo.short(&commit.id)
                    ),
                ));
            }
        }
    }
    Ok(0)
}
