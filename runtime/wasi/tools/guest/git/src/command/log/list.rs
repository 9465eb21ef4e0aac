//! `git rev-list` and `git shortlog`

use super::choice::{ask, starts};
use super::history::History;
use crate::Out;
use crate::args::unbundle;
use crate::command::format::{Form, Names};
use crate::error::{Result, die};
use crate::repo::Repo;
use std::collections::BTreeMap;

/// `git rev-list`
pub fn rev_list(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(repo, args, "rev-list", &["--count", "--objects", "--quiet"])?;
    let from = starts(repo, &asked)?;
    if asked.revs.from.is_empty() && asked.choice.all.is_empty() && asked.revs.not.is_empty() {
        return Err(die(129, "usage: git rev-list [<options>] <commit>... [--] [<path>...]"));
    }
    let mut history = History::new(repo, &asked, &from)?;
    let mut ids = Vec::new();
    let mut skipped = 0;
    while ids.len() < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        if !asked.choice.takes(&commit) {
            continue;
        }
        if skipped < asked.choice.skip {
            skipped += 1;
            continue;
        }
        ids.push(commit);
    }
    if asked.choice.reverse {
        ids.reverse();
    }
    if asked.extra.iter().any(|option| option == "--count") {
        out.line(ids.len().to_string());
    } else if !asked.extra.iter().any(|option| option == "--quiet") {
        let names = Names::default();
        for commit in &ids {
            match &asked.pretty.form {
                Form::User(..) => {
                    out.line(format!("commit {}", commit.id));
                    asked.pretty.write(repo, commit, &names, &mut out.bytes)?;
                }
                Form::Oneline => asked.pretty.write(repo, commit, &names, &mut out.bytes)?,
                _ if asked.pretty.short_ids => out.line(repo.short(&commit.id)),
                _ if asked.pretty.parents => {
                    let parents: String = commit.parents.iter().map(|parent| format!(" {parent}")).collect();
                    out.line(format!("{}{parents}", commit.id));
                }
                _ => out.line(commit.id.hex()),
            }
        }
    }
    Ok(0)
}

/// `git shortlog`
pub fn shortlog(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(
        repo,
        unbundle(args, "sne"),
        "shortlog",
        &["-s", "--summary", "--numbered", "-e", "--email", "-n"],
    )?;
    let has = |names: &[&str]| asked.extra.iter().any(|option| names.contains(&option.as_str()));
    let (summary, numbered, mail) =
        (has(&["-s", "--summary"]), has(&["-n", "--numbered"]), has(&["-e", "--email"]));
    let from = starts(repo, &asked)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut of: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(commit) = history.next()? {
        if asked.choice.takes(&commit) {
            let who = if mail {
                [commit.author.name.as_slice(), b" <", &commit.author.mail, b">"].concat()
            } else {
                commit.author.name.clone()
            };
            of.entry(who).or_default().push(commit.subject());
        }
    }
    let mut people: Vec<_> = of.into_iter().collect();
    if numbered {
        people.sort_by_key(|(_, subjects)| std::cmp::Reverse(subjects.len()));
    }
    for (who, subjects) in people {
        if summary {
            out.line([format!("{:6}\t", subjects.len()).as_bytes(), &who].concat());
        } else {
            out.line([who.as_slice(), format!(" ({}):", subjects.len()).as_bytes()].concat());
            for subject in subjects.iter().rev() {
                out.line([b"      ".as_slice(), subject].concat());
            }
            out.line("");
        }
    }
    Ok(0)
}
