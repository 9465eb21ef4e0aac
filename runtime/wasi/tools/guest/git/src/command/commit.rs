//! `git commit`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::object::{Id, Kind, Who};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::{self, Style};
use crate::worktree::Found;
use bstr::ByteSlice;
use std::io::Read;

/// The text of a commit object.
pub fn text(tree: Id, parents: &[Id], author: &Who, committer: &Who, message: &[u8]) -> Vec<u8> {
    let mut data = format!("tree {tree}\n").into_bytes();
    for parent in parents {
        data.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    data.extend_from_slice(b"author ");
    data.extend_from_slice(&author.line());
    data.extend_from_slice(b"\ncommitter ");
    data.extend_from_slice(&committer.line());
    data.extend_from_slice(b"\n\n");
    data.extend_from_slice(message);
    data
}

/// A message as git stores it: no space at the ends of lines, no runs of blank lines, one newline at the end.
pub fn clean(message: &[u8], comments: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut blank = false;
    for line in message.lines() {
        if comments && line.starts_with(b"#") {
            continue;
        }
        let line = line.trim_end();
        if line.is_empty() {
            blank = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(b'\n');
        }
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

/// `git commit`
pub fn commit(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    repo.work()?;
    // In a bundle such as `-am`, the last letter takes the value.
    let mut taken = Vec::new();
    for arg in args {
        match arg.as_slice() {
            [b'-', letters @ ..]
                if letters.len() > 1
                    && letters[0] != b'-'
                    && letters.iter().all(|byte| b"aqnsvm".contains(byte)) =>
            {
                taken.extend(letters.iter().map(|letter| vec![b'-', *letter]));
            }
            [b'-', b'a', b'm', rest @ ..] if !rest.is_empty() => {
                taken.extend([b"-a".to_vec(), b"-m".to_vec(), rest.to_vec()]);
            }
            [b'-', b'm', rest @ ..] if !rest.is_empty() => taken.extend([b"-m".to_vec(), rest.to_vec()]),
            _ => taken.push(arg),
        }
    }
    let mut args = Args::new(unbundle(taken, ""));
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let (mut all, mut amend, mut empty, mut empty_message, mut quiet, mut keep, mut dry) =
        (false, false, false, false, false, false, false);
    let (mut author, mut date, mut reuse, mut sign) = (None, None, None, false);
    let read = |name: &str| -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let result = if name == "-" {
            std::io::stdin().lock().read_to_end(&mut text).map(|_| ())
        } else {
            std::fs::read(name).map(|read| text = read)
        };
        result.map_err(|error| fatal(format!("could not read log file '{name}': {}", reason(&error))))?;
        Ok(text)
    };
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-m" | "--message" => messages.push(args.value(&option)?.into_bytes()),
            "-F" | "--file" => messages.push(read(&args.value(&option)?)?),
            "-a" | "--all" => all = true,
            "--amend" => amend = true,
            "--allow-empty" => empty = true,
            "--allow-empty-message" => empty_message = true,
            "-q" | "--quiet" => quiet = true,
            "--no-edit" => keep = true,
            "--dry-run" => dry = true,
            "--author" => author = Some(args.value(&option)?),
            "--date" => date = Some(args.value(&option)?),
            "-C" | "--reuse-message" | "-c" => reuse = Some(args.value(&option)?),
            "-s" | "--signoff" => sign = true,
            "--fixup" => {
                let target = repo.odb.commit(&repo.rev_commit(&args.value(&option)?)?)?;
                messages.push([b"fixup! ".as_slice(), &target.subject()].concat());
            }
            "-n" | "--no-verify" | "--verify" | "--no-gpg-sign" | "-v" | "--verbose" | "--no-status"
            | "--status" | "--cleanup" | "--no-post-rewrite" | "-o" | "--only" | "-i" | "--include"
            | "--reset-author" | "-u" | "--untracked-files" => {}
            option => {
                return Err(unknown(
                    option,
                    "commit [-a | --interactive | --patch] [-s] [-v] [-m <msg>] [--amend] [<pathspec>...]",
                ));
            }
        }
    }
    let mut index = repo.index()?;
    if !index.unmerged().is_empty() && !all {
        for path in index.unmerged() {
            out.line([b"U\t", path.as_slice()].concat());
        }
        return Err(die(
            128,
            "error: Committing is not possible because you have unmerged files.\nhint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit.\nfatal: Exiting because of an unresolved conflict.",
        ));
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    if all || !args.plain.is_empty() {
        if let Some(typed) = specs.unmatched(index.entries.iter().map(|entry| entry.path.as_slice())) {
            return Err(die(
                1,
                [b"error: pathspec '", typed, b"' did not match any file(s) known to git"].concat(),
            ));
        }
        for entry in index.entries.clone().into_iter().filter(|entry| specs.has(&entry.path)) {
            let found =
                if entry.stage == 0 { repo.compare(&index, &entry)? } else { Found::Changed(0, Id::ZERO) };
            match found {
                Found::Same => {}
                Found::Missing => {
                    index.remove(&entry.path);
                }
                Found::Changed(..) => repo.stage(&mut index, &entry.path)?,
            }
        }
    }
    let head = repo.head_id().map(|id| repo.odb.commit(&id)).transpose()?;
    if amend && head.is_none() {
        return Err(fatal("You have nothing to amend."));
    }
    let merge_heads: Vec<Id> = std::fs::read(repo.dir.join("MERGE_HEAD"))
        .unwrap_or_default()
        .lines()
        .filter_map(Id::parse)
        .collect();
    let parents: Vec<Id> = match (&head, amend) {
        (Some(head), true) => head.parents.clone(),
        (Some(head), false) => std::iter::once(head.id).chain(merge_heads.iter().copied()).collect(),
        (None, _) => Vec::new(),
    };
    // Only what was named is committed; what else is staged stays staged.
    let tree = if args.plain.is_empty() {
        index.write_tree(&repo.odb)?
    } else {
        let mut files = repo.tree_files(head.as_ref().map(|head| head.tree))?;
        files.retain(|path, _| !specs.has(path));
        files.extend(index.files().into_iter().filter(|(path, _)| specs.has(path)));
        crate::index::build_tree(&repo.odb, &files)?
    };
    let base = match (amend, parents.first()) {
        (false, _) => head.as_ref().map(|head| head.tree),
        (true, Some(parent)) => Some(repo.odb.commit(parent)?.tree),
        (true, None) => None,
    };
    if dry {
        super::status::say(repo, out)?;
        return Ok(i32::from(base == Some(tree)));
    }
    if !empty && !amend && merge_heads.is_empty() && base.unwrap_or(crate::odb::EMPTY_TREE) == tree {
        if all || !args.plain.is_empty() {
            index.write(&repo.index_path())?;
        }
        super::status::say(repo, out)?;
        return Ok(1);
    }
    let mut message = if let Some(reuse) = reuse {
        repo.odb.commit(&repo.rev_commit(&reuse)?)?.message
    } else if !messages.is_empty() {
        messages.iter().map(|message| clean(message, false)).collect::<Vec<_>>().join(&b"\n"[..])
    } else if amend && (keep || head.is_some()) {
        let _ = keep;
        head.as_ref().map(|head| head.message.clone()).unwrap_or_default()
    } else if let Ok(prepared) = std::fs::read(repo.dir.join("MERGE_MSG")) {
        clean(&prepared, true)
    } else {
        return Err(die(
            1,
            "error: Terminal is dumb, but EDITOR unset\nPlease supply the message using either -m or -F option.",
        ));
    };
    if sign {
        let who = repo.who("COMMITTER")?;
        message.extend_from_slice(
            &[b"\nSigned-off-by: ".as_slice(), &who.name, b" <", &who.mail, b">\n"].concat(),
        );
    }
    message = clean(&message, false);
    if message.is_empty() && !empty_message {
        return Err(die(1, "Aborting commit due to empty commit message."));
    }
    let committer = repo.who("COMMITTER")?;
    let mut who = match (&head, amend) {
        (Some(head), true) => head.author.clone(),
        _ => repo.who("AUTHOR")?,
    };
    if let Some(author) = author {
        let named = Who::parse(format!("{author} 0 +0000").as_bytes());
        if named.mail.is_empty() {
            return Err(fatal(format!(
                "--author '{author}' is not 'Name <email>' and matches no existing author"
            )));
        }
        who.name = named.name;
        who.mail = named.mail;
    }
    if let Some(date) = date {
        (who.time, who.zone) =
            crate::date::read(&date).ok_or_else(|| fatal(format!("invalid date format: {date}")))?;
    }
    let id = repo.odb.write(Kind::Commit, &text(tree, &parents, &who, &committer, &message))?;
    index.write(&repo.index_path())?;
    let subject = message.lines().next().unwrap_or_default().to_str_lossy().into_owned();
    let kind = match (&head, amend, merge_heads.is_empty()) {
        (None, ..) => "commit (initial)",
        (_, true, _) => "commit (amend)",
        (_, _, false) => "commit (merge)",
        _ => "commit",
    };
    repo.set_head(id, &format!("{kind}: {subject}"))?;
    for name in ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD"] {
        let _ = std::fs::remove_file(repo.dir.join(name));
    }
    if !quiet {
        summary(repo, id, &committer, amend, out)?;
    }
    Ok(0)
}

/// `[main 1234567] subject` and what the commit changed.
pub fn summary(repo: &Repo, id: Id, committer: &Who, dated: bool, out: &mut Out) -> Result<()> {
    let commit = repo.odb.commit(&id)?;
    let branch = repo.branch().unwrap_or_else(|| "detached HEAD".into());
    let root = if commit.parents.is_empty() { " (root-commit)" } else { "" };
    out.line([format!("[{branch}{root} {}] ", repo.short(&id)).as_bytes(), &commit.subject()].concat());
    if commit.author.name != committer.name || commit.author.mail != committer.mail {
        out.line([b" Author: ".as_slice(), &commit.author.name, b" <", &commit.author.mail, b">"].concat());
    }
    if dated || commit.author.time != commit.committer.time {
        out.line(format!(" Date: {}", crate::date::show(commit.author.time, commit.author.zone, "default")));
    }
    if commit.parents.len() > 1 {
        return Ok(());
    }
    let parent =
        commit.parents.first().map(|parent| repo.odb.commit(parent)).transpose()?.map(|parent| parent.tree);
    let style = Style { shortstat: true, ..Style::new(Some(repo)) };
    let changes = style.prepare(repo, repo.diff_trees(parent, Some(commit.tree), &Pathspec::default())?)?;
    style.write(repo, &changes, &mut out.bytes)?;
    for change in &changes {
        show::write_summary(repo, change, &mut out.bytes);
    }
    Ok(())
}
