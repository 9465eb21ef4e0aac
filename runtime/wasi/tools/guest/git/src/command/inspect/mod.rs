//! What looks at single things: objects, names, the index.

mod list;
mod notes;
mod object;
mod rev_parse;

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::ignore::Ignore;
use crate::object::Kind;
use crate::pathspec::Pathspec;
use crate::refs::short;
use crate::repo::Repo;
use crate::show::quote;
use bstr::ByteSlice;
pub use list::{ls_files, ls_tree};
pub use notes::notes;
pub use object::{cat_file, hash_object};
pub use rev_parse::rev_parse;
use std::io::Read;

/// Commands of which nothing is left to do here.
pub fn quiet(_: &Repo, _: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    Ok(0)
}

/// `git check-ignore`
pub fn check_ignore(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "vqn"));
    let (mut verbose, mut silent_, mut stdin, mut none) = (false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-v" | "--verbose" => verbose = true,
            "-q" | "--quiet" => silent_ = true,
            "--stdin" => stdin = true,
            "-n" | "--non-matching" => none = true,
            "--no-index" => {}
            option => return Err(unknown(option, "check-ignore [<options>] <pathname>...")),
        }
    }
    let mut paths = args.plain.clone();
    if stdin {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text)?;
        paths.extend(text.lines().map(<[u8]>::to_vec));
    }
    if paths.is_empty() && !stdin {
        return Err(fatal("no path specified"));
    }
    let index = repo.index()?;
    let mut ignore = Ignore::new(repo);
    let mut status = 1;
    for typed in paths {
        let path = repo.inside(&typed)?;
        let is_dir = typed.ends_with(b"/") || repo.at(&path)?.is_dir();
        let rule = if index.get(&path).is_some() { None } else { ignore.covers(&path, is_dir) };
        match rule {
            Some(rule) if rule.ignored || verbose => {
                status = 0;
                if silent_ {
                    continue;
                }
                if verbose {
                    out.bytes.extend_from_slice(format!("{}:{}:", rule.source, rule.line).as_bytes());
                    out.bytes.extend_from_slice(&rule.text);
                    out.bytes.push(b'\t');
                }
                out.line(quote(repo, &typed));
            }
            _ if verbose && none => out.line([b"::\t".as_slice(), &typed].concat()),
            _ => {}
        }
    }
    Ok(status)
}

/// `git merge-base`
pub fn merge_base(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut all, mut ancestor) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-a" | "--all" => all = true,
            "--is-ancestor" => ancestor = true,
            "--fork-point" | "--octopus" => {}
            option => return Err(unknown(option, "merge-base [-a | --all] <commit> <commit>...")),
        }
    }
    let words = args.words();
    let [a, b, ..] = words.as_slice() else {
        return Err(die(129, "usage: git merge-base [-a | --all] <commit> <commit>..."));
    };
    let valid =
        |name: &String| repo.rev_commit(name).map_err(|_| fatal(format!("Not a valid object name {name}")));
    let (a, b) = (valid(a)?, valid(b)?);
    let bases = repo.merge_base(a, b)?;
    if ancestor {
        return Ok(i32::from(!bases.contains(&a)));
    }
    for base in bases.iter().take(if all { usize::MAX } else { 1 }) {
        out.line(base.hex());
    }
    Ok(i32::from(bases.is_empty()))
}

/// `git describe`
pub fn describe(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut light, mut always, mut long, mut exact, mut dirty, mut length) =
        (false, false, false, false, None, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--tags" | "--all" => light = true,
            "--always" => always = true,
            "--long" => long = true,
            "--exact-match" => exact = true,
            "--dirty" => dirty = Some(option.split_once('=').map_or("-dirty", |(_, mark)| mark).to_owned()),
            "--abbrev" => length = args.value(&option)?.parse::<usize>().ok(),
            "--match" | "--exclude" | "--candidates" => {
                args.value(&option)?;
            }
            "--first-parent" | "--contains" => {}
            option => return Err(unknown(option, "describe [<options>] [<commit-ish>...]")),
        }
    }
    let name = args.words().first().cloned().unwrap_or_else(|| "HEAD".into());
    let target = repo.rev_commit(&name)?;
    let mut tags = std::collections::BTreeMap::new();
    for (full, id) in repo.refs("refs/tags/") {
        let annotated = repo.odb.kind(&id) == Some(Kind::Tag);
        if (annotated || light)
            && let Some(commit) = repo.peel(id, Kind::Commit)?
        {
            let known = tags.entry(commit).or_insert((annotated, short(&full).to_owned()));
            if annotated && !known.0 {
                *known = (true, short(&full).to_owned());
            }
        }
    }
    let mut text = None;
    for commit in repo.walk(&[target], &[], false) {
        let commit = commit?;
        let Some((_, tag)) = tags.get(&commit.id) else { continue };
        let depth = repo.walk(&[target], &[commit.id], false).count();
        if exact && depth > 0 {
            break;
        }
        text = Some(match depth {
            0 if !long => tag.clone(),
            _ if length == Some(0) => tag.clone(),
            depth => format!("{tag}-{depth}-g{}", repo.short_of(&target, length)),
        });
        break;
    }
    let text = match text {
        Some(text) => text,
        None if always => repo.short_of(&target, length),
        None if exact => return Err(fatal(format!("no tag exactly matches '{target}'"))),
        None if tags.is_empty() && light => return Err(fatal("No names found, cannot describe anything.")),
        None if tags.is_empty() && !repo.refs("refs/tags/").is_empty() => {
            return Err(fatal(format!(
                "No annotated tags can describe '{target}'.\nHowever, there were unannotated tags: try --tags."
            )));
        }
        None => return Err(fatal("No names found, cannot describe anything.")),
    };
    let mark = match dirty {
        Some(mark) => {
            let index = repo.index()?;
            let tree = repo.peel(target, Kind::Tree)?;
            if repo.diff_work(tree, &index, &Pathspec::default())?.is_empty() { String::new() } else { mark }
        }
        None => String::new(),
    };
    out.line(text + &mark);
    Ok(0)
}

/// `git count-objects`
pub fn count_objects(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let (count, bytes) = repo.odb.loose_count();
    if args.iter().any(|arg| arg == b"-v") {
        out.line(format!("count: {count}\nsize: {}\nin-pack: {}", bytes / 1024, repo.odb.count()));
    } else {
        out.line(format!("{count} objects, {} kilobytes", bytes / 1024));
    }
    Ok(0)
}
