//! `git format-patch`

use super::choice::{ask, no_commits, starts};
use super::history::History;
use crate::Out;
use crate::command::format::{Form, Names, Pretty};
use crate::error::Result;
use crate::repo::Repo;
use crate::show::Style;
use bstr::ByteSlice;

/// `git format-patch`
pub fn format_patch(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut dir = None;
    let mut rest = Vec::new();
    let mut iter = args.into_iter();
    while let Some(arg) = iter.next() {
        match arg.as_slice() {
            b"-o" | b"--output-directory" => dir = iter.next(),
            _ => rest.push(arg),
        }
    }
    let mut asked = ask(
        repo,
        rest,
        "format-patch",
        &[
            "--stdout",
            "-k",
            "--keep-subject",
            "-N",
            "--no-numbered",
            "--no-signature",
            "--no-stat",
            "-s",
            "--signoff",
        ],
    )?;
    let has = |name: &str| asked.extra.iter().any(|option| option == name);
    let stdout = has("--stdout");
    let from = starts(repo, &asked)?;
    // One revision alone is what is left out, unless a count says how many are taken.
    if asked.revs.range.is_none() && asked.choice.most == usize::MAX {
        let base = from.clone();
        asked.revs.not = base;
        asked.revs.from = vec![("HEAD".into(), repo.head_id().ok_or_else(|| no_commits(repo))?)];
    }
    let from = starts(repo, &asked)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut commits = Vec::new();
    while commits.len() < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        if commit.parents.len() < 2 {
            commits.push(commit);
        }
    }
    commits.reverse();
    let style =
        Style { patch: true, stat: true, summary: true, unset: false, stat_width: 72, ..asked.style.clone() };
    let count = commits.len();
    for (number, commit) in commits.iter().enumerate() {
        let mut text = Vec::new();
        let pretty = Pretty { form: Form::Email, ..asked.pretty.clone() };
        pretty.write(repo, commit, &Names::default(), &mut text)?;
        if count > 1 {
            text = text.replacen("[PATCH]", format!("[PATCH {}/{count}]", number + 1), 1);
        }
        text.extend_from_slice(b"---\n");
        let parent = commit
            .parents
            .first()
            .map(|parent| repo.odb.commit(parent).map(|parent| parent.tree))
            .transpose()?;
        let changes = style.prepare(repo, repo.diff_trees(parent, Some(commit.tree), &asked.specs)?)?;
        style.write(repo, &changes, &mut text)?;
        text.extend_from_slice(b"-- \n2.39.5\n\n");
        if stdout {
            out.bytes.append(&mut text);
            out.pass()?;
        } else {
            let name = asked.pretty.expand(repo, commit, &Names::default(), "%f")?;
            let name = format!(
                "{:04}-{}.patch",
                number + 1,
                name.to_str_lossy().chars().take(52).collect::<String>()
            );
            let path = match &dir {
                Some(dir) => {
                    std::fs::create_dir_all(guest_host::path_of(dir))?;
                    format!("{}/{name}", dir.to_str_lossy().trim_end_matches('/'))
                }
                None => name,
            };
            std::fs::write(&path, text)?;
            out.line(path);
        }
    }
    Ok(0)
}
