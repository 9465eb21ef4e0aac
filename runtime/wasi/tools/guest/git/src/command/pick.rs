//! What brings commits over: `git merge`, `cherry-pick`, `revert`, `rebase` and `am`.

use super::apply;
use super::checkout::{move_work, reset_work};
use super::commit;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::merge::{self, Conflict};
use crate::object::{Commit, Id, Kind, Who};
use crate::pathspec::Pathspec;
use crate::refs::Head;
use crate::repo::Repo;
use crate::show::{self, Style};
use crate::{Out, warn};
use bstr::ByteSlice;
use std::io::Read;

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
fn reset_conflicts(repo: &Repo, to: Id) -> Result<()> {
    reset_work(repo, tree_of(repo, to)?)
}

/// Puts a commit's change onto HEAD; the new commit, or `None` if it collides.
fn carry(
    repo: &Repo,
    from: Option<Id>,
    to: Option<Id>,
    names: (&str, &str),
    author: Option<&Who>,
    message: &[u8],
    why: &str,
    no_commit: bool,
    out: &mut Out,
) -> Result<Option<Id>> {
    let head = repo.head_id().ok_or_else(|| fatal("no commit to build on"))?;
    let ours = tree_of(repo, head)?;
    let (conflicts, merged) = merge::trees(repo, from, ours, to, names, "cherry-pick")?;
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
            parent,
            Some(commit.tree),
            ("HEAD", &name),
            Some(&commit.author),
            &message,
            &why,
            asked.no_commit,
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
            Some(commit.tree),
            parent,
            ("HEAD", &name),
            None,
            message.as_bytes(),
            &format!("revert: {head}"),
            asked.no_commit,
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
        super::checkout::switch(repo, vec![b"-q".to_vec(), branch.clone().into_bytes()], out)?;
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
            parent,
            Some(commit.tree),
            ("HEAD", &name),
            Some(&commit.author),
            &commit.message,
            &why,
            false,
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

/// `git am`
pub fn am(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qs3k"));
    let (mut quiet, mut three) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-q" | "--quiet" => quiet = true,
            "-3" | "--3way" => three = true,
            "-k" | "-s" | "--signoff" | "--keep-cr" | "--no-keep-cr" => {}
            "--abort" => return Err(fatal("Resolve operation not in progress, we are not resuming.")),
            option => return Err(unknown(option, "am [<options>] [(<mbox> | <Maildir>)...]")),
        }
    }
    let mut texts = Vec::new();
    if args.plain.is_empty() {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text)?;
        texts.push(text);
    }
    for path in &args.plain {
        texts.push(std::fs::read(guest_host::path_of(path)).map_err(|error| {
            fatal(format!("could not open '{}' for reading: {}", path.to_str_lossy(), reason(&error)))
        })?);
    }
    for text in texts {
        for mail in mails(&text) {
            one_mail(repo, mail, quiet, three, out)?;
        }
    }
    Ok(0)
}

fn mails(text: &[u8]) -> Vec<&[u8]> {
    let is_start =
        |line: &[u8]| line.starts_with(b"From ") && line.get(5..45).is_some_and(|id| Id::parse(id).is_some());
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.lines_with_terminator() {
        if is_start(line) {
            starts.push(at);
        }
        at += line.len();
    }
    if starts.is_empty() {
        return vec![text];
    }
    starts.push(text.len());
    starts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn one_mail(repo: &Repo, mail: &[u8], quiet: bool, three: bool, out: &mut Out) -> Result<()> {
    let (head, body) = mail.split_once_str("\n\n").ok_or_else(|| fatal("Patch format detection failed."))?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        let line = line.to_str_lossy().into_owned();
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => value.push_str(&format!(" {}", line.trim())),
            _ => {
                if let Some((name, value)) = line.split_once(": ") {
                    fields.push((name.to_lowercase(), value.to_owned()));
                }
            }
        }
    }
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let from = field("from").ok_or_else(|| fatal("Patch format detection failed."))?;
    let mut author = Who::parse(format!("{from} 0 +0000").as_bytes());
    let (time, zone) = field("date").and_then(mail_date).unwrap_or((crate::date::now(), 0));
    (author.time, author.zone) = (time, zone);
    let subject = field("subject").unwrap_or_default();
    let subject = match subject.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => subject,
    };
    let (text, patch) = match body.find(b"\n---\n") {
        Some(at) => (&body[..at + 1], &body[at + 5..]),
        None if body.starts_with(b"---\n") => (&b""[..], &body[4..]),
        None => body.find(b"diff --git ").map_or((body, &b""[..]), |at| (&body[..at], &body[at..])),
    };
    let message = commit::clean(&[subject.as_bytes(), b"\n\n", text].concat(), false);
    if !quiet {
        out.line(format!("Applying: {subject}"));
    }
    let options = apply::Options {
        index: true,
        three,
        quiet: false,
        space: Some("nowarn".into()),
        ..apply::Options::default()
    };
    let top = Repo { prefix: Vec::new(), ..Repo::open(&[])? };
    let mut said = Out::default();
    if apply::run(Some(&top), patch, "<mail>", &options, &mut said)? != 0 {
        return Err(die(
            128,
            format!(
                "Patch failed at 0001 {subject}\nfatal: the patch does not apply; nothing was kept of it"
            ),
        ));
    }
    let head = repo.head_id();
    let tree = repo.index()?.write_tree(&repo.odb)?;
    let parents: Vec<Id> = head.into_iter().collect();
    let id = repo
        .odb
        .write(Kind::Commit, &commit::text(tree, &parents, &author, &repo.who("COMMITTER")?, &message))?;
    repo.set_head(id, &format!("am: {subject}"))
}

// `Thu, 1 Jan 2026 00:00:00 +0000`
fn mail_date(text: &str) -> Option<(i64, i32)> {
    let mut words = text.split_once(", ").map_or(text, |(_, rest)| rest).split_whitespace();
    let (day, month, year, time, zone) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| *name == month)?
        + 1;
    crate::date::read(&format!("{year}-{month:02}-{day:0>2} {time} {zone}"))
}
