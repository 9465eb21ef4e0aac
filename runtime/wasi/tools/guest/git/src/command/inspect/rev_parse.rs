//! `git rev-parse`

use crate::Out;
use crate::error::{Result, fatal, silent};
use crate::object::Id;
use crate::refs::{Head, short};
use crate::repo::Repo;
use bstr::ByteSlice;

/// `git rev-parse`
pub fn rev_parse(repo: Result<Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    if args.iter().any(|arg| arg == b"--is-inside-work-tree") && repo.is_err() {
        return repo.map(|_| 0);
    }
    let repo = &repo?;
    let (mut abbrev_ref, mut short_ids, mut verify, mut quiet, mut symbolic) =
        (false, None, false, false, false);
    let mut iter = args.into_iter();
    let mut revs = true;
    while let Some(arg) = iter.next() {
        let text = arg.to_str_lossy().into_owned();
        let here = std::env::current_dir()?;
        match text.as_str() {
            "--show-toplevel" => out.line(guest_host::bytes_of(repo.work()?.as_os_str())),
            "--git-dir" => {
                let plain = repo.prefix.is_empty()
                    && repo.work.as_ref().is_some_and(|work| repo.dir == work.join(".git"));
                if plain { out.line(".git") } else { out.line(guest_host::bytes_of(repo.dir.as_os_str())) }
            }
            "--absolute-git-dir" => out.line(guest_host::bytes_of(repo.dir.as_os_str())),
            "--git-common-dir" => {
                if repo.common == repo.dir && repo.prefix.is_empty() {
                    out.line(".git")
                } else {
                    out.line(guest_host::bytes_of(repo.common.as_os_str()))
                }
            }
            "--show-prefix" => out.line(&repo.prefix),
            "--show-cdup" => out.line("../".repeat(repo.prefix.iter().filter(|byte| **byte == b'/').count())),
            "--is-inside-work-tree" => {
                out.line(if repo.work.as_ref().is_some_and(|work| here.starts_with(work)) {
                    "true"
                } else {
                    "false"
                })
            }
            "--is-inside-git-dir" => out.line(if here.starts_with(&repo.dir) { "true" } else { "false" }),
            "--is-bare-repository" => out.line(if repo.work.is_none() { "true" } else { "false" }),
            "--is-shallow-repository" => {
                out.line(if repo.common.join("shallow").exists() { "true" } else { "false" })
            }
            "--show-object-format" => out.line("sha1"),
            "--git-path" => {
                let name = iter.next().unwrap_or_default();
                out.line([b".git/".as_slice(), &name].concat());
            }
            "--abbrev-ref" | "--abbrev-ref=strict" | "--abbrev-ref=loose" => abbrev_ref = true,
            "--symbolic-full-name" | "--symbolic" => symbolic = true,
            "--short" => short_ids = Some(None),
            "--verify" => verify = true,
            "-q" | "--quiet" => quiet = true,
            "--all" => {
                for id in repo.refs("refs/").values() {
                    out.line(id.hex());
                }
            }
            "--" => {
                revs = false;
                out.line("--");
            }
            "--end-of-options" | "--revs-only" | "--no-revs" | "--no-flags" | "--flags" | "--sq" => {}
            text if text.starts_with("--short=") => short_ids = Some(text[8..].parse().ok()),
            text if text.starts_with("--path-format") => {}
            text if !revs => out.line(text),
            text => {
                let show = |id: &Id| match short_ids {
                    Some(length) => repo.short_of(id, length),
                    None => id.hex(),
                };
                if abbrev_ref || symbolic {
                    let full = match (text, repo.head()?) {
                        ("HEAD" | "@", Head::Branch(name)) => Some(name),
                        ("HEAD" | "@", Head::Detached(_)) => Some("HEAD".into()),
                        (text, _) if text.ends_with("@{u}") || text.ends_with("@{upstream}") => {
                            let branch = text
                                .split("@{")
                                .next()
                                .filter(|name| !name.is_empty())
                                .map(str::to_owned)
                                .or_else(|| repo.branch());
                            let branch = branch.unwrap_or_default();
                            Some(repo.upstream_name(&branch).ok_or_else(|| {
                                fatal(format!("no upstream configured for branch '{branch}'"))
                            })?)
                        }
                        (text, _) => repo.named(text).map(|(full, _)| full),
                    };
                    match full {
                        Some(full) if symbolic => out.line(full),
                        Some(full) => out.line(short(&full)),
                        None => {
                            repo.rev(text)?;
                        }
                    }
                    continue;
                }
                let mut found = crate::args::Revs::default();
                if repo.take_rev(text, &mut found)? {
                    for (_, id) in &found.from {
                        out.line(show(id));
                    }
                    for id in &found.not {
                        out.line(format!("^{}", show(id)));
                    }
                } else if quiet {
                    return Err(silent(1));
                } else if verify {
                    return Err(fatal("Needed a single revision"));
                } else if std::fs::symlink_metadata(guest_host::path_of(&arg)).is_ok() {
                    out.line(text);
                } else {
                    out.line(text);
                    repo.rev(text)?;
                }
            }
        }
    }
    Ok(0)
}
