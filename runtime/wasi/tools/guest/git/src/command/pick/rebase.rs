//! `git rebase`

use super::Carried;
use super::merge::reset_conflicts;
use super::{carry, tree_of};
use crate::args::{Args, unbundle};
use crate::command::checkout::move_work;
use crate::error::{Result, die, fatal};
use crate::object::Commit;
use crate::pathspec::Pathspec;
use crate::refs::Head;
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git rebase`
pub fn rebase(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let (mut quiet, mut onto) = (false, None);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-q" | "--quiet" => quiet = true,
            "--onto" => onto = Some(args.value(&option)?),
            "--no-stat" | "--stat" | "--no-autostash" | "--no-verify" => {}
            option => {
                return Err(die(
                    128,
                    format!(
                        "fatal: git rebase {option} is not known here: an interactive or stopped rebase asks questions, which this sandbox cannot answer"
                    ),
                ));
            }
        }
    }
    let words = args.words();
    let Some(upstream) = words.first() else { return Err(fatal("an upstream is needed")) };
    if let Some(branch) = words.get(1) {
        crate::command::checkout::switch(repo, vec![b"-q".to_vec(), branch.clone().into_bytes()], out)?;
    }
    let head = repo.head_id().ok_or_else(|| fatal("no HEAD"))?;
    let index = repo.index()?;
    if !repo.diff_work(tree_of(repo, head)?, &index, &Pathspec::default())?.is_empty() {
        return Err(die(
            1,
            "error: cannot rebase: You have unstaged changes.\nerror: Please commit or stash them.",
        ));
    }
    let base = repo.rev_commit(upstream).map_err(|_| fatal(format!("invalid upstream '{upstream}'")))?;
    let target = match &onto {
        Some(onto) => repo.rev_commit(onto)?,
        None => base,
    };
    let branch = repo.branch();
    let shown = branch.clone().unwrap_or_else(|| "HEAD".into());
    if onto.is_none() && repo.merge_base(base, head)?.contains(&base) {
        if !quiet {
            out.line(format!("Current branch {shown} is up to date."));
        }
        return Ok(0);
    }
    let mut commits: Vec<Commit> = repo.walk(&[head], &[base], false).collect::<Result<_>>()?;
    commits.retain(|commit| commit.parents.len() < 2);
    commits.reverse();
    move_work(repo, target, false)?;
    repo.move_head(&Head::Detached(target), &format!("rebase (start): checkout {upstream}"))?;
    for commit in &commits {
        let parent = commit.parents.first().map(|id| tree_of(repo, *id)).transpose()?.flatten();
        let why = format!("rebase (pick): {}", commit.subject().to_str_lossy());
        let name = format!("{} ({})", repo.short(&commit.id), commit.subject().to_str_lossy());
        let carried = carry(
            repo,
            &Carried {
                from: parent,
                to: Some(commit.tree),
                name: &name,
                author: Some(&commit.author),
                message: &commit.message,
                why: &why,
                no_commit: false,
            },
            out,
        );
        match carried {
            Ok(Some(_)) => {}
            // A change that is there already is left out.
            Err(error) if error.text.starts_with(b"The previous cherry-pick is now empty") => {
                warn(format!(
                    "dropping {} {} -- patch contents already upstream",
                    commit.id,
                    commit.subject().to_str_lossy()
                ));
            }
            Ok(None) | Err(_) => {
                reset_conflicts(repo, head)?;
                let back =
                    branch.map_or(Head::Detached(head), |name| Head::Branch(format!("refs/heads/{name}")));
                repo.move_head(&back, "rebase (abort)")?;
                let _ = std::fs::remove_file(repo.dir.join("MERGE_MSG"));
                return Err(die(
                    1,
                    format!(
                        "error: could not apply {name}\nfatal: the rebase collides and was taken back: a stopped rebase is not kept here"
                    ),
                ));
            }
        }
    }
    let end = repo.head_id().unwrap_or(target);
    if let Some(branch) = branch {
        let full = format!("refs/heads/{branch}");
        repo.set_ref(&full, end, &format!("rebase (finish): {full} onto {target}"))?;
        repo.move_head(&Head::Branch(full.clone()), &format!("rebase (finish): returning to {full}"))?;
        if !quiet {
            warn(format!("Successfully rebased and updated {full}."));
        }
    }
    Ok(0)
}
