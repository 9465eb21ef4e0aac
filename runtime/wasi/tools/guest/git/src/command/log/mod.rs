//! `git log`, `git show` and what else lists commits.

mod choice;
mod format_patch;
mod graph;
mod history;
mod list;
mod reflog;
mod show;

use super::format::{Form, Names, Pretty};
use crate::Out;
use crate::error::Result;
use crate::object::{Commit, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::Style;
use bstr::ByteSlice;
use choice::{Asked, ask, no_commits, starts};
pub use format_patch::format_patch;
use graph::graph;
use history::{History, follow};
pub use list::{rev_list, shortlog};
pub use reflog::reflog;
use reflog::show_reflog;
pub use show::show;

/// `git log`
pub fn log(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut asked = ask(repo, args, "log", &[])?;
    if asked.choice.reflog {
        return show_reflog(repo, &asked, out);
    }
    let from = starts(repo, &asked)?;
    if from.is_empty() {
        return Err(no_commits(repo));
    }
    if asked.choice.graph && asked.pretty.parted() {
        asked.pretty.decorate &= true;
    }
    let names = names(repo, &asked.pretty)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut specs_now: Option<Pathspec> = None;
    let mut followed: Option<Vec<u8>> = match (asked.choice.follow, asked.paths.as_slice()) {
        (true, [path]) => Some(repo.inside(path)?),
        _ => None,
    };
    let mut kept: Vec<(Commit, Vec<u8>)> = Vec::new();
    let (mut taken, mut skipped, mut first) = (0, 0, true);
    while taken < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        let mut moved = None;
        if let Some(path) = &followed {
            let Some(next) = follow(repo, &commit, path)? else { continue };
            specs_now = Some(Pathspec::new(&at_top(repo), std::slice::from_ref(path))?);
            if next != *path {
                specs_now = Some(Pathspec::new(&at_top(repo), &[path.clone(), next.clone()])?);
                moved = Some(next);
            }
        }
        if !asked.choice.takes(&commit) {
            followed = moved.or(followed);
            continue;
        }
        let specs = specs_now.as_ref().unwrap_or(&asked.specs);
        let body = body(repo, &asked, &commit, specs)?;
        if let Some(next) = moved {
            followed = Some(next);
        }
        let Some(body) = body else { continue };
        if skipped < asked.choice.skip {
            skipped += 1;
            continue;
        }
        taken += 1;
        if asked.choice.reverse || asked.choice.graph {
            kept.push((commit, body));
            continue;
        }
        entry(repo, &asked, &commit, &names, &body, first, &mut out.bytes)?;
        first = false;
        out.pass()?;
    }
    if asked.choice.graph {
        return graph(repo, &asked, &names, kept, out);
    }
    for (commit, body) in kept.iter().rev() {
        entry(repo, &asked, commit, &names, body, first, &mut out.bytes)?;
        first = false;
    }
    finish(&asked.pretty, first, out);
    Ok(0)
}

// A `format:` parts its entries by newlines; the last is not ended, but the terminal's pager is not here either.
fn finish(pretty: &Pretty, none: bool, out: &mut Out) {
    if let Form::User(_, false) = pretty.form
        && !none
        && out.bytes.last() == Some(&b'\n')
    {
        out.bytes.pop();
    }
}

fn names(repo: &Repo, pretty: &Pretty) -> Result<Names> {
    let wanted = pretty.decorate
        || matches!(&pretty.form, Form::User(text, _) if text.contains("%d") || text.contains("%D"));
    if wanted { Names::new(repo) } else { Ok(Names::default()) }
}

fn at_top(repo: &Repo) -> Repo {
    Repo {
        dir: repo.dir.clone(),
        common: repo.common.clone(),
        work: repo.work.clone(),
        prefix: Vec::new(),
        config: repo.config.clone(),
        odb: crate::odb::Odb::open(repo.common.join("objects")),
    }
}

// The changes of a commit as they are shown; `None` if the commit is left out for lack of them.
fn body(repo: &Repo, asked: &Asked, commit: &Commit, specs: &Pathspec) -> Result<Option<Vec<u8>>> {
    let searched =
        asked.choice.pickaxe.is_some() || asked.style.pickaxe.is_some() || asked.style.filter.is_some();
    let shown = !asked.style.unset && !asked.style.none;
    if !searched && !shown {
        return Ok(Some(Vec::new()));
    }
    let merge = commit.parents.len() > 1;
    if merge && !asked.choice.first_parent && !asked.choice.merge_diffs {
        return Ok((!searched).then(Vec::new));
    }
    let parent = match commit.parents.first().map(|parent| repo.odb.find(parent)) {
        Some(Some((Kind::Commit, data))) => Some(Commit::parse(commit.parents[0], &data)?.tree),
        _ => None,
    };
    let changes = repo.diff_trees(parent, Some(commit.tree), specs)?;
    let mut changes = asked.style.prepare(repo, changes)?;
    if let Some(regex) = &asked.choice.pickaxe {
        let mut kept = Vec::new();
        for change in changes {
            let mut text = Vec::new();
            Style {
                patch: true,
                text: true,
                lines: crate::text::Lines { context: 0, ..asked.style.lines.clone() },
                ..asked.style.clone()
            }
            .write_patch(repo, &change, &mut text)?;
            let changed = |line: &&[u8]| {
                (line.starts_with(b"+") && !line.starts_with(b"+++ "))
                    || (line.starts_with(b"-") && !line.starts_with(b"--- "))
            };
            if text.lines().filter(changed).any(|line| regex.is_match(&line[1..])) {
                kept.push(change);
            }
        }
        changes = kept;
    }
    if searched && changes.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::new();
    if shown {
        asked.style.write(repo, &changes, &mut out)?;
    }
    Ok(Some(out))
}

fn entry(
    repo: &Repo,
    asked: &Asked,
    commit: &Commit,
    names: &Names,
    body: &[u8],
    first: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let pretty = &asked.pretty;
    if !first && pretty.parted() {
        out.push(b'\n');
    }
    if !first && matches!(pretty.form, Form::User(_, false)) && !asked.style.unset && !asked.style.none {
        out.push(b'\n');
    }
    pretty.write(repo, commit, names, out)?;
    if body.is_empty() {
        return Ok(());
    }
    let both = asked.style.patch && (asked.style.stat || asked.style.shortstat || asked.style.numstat);
    match &pretty.form {
        Form::Oneline => {}
        Form::User(text, _) if text.is_empty() => {}
        Form::Email => out.extend_from_slice(b"---\n"),
        Form::User(..) if both => out.extend_from_slice(b"---\n"),
        _ if both => out.extend_from_slice(b"---\n"),
        _ => out.push(b'\n'),
    }
    out.extend_from_slice(body);
    Ok(())
}
