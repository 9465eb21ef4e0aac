//! `git merge`

use super::{clean_start, diffstat, say_conflicts, tree_of};
use crate::args::{Args, unbundle, unknown};
use crate::command::checkout::{move_work, reset_work};
use crate::command::commit;
use crate::error::{Result, die, fatal};
use crate::merge::{self};
use crate::object::{Id, Kind};
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git merge`
pub fn merge(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qn"));
    let (mut quiet, mut no_ff, mut only_ff, mut squash, mut no_commit, mut abort, mut message) =
        (false, false, false, false, false, false, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-q" | "--quiet" => quiet = true,
            "--no-ff" => no_ff = true,
            "--ff" => no_ff = false,
            "--ff-only" => only_ff = true,
            "--squash" => squash = true,
            "--no-commit" => no_commit = true,
            "--commit" | "--no-edit" | "--edit" | "-n" | "--no-stat" | "--stat" | "--no-verify"
            | "--no-progress" => {}
            "--abort" => abort = true,
            "--continue" => return commit::commit(repo, vec![b"--no-edit".to_vec()], out),
            "-m" => message = Some(args.value(&option)?),
            "-s" | "-X" | "--strategy" | "--strategy-option" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "merge [<options>] [<commit>...]")),
        }
    }
    if abort {
        if !repo.dir.join("MERGE_HEAD").exists() {
            return Err(fatal("There is no merge to abort (MERGE_HEAD missing)."));
        }
        let head = repo.head_id().ok_or_else(|| fatal("no HEAD"))?;
        reset_conflicts(repo, head)?;
        repo.set_head(head, "reset: moving to HEAD")?;
        for name in ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE"] {
            let _ = std::fs::remove_file(repo.dir.join(name));
        }
        return Ok(0);
    }
    clean_start(repo, "Merging")?;
    let words = args.words();
    let [name] = words.as_slice() else { return Err(fatal("one commit is merged at a time here")) };
    let target =
        repo.rev_commit(name).map_err(|_| die(1, format!("merge: {name} - not something we can merge")))?;
    let Some(head) = repo.head_id() else {
        move_work(repo, target, false)?;
        repo.set_head(target, "initial pull")?;
        return Ok(0);
    };
    let bases = repo.merge_base(head, target)?;
    if bases.contains(&target) {
        out.line("Already up to date.");
        return Ok(0);
    }
    let (old, new) = (tree_of(repo, head)?, tree_of(repo, target)?);
    if bases.contains(&head) && !no_ff && !squash {
        if !quiet {
            out.line(format!("Updating {}..{}", repo.short(&head), repo.short(&target)));
        }
        move_work(repo, target, false)?;
        repo.set_head(target, &format!("merge {name}: Fast-forward"))?;
        if !quiet {
            out.line("Fast-forward");
            diffstat(repo, old, new, out)?;
        }
        return Ok(0);
    }
    if only_ff {
        return Err(die(
            128,
            "hint: Diverging branches can't be fast-forwarded, you need to either:\nhint:\nhint: \tgit merge --no-ff\nhint:\nhint: or:\nhint:\nhint: \tgit rebase\nhint:\nhint: Disable this message with \"git config advice.diverging false\"\nfatal: Not possible to fast-forward, aborting.",
        ));
    }
    let Some(base) = bases.first() else { return Err(fatal("refusing to merge unrelated histories")) };
    let (conflicts, merged) = merge::trees(repo, tree_of(repo, *base)?, old, new, ("HEAD", name), "merge")?;
    say_conflicts(&conflicts, &merged, out);
    let what = if repo.find_ref(&format!("refs/heads/{name}")).is_some() { "branch" } else { "commit" };
    let into = repo
        .branch()
        .filter(|branch| branch != "main" && branch != "master")
        .map(|branch| format!(" into {branch}"))
        .unwrap_or_default();
    let message = message.unwrap_or_else(|| format!("Merge {what} '{name}'{into}"));
    if squash {
        out.line("Squash commit -- not updating HEAD");
        if conflicts.is_empty() {
            warn("Automatic merge went well; stopped before committing as requested");
        }
        std::fs::write(repo.dir.join("SQUASH_MSG"), format!("{message}\n"))?;
        return Ok(i32::from(!conflicts.is_empty()));
    }
    if !conflicts.is_empty() || no_commit {
        std::fs::write(repo.dir.join("MERGE_HEAD"), format!("{target}\n"))?;
        std::fs::write(repo.dir.join("MERGE_MODE"), if no_ff { "no-ff" } else { "" })?;
        let list: String =
            conflicts.iter().map(|conflict| format!("#\t{}\n", conflict.path.to_str_lossy())).collect();
        let tail = if list.is_empty() { String::new() } else { format!("\n# Conflicts:\n{list}") };
        std::fs::write(repo.dir.join("MERGE_MSG"), format!("{message}\n{tail}"))?;
        if conflicts.is_empty() {
            out.line("Automatic merge went well; stopped before committing as requested");
            return Ok(0);
        }
        out.line("Automatic merge failed; fix conflicts and then commit the result.");
        return Ok(1);
    }
    let tree = repo.index()?.write_tree(&repo.odb)?;
    let data = commit::text(
        tree,
        &[head, target],
        &repo.who("AUTHOR")?,
        &repo.who("COMMITTER")?,
        &commit::clean(message.as_bytes(), false),
    );
    let id = repo.odb.write(Kind::Commit, &data)?;
    repo.set_head(id, &format!("merge {name}: Merge made by the 'ort' strategy."))?;
    if !quiet {
        out.line("Merge made by the 'ort' strategy.");
        diffstat(repo, old, Some(tree), out)?;
    }
    Ok(0)
}

// Paths in conflict go back; what was changed besides stays.
pub(super) fn reset_conflicts(repo: &Repo, to: Id) -> Result<()> {
    reset_work(repo, tree_of(repo, to)?)
}
