//! The form for people.

use super::Status;
use super::branch::heading;
use crate::Out;
use crate::diff::Change;
use crate::error::Result;
use crate::object::Id;
use crate::repo::Repo;
use crate::show::quote;
use crate::worktree::Untracked;

pub(super) fn long(repo: &Repo, status: &Status, untracked: Untracked, out: &mut Out) -> Result<()> {
    heading(repo, out)?;
    let unborn = repo.head_id().is_none();
    if unborn {
        out.line("\nNo commits yet\n");
    }
    let merging = repo.dir.join("MERGE_HEAD").exists();
    if merging {
        if status.unmerged.is_empty() {
            out.line(
                "All conflicts fixed but you are still merging.\n  (use \"git commit\" to conclude merge)\n",
            );
        } else {
            out.line("You have unmerged paths.\n  (fix conflicts and run \"git commit\")\n  (use \"git merge --abort\" to abort the merge)\n");
        }
    }
    let picking =
        std::fs::read(repo.dir.join("CHERRY_PICK_HEAD")).ok().and_then(|text| Id::parse(text.get(..40)?));
    if let Some(id) = picking {
        let first =
            if status.unmerged.is_empty() { "all conflicts fixed: run" } else { "fix conflicts and run" };
        out.line(format!("You are currently cherry-picking commit {}.\n  ({first} \"git cherry-pick --continue\")\n  (use \"git cherry-pick --skip\" to skip this patch)\n  (use \"git cherry-pick --abort\" to cancel the cherry-pick operation)\n", repo.short(&id)));
    }
    if let Ok(begun) = std::fs::read_to_string(repo.dir.join("BISECT_START")) {
        let begun = begun.trim();
        let from = if Id::parse(begun.as_bytes()).is_some() { "" } else { "branch " };
        out.line(format!("You are currently bisecting, started from {from}'{begun}'.\n  (use \"git bisect reset\" to get back to the original branch)\n"));
    }
    let merging = merging || picking.is_some();
    let name = |path: &[u8]| quote(repo, &repo.shown(path));
    let entry = |out: &mut Out, word: &str, width: usize, path: &[u8]| {
        out.bytes.extend_from_slice(format!("\t{word:<width$}").as_bytes());
        out.line(path);
    };
    let word = |change: &Change| match change.status() {
        'A' => "new file:",
        'D' => "deleted:",
        'R' => "renamed:",
        'C' => "copied:",
        'T' => "typechange:",
        _ => "modified:",
    };
    let shown = |change: &Change| match (&change.old, change.score) {
        (Some(old), Some(_)) => [name(&old.path), b" -> ".to_vec(), name(change.path())].concat(),
        _ => name(change.path()),
    };
    if !status.staged.is_empty() {
        out.line("Changes to be committed:");
        if unborn {
            out.line("  (use \"git rm --cached <file>...\" to unstage)");
        } else if !merging {
            out.line("  (use \"git restore --staged <file>...\" to unstage)");
        }
        for change in &status.staged {
            entry(out, word(change), 12, &shown(change));
        }
        out.line("");
    }
    if !status.unmerged.is_empty() {
        out.line("Unmerged paths:");
        if !merging {
            out.line("  (use \"git restore --staged <file>...\" to unstage)");
        }
        let deleted = status.unmerged.values().any(|mask| !matches!(mask, 0b110 | 0b111 | 0b100 | 0b010));
        out.line(if deleted {
            "  (use \"git add/rm <file>...\" as appropriate to mark resolution)"
        } else {
            "  (use \"git add <file>...\" to mark resolution)"
        });
        for (path, mask) in &status.unmerged {
            let word = match mask {
                0b001 => "both deleted:",
                0b010 => "added by us:",
                0b100 => "added by them:",
                0b011 => "deleted by them:",
                0b101 => "deleted by us:",
                0b110 => "both added:",
                _ => "both modified:",
            };
            entry(out, word, 17, &name(path));
        }
        out.line("");
    }
    if !status.changed.is_empty() {
        out.line("Changes not staged for commit:");
        let deleted = status.changed.iter().any(|change| change.new.is_none());
        out.line(format!(
            "  (use \"git add{} <file>...\" to update what will be committed)",
            if deleted { "/rm" } else { "" }
        ));
        out.line("  (use \"git restore <file>...\" to discard changes in working directory)");
        for change in &status.changed {
            entry(out, word(change), 12, &shown(change));
        }
        out.line("");
    }
    for (head, hint, paths) in [
        (
            "Untracked files:",
            "  (use \"git add <file>...\" to include in what will be committed)",
            &status.untracked,
        ),
        (
            "Ignored files:",
            "  (use \"git add -f <file>...\" to include in what will be committed)",
            &status.ignored,
        ),
    ] {
        if !paths.is_empty() {
            out.line(head);
            out.line(hint);
            for path in paths {
                out.bytes.push(b'\t');
                out.line(name(path));
            }
            out.line("");
        }
    }
    if untracked == Untracked::No && (!status.changed.is_empty() || !status.staged.is_empty()) {
        out.line("Untracked files not listed (use -u option to show untracked files)");
    }
    if !status.staged.is_empty() {
        return Ok(());
    }
    if !status.changed.is_empty() || !status.unmerged.is_empty() {
        out.line("no changes added to commit (use \"git add\" and/or \"git commit -a\")");
    } else if !status.untracked.is_empty() {
        out.line("nothing added to commit but untracked files present (use \"git add\" to track)");
    } else if unborn {
        out.line("nothing to commit (create/copy files and use \"git add\" to track)");
    } else if untracked == Untracked::No {
        out.line("nothing to commit (use -u to show untracked files)");
    } else if !merging {
        out.line("nothing to commit, working tree clean");
    }
    Ok(())
}
