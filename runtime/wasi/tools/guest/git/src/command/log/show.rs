//! `git show`

use super::choice::{Asked, ask, no_commits, starts};
use super::history::History;
use super::{body, entry, finish, names};
use crate::Out;
use crate::command::format::Pretty;
use crate::date;
use crate::error::{Result, fatal};
use crate::object::{Commit, Id, Kind};
use crate::repo::Repo;
use crate::show::Style;
use bstr::ByteSlice;

/// `git show`
pub fn show(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut asked = ask(repo, args, "show", &[])?;
    if asked.style.unset {
        asked.style.patch = true;
        asked.style.unset = false;
    }
    let names = names(repo, &asked.pretty)?;
    let mut objects: Vec<(String, Id)> = asked.revs.from.clone();
    if asked.revs.range.is_some()
        || asked.choice.most != usize::MAX && !objects.is_empty() && !asked.revs.not.is_empty()
    {
        let from = starts(repo, &asked)?;
        let mut history = History::new(repo, &asked, &from)?;
        objects.clear();
        while objects.len() < asked.choice.most {
            let Some(commit) = history.next()? else { break };
            objects.push((commit.id.hex(), commit.id));
        }
    } else if objects.is_empty() {
        objects.push(("HEAD".into(), repo.head_id().ok_or_else(|| no_commits(repo))?));
    }
    let mut first = true;
    for (name, id) in objects {
        let mut id = id;
        loop {
            let (kind, data) = repo.odb.find(&id).ok_or_else(|| fatal(format!("bad object {name}")))?;
            match kind {
                Kind::Blob => out.bytes.extend_from_slice(&data),
                Kind::Tree => {
                    if !first {
                        out.line("");
                    }
                    out.line(format!("tree {name}\n"));
                    for entry in crate::object::parse_tree(&data)? {
                        out.bytes.extend_from_slice(&entry.name);
                        out.line(if entry.is_tree() { "/" } else { "" });
                    }
                }
                Kind::Tag => {
                    if !first {
                        out.line("");
                    }
                    show_tag(&data, &asked.pretty, out);
                    id = crate::rev::tagged(&data).ok_or_else(|| fatal(format!("bad tag {name}")))?;
                    first = false;
                    continue;
                }
                Kind::Commit => {
                    let commit = Commit::parse(id, &data)?;
                    let body = if commit.parents.len() > 1
                        && !asked.choice.first_parent
                        && !asked.choice.merge_diffs
                    {
                        merged(repo, &asked, &commit)?
                    } else {
                        body(repo, &asked, &commit, &asked.specs)?.unwrap_or_default()
                    };
                    entry(repo, &asked, &commit, &names, &body, first, &mut out.bytes)?;
                    if commit.parents.len() > 1
                        && body.is_empty()
                        && asked.pretty.parted()
                        && !asked.style.none
                    {
                        out.line("");
                    }
                }
            }
            break;
        }
        first = false;
        out.pass()?;
    }
    finish(&asked.pretty, true, out);
    Ok(0)
}

// A merge shows, as statistics, what it brought to its first parent.
fn merged(repo: &Repo, asked: &Asked, commit: &Commit) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if asked.style.none {
        return Ok(out);
    }
    let first = repo.odb.commit(&commit.parents[0])?.tree;
    let changes =
        asked.style.prepare(repo, repo.diff_trees(Some(first), Some(commit.tree), &asked.specs)?)?;
    // As a patch, only files that differ from every parent.
    let mut both = Vec::new();
    for change in &changes {
        let mut differs = true;
        for parent in &commit.parents[1..] {
            let there = repo.in_tree(repo.odb.commit(parent)?.tree, change.path())?;
            differs &= there.map(|(_, id)| id) != change.new.as_ref().map(|side| side.id);
        }
        if differs {
            both.push(change.clone());
        }
    }
    Style { patch: false, names: false, name_status: false, raw: false, ..asked.style.clone() }
        .write(repo, &changes, &mut out)?;
    Style {
        patch: false,
        stat: false,
        numstat: false,
        shortstat: false,
        summary: false,
        ..asked.style.clone()
    }
    .write(repo, &both, &mut out)?;
    if asked.style.patch {
        for change in &both {
            let blob = |tree: Id| -> Result<Vec<u8>> {
                match repo.in_tree(tree, change.path())? {
                    Some((_, id)) => repo.odb.blob(&id),
                    None => Ok(Vec::new()),
                }
            };
            let result = blob(commit.tree)?;
            let a = blob(first)?;
            let b = blob(repo.odb.commit(&commit.parents[1])?.tree)?;
            let name = change.path().to_str_lossy();
            let id = |data: &[u8]| repo.short(&Id::of(Kind::Blob, data));
            let mut hunks = Vec::new();
            crate::merge::combined(
                &mut hunks,
                &crate::text::split(&a),
                &crate::text::split(&b),
                &crate::text::split(&result),
            );
            if hunks.is_empty() {
                continue;
            }
            out.extend_from_slice(
                format!(
                    "diff --cc {name}\nindex {},{}..{}\n--- a/{name}\n+++ b/{name}\n",
                    id(&a),
                    id(&b),
                    id(&result)
                )
                .as_bytes(),
            );
            out.extend_from_slice(&hunks);
        }
    }
    Ok(out)
}

fn show_tag(data: &[u8], pretty: &Pretty, out: &mut Out) {
    let (head, message) = data.split_once_str("\n\n").unwrap_or((data, b""));
    for line in head.lines() {
        if let Some(name) = line.strip_prefix(b"tag ") {
            out.line([b"tag ".as_slice(), name].concat());
        } else if let Some(who) = line.strip_prefix(b"tagger ") {
            let who = crate::object::Who::parse(who);
            out.line([b"Tagger: ".as_slice(), &who.name, b" <", &who.mail, b">"].concat());
            out.line(format!("Date:   {}", date::show(who.time, who.zone, &pretty.date)));
        }
    }
    out.line("");
    out.bytes.extend_from_slice(message);
}
