//! `git tag`

use super::valid_name;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal};
use crate::glob;
use crate::object::{Id, Kind};
use crate::refs::short;
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git tag`
pub fn tag(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "afl"));
    let (mut annotate, mut force, mut list, mut remove, mut message, mut contains) =
        (false, false, false, false, None, None);
    let mut lines = false;
    let mut sort = String::new();
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-a" | "--annotate" => annotate = true,
            "-f" | "--force" => force = true,
            "-l" | "--list" => list = true,
            "-d" | "--delete" => remove = true,
            "-m" | "--message" => message = Some(args.value(&option)?),
            "--contains" => contains = Some(args.next().unwrap_or_else(|| "HEAD".into())),
            "--points-at" => contains = Some(args.next().unwrap_or_else(|| "HEAD".into())),
            "--sort" => sort = args.value(&option)?,
            "-n" | "-n1" => {
                lines = true;
                list = true;
            }
            "--no-sign" | "--column" | "--no-column" | "--merged" => {}
            option => {
                return Err(unknown(
                    option,
                    "tag [-a] [-f] [-m <msg>] <tagname> [<commit>]\n   or: git tag -d <tagname>...\n   or: git tag [-n[<num>]] -l [<pattern>...]",
                ));
            }
        }
    }
    let words = args.words();
    if remove {
        let mut status = 0;
        for name in &words {
            let full = format!("refs/tags/{name}");
            match repo.find_ref(&full) {
                Some(id) => {
                    repo.delete_ref(&full)?;
                    out.line(format!("Deleted tag '{name}' (was {})", repo.short(&id)));
                }
                None => {
                    warn(format!("error: tag '{name}' not found."));
                    status = 1;
                }
            }
        }
        return Ok(status);
    }
    if list || words.is_empty() || contains.is_some() {
        let mut names: Vec<(String, Id)> =
            repo.refs("refs/tags/").into_iter().map(|(name, id)| (short(&name).to_owned(), id)).collect();
        names.retain(|(name, _)| {
            words.is_empty()
                || words.iter().any(|pattern| glob::matches(pattern.as_bytes(), name.as_bytes(), false))
        });
        if let Some(rev) = contains {
            let id = repo.rev_commit(&rev)?;
            let mut kept = Vec::new();
            for (name, tip) in names {
                if let Some(commit) = repo.peel(tip, Kind::Commit)?
                    && repo.merge_base(id, commit)?.contains(&id)
                {
                    kept.push((name, tip));
                }
            }
            names = kept;
        }
        let key = sort.trim_start_matches('-');
        match key {
            "version:refname" | "v:refname" => names.sort_by_key(|(name, _)| version(name)),
            "creatordate" | "committerdate" | "taggerdate" | "authordate" => {
                let when = |id: &Id| {
                    repo.peel(*id, Kind::Commit)
                        .ok()
                        .flatten()
                        .and_then(|id| repo.odb.commit(&id).ok())
                        .map_or(0, |commit| commit.committer.time)
                };
                names.sort_by_key(|(_, id)| when(id));
            }
            _ => {}
        }
        if sort.starts_with('-') {
            names.reverse();
        }
        for (name, id) in names {
            if lines {
                let subject = match repo.odb.read(&id)? {
                    (Kind::Tag, data) => data
                        .split_once_str("\n\n")
                        .and_then(|(_, text)| text.lines().next())
                        .unwrap_or_default()
                        .to_vec(),
                    _ => repo
                        .peel(id, Kind::Commit)?
                        .map(|id| repo.odb.commit(&id))
                        .transpose()?
                        .map(|commit| commit.subject())
                        .unwrap_or_default(),
                };
                out.line([format!("{name:<15} ").as_bytes(), &subject].concat());
            } else {
                out.line(name);
            }
        }
        return Ok(0);
    }
    let name = &words[0];
    if !valid_name(name) {
        return Err(fatal(format!("'{name}' is not a valid tag name.")));
    }
    let full = format!("refs/tags/{name}");
    if repo.find_ref(&full).is_some() && !force {
        return Err(fatal(format!("tag '{name}' already exists")));
    }
    let target_name = words.get(1).map_or("HEAD", String::as_str);
    let target = repo
        .rev(target_name)
        .map_err(|_| fatal(format!("Failed to resolve '{target_name}' as a valid ref.")))?;
    let id = if annotate || message.is_some() {
        let message = message.ok_or_else(|| fatal("no tag message?"))?;
        let kind = repo.odb.read(&target)?.0;
        let mut data = format!("object {target}\ntype {}\ntag {name}\ntagger ", kind.name()).into_bytes();
        data.extend_from_slice(&repo.who("COMMITTER")?.line());
        data.extend_from_slice(b"\n\n");
        data.extend_from_slice(&crate::command::commit::clean(message.as_bytes(), false));
        repo.odb.write(Kind::Tag, &data)?
    } else {
        target
    };
    repo.set_ref(&full, id, "")?;
    Ok(0)
}

fn version(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 {
            parts.push((rest[..digits].parse().unwrap_or(u64::MAX), String::new()));
            rest = &rest[digits..];
        } else {
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            parts.push((0, rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    parts
}
