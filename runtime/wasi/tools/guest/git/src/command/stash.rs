//! `git stash`

use super::checkout::reset_work;
use super::commit::text;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::index::{Entry, Index, build_tree};
use crate::merge;
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::Style;
use crate::worktree::{Found, Untracked};
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git stash`
pub fn stash(repo: &Repo, mut args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    repo.work()?;
    let first = args.first().map(|arg| arg.to_str_lossy().into_owned()).unwrap_or_else(|| "push".into());
    let known = ["push", "save", "list", "show", "pop", "apply", "drop", "clear", "branch", "create"];
    let action = if known.contains(&first.as_str()) {
        if !args.is_empty() {
            args.remove(0);
        }
        first
    } else if first.starts_with('-') {
        "push".into()
    } else {
        return Err(die(
            1,
            format!(
                "fatal: subcommand wasn't specified; 'push' can't be assumed due to unexpected token '{first}'"
            ),
        ));
    };
    match action.as_str() {
        "push" | "save" => push(repo, args, action == "save", out),
        "list" => {
            for (number, line) in repo.log_of("refs/stash").iter().enumerate() {
                out.line([format!("stash@{{{number}}}: ").as_bytes(), &line.why].concat());
            }
            Ok(0)
        }
        "show" => show(repo, args, out),
        "clear" => {
            repo.delete_ref("refs/stash")?;
            Ok(0)
        }
        action => {
            let mut args = Args::new(unbundle(args, "q"));
            let mut quiet = false;
            while let Some(option) = args.option() {
                match option.as_str() {
                    "-q" | "--quiet" => quiet = true,
                    "--index" => {}
                    option => {
                        return Err(unknown(option, &format!("stash {action} [-q | --quiet] [<stash>]")));
                    }
                }
            }
            let words = args.words();
            let number = number(repo, words.first().map(String::as_str))?;
            match action {
                "drop" => drop(repo, number, quiet, out),
                "apply" => apply(repo, number, quiet, out),
                _ => {
                    let status = apply(repo, number, quiet, out)?;
                    if status == 0 {
                        drop(repo, number, quiet, out)?;
                    } else {
                        out.line("The stash entry is kept in case you need it again.");
                    }
                    Ok(status)
                }
            }
        }
    }
}

fn number(repo: &Repo, name: Option<&str>) -> Result<usize> {
    let number = match name {
        None => 0,
        Some(name) => {
            let digits = name.strip_prefix("stash@{").and_then(|rest| rest.strip_suffix('}')).unwrap_or(name);
            digits.parse().map_err(|_| fatal(format!("'{name}' is not a stash-like commit")))?
        }
    };
    let count = repo.log_of("refs/stash").len();
    if count == 0 {
        return Err(die(1, "No stash entries found."));
    }
    if number >= count {
        return Err(fatal(format!("log for 'stash' only has {count} entries")));
    }
    Ok(number)
}

fn push(repo: &Repo, args: Vec<Vec<u8>>, save: bool, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "kqu"));
    let (mut keep, mut quiet, mut untracked, mut staged, mut message) = (false, false, false, false, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-k" | "--keep-index" => keep = true,
            "--no-keep-index" => keep = false,
            "-q" | "--quiet" => quiet = true,
            "-u" | "--include-untracked" | "-a" | "--all" => untracked = true,
            "-S" | "--staged" => staged = true,
            "-m" | "--message" => message = Some(args.value(&option)?),
            option => {
                return Err(unknown(
                    option,
                    "stash push [-k | --[no-]keep-index] [-q | --quiet] [-u] [-m <message>] [--] [<pathspec>...]",
                ));
            }
        }
    }
    let mut paths = args.plain.clone();
    if save && message.is_none() && !paths.is_empty() {
        message = Some(args.words().join(" "));
        paths.clear();
    }
    let specs = Pathspec::new(repo, &paths)?;
    let head = repo.head_id().ok_or_else(|| die(1, "You do not have the initial commit yet"))?;
    let commit = repo.odb.commit(&head)?;
    let index = repo.index()?;
    if !index.unmerged().is_empty() {
        return Err(die(1, "error: could not write index"));
    }
    let staged_changes = repo.diff_cached(Some(commit.tree), &index, &specs)?;
    let changed = if staged { Vec::new() } else { repo.diff_files(&index, &specs)? };
    let new: Vec<Vec<u8>> =
        if untracked { repo.untracked(&index, &specs, Untracked::All, false)? } else { Vec::new() };
    if staged_changes.is_empty() && changed.is_empty() && new.is_empty() {
        if !quiet {
            out.line("No local changes to save");
        }
        return Ok(0);
    }
    let who = repo.who("COMMITTER")?;
    let branch = repo.branch().unwrap_or_else(|| "(no branch)".into());
    let about = format!("{branch}: {} {}", repo.short(&head), commit.subject().to_str_lossy());
    let index_tree = index.write_tree(&repo.odb)?;
    let index_commit = repo.odb.write(
        Kind::Commit,
        &text(index_tree, &[head], &who, &who, format!("index on {about}\n").as_bytes()),
    )?;
    let mut files = index.files();
    for change in &changed {
        match &change.new {
            Some(side) => {
                let id = repo.odb.write(Kind::Blob, &repo.content(&side.path)?)?;
                files.insert(side.path.clone(), (side.mode, id));
            }
            None => {
                files.remove(change.path());
            }
        }
    }
    let mut parents = vec![head, index_commit];
    if !new.is_empty() {
        let mut others = std::collections::BTreeMap::new();
        for path in new.iter().filter(|path| !path.ends_with(b"/")) {
            let stat = guest_host::stat(&repo.at(path)?, false)?;
            let id = repo.odb.write(Kind::Blob, &repo.content(path)?)?;
            others.insert(path.clone(), (repo.mode_of(&stat, 0), id));
        }
        let tree = build_tree(&repo.odb, &others)?;
        parents.push(repo.odb.write(
            Kind::Commit,
            &text(tree, &[], &who, &who, format!("untracked files on {about}\n").as_bytes()),
        )?);
    }
    let tree = build_tree(&repo.odb, &files)?;
    let words = match &message {
        Some(message) => format!("On {branch}: {message}"),
        None => format!("WIP on {about}"),
    };
    let id = repo.odb.write(Kind::Commit, &text(tree, &parents, &who, &who, words.as_bytes()))?;
    std::fs::create_dir_all(repo.common.join("logs/refs"))?;
    let log = repo.log_path("refs/stash");
    if !log.exists() {
        std::fs::write(&log, "")?;
    }
    repo.set_ref("refs/stash", id, &words)?;
    for path in &new {
        repo.remove_file(path)?;
    }
    if specs.is_empty() && !staged {
        reset_work(repo, Some(if keep { index_tree } else { commit.tree }))?;
        repo.set_head(head, "reset: moving to HEAD")?;
    } else {
        let mut index = index;
        let before = repo.tree_files(Some(commit.tree))?;
        let touched: Vec<Vec<u8>> =
            staged_changes.iter().chain(&changed).map(|change| change.path().to_vec()).collect();
        for path in touched {
            match before.get(&path) {
                Some((mode, id)) => repo.check_out(&mut index, &path, *mode, *id)?,
                None => {
                    index.remove(&path);
                    repo.remove_file(&path)?;
                }
            }
        }
        index.write(&repo.index_path())?;
    }
    if !quiet {
        out.line(format!("Saved working directory and index state {words}"));
    }
    Ok(0)
}

fn entry(repo: &Repo, number: usize) -> Result<Id> {
    repo.log_of("refs/stash").get(number).map(|line| line.new).ok_or_else(|| fatal("no such stash"))
}

fn apply(repo: &Repo, number: usize, quiet: bool, out: &mut Out) -> Result<i32> {
    let stash = repo.odb.commit(&entry(repo, number)?)?;
    let base = repo.odb.commit(&stash.parents[0])?;
    let mut index = repo.index()?;
    if !index.unmerged().is_empty() {
        return Err(die(1, "error: could not write index"));
    }
    let head = repo.head_id().map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten();
    // What is changed now must not be touched by the stash.
    let mut busy = Vec::new();
    let changes = repo.diff_trees(Some(base.tree), Some(stash.tree), &Pathspec::default())?;
    for change in &changes {
        if let Some(entry) = index.get(change.path())
            && !matches!(repo.compare(&index, entry)?, Found::Same)
        {
            busy.push(change.path().to_vec());
        }
    }
    if !busy.is_empty() {
        let list: String = busy.iter().map(|path| format!("\t{}\n", path.to_str_lossy())).collect();
        warn(format!(
            "error: Your local changes to the following files would be overwritten by merge:\n{list}Please commit your changes or stash them before you merge.\nAborting"
        ));
        if !quiet {
            super::status::say(repo, out)?;
        }
        return Ok(1);
    }
    let now = index.write_tree(&repo.odb)?;
    let (conflicts, merged) = merge::trees(
        repo,
        Some(base.tree),
        Some(now),
        Some(stash.tree),
        ("Updated upstream", "Stashed changes"),
        "merge",
    )?;
    let mut lines: Vec<(Vec<u8>, String)> =
        merged.iter().map(|path| (path.clone(), format!("Auto-merging {}", path.to_str_lossy()))).collect();
    lines.extend(conflicts.iter().map(|conflict| (conflict.path.clone(), conflict.words.clone())));
    lines.sort();
    for (_, words) in lines {
        out.line(words);
    }
    // The changes stay unstaged, but new files stay in the index.
    index = repo.index()?;
    if conflicts.is_empty() {
        let before = repo.tree_files(Some(now))?;
        let mut kept = Index { entries: Vec::new(), written: index.written };
        for entry in index.entries {
            match before.get(&entry.path) {
                Some((mode, id)) if (entry.mode, entry.id) != (*mode, *id) => {
                    kept.put(Entry::new(entry.path, *mode, *id))
                }
                _ => kept.put(entry),
            }
        }
        for (path, (mode, id)) in before {
            if kept.get(&path).is_none() {
                kept.put(Entry::new(path, mode, id));
            }
        }
        kept.write(&repo.index_path())?;
    }
    let _ = head;
    if let Some(others) = stash.parents.get(2) {
        let tree = repo.peel(*others, Kind::Tree)?;
        for (path, (mode, id)) in repo.tree_files(tree)? {
            if std::fs::symlink_metadata(repo.at(&path)?).is_ok() {
                return Err(die(
                    1,
                    format!(
                        "{} already exists, no checkout\nerror: could not restore untracked files from stash",
                        path.to_str_lossy()
                    ),
                ));
            }
            repo.write_out(&path, mode, &repo.odb.blob(&id)?)?;
        }
    }
    if !quiet {
        super::status::say(repo, out)?;
    }
    Ok(i32::from(!conflicts.is_empty()))
}

fn drop(repo: &Repo, number: usize, quiet: bool, out: &mut Out) -> Result<i32> {
    let id = entry(repo, number)?;
    let path = repo.log_path("refs/stash");
    let log = std::fs::read(&path).unwrap_or_default();
    let mut lines: Vec<&[u8]> = log.lines_with_terminator().collect();
    let at = lines.len() - 1 - number;
    lines.remove(at);
    if lines.is_empty() {
        repo.delete_ref("refs/stash")?;
    } else {
        crate::refs::write(&path, &lines.concat())?;
        let last = lines.last().and_then(|line| line.get(41..81)).unwrap_or_default();
        crate::refs::write(&repo.common.join("refs/stash"), &[last, b"\n"].concat())?;
    }
    if !quiet {
        out.line(format!("Dropped refs/stash@{{{number}}} ({id})"));
    }
    Ok(0)
}

fn show(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut style = Style::new(Some(repo));
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if !style.option(&option, &mut || args.next())? && option != "-u" && option != "--include-untracked" {
            return Err(unknown(&option, "stash show [<diff-options>] [<stash>]"));
        }
    }
    if style.unset {
        style.stat = true;
    }
    let words = args.words();
    let stash = repo.odb.commit(&entry(repo, number(repo, words.first().map(String::as_str))?)?)?;
    let base = repo.odb.commit(&stash.parents[0])?;
    let changes =
        style.prepare(repo, repo.diff_trees(Some(base.tree), Some(stash.tree), &Pathspec::default())?)?;
    style.write(repo, &changes, &mut out.bytes)?;
    Ok(0)
}
