//! References: `git branch`, `git tag`, and their plumbing.

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, silent};
use crate::glob;
use crate::object::{Id, Kind};
use crate::refs::{Head, short};
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;

/// Whether a branch or tag may be called this.
pub fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && name != "@"
        && !["..", "//", "@{", "/."].iter().any(|bad| name.contains(bad))
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_ascii_control() || " ~^:?*[\\".contains(c))
}

/// `git branch`
pub fn branch(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "arvqf"));
    let (mut all, mut remotes, mut verbose, mut current, mut list, mut force, mut quiet) =
        (false, false, false, false, false, false, false);
    let (mut action, mut format, mut contains, mut merged) = (None, None, None, None);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-a" | "--all" => all = true,
            "-r" | "--remotes" => remotes = true,
            "-v" | "-vv" | "--verbose" => verbose = true,
            "-q" | "--quiet" => quiet = true,
            "-f" | "--force" => force = true,
            "--show-current" => current = true,
            "-l" | "--list" => list = true,
            "-d" | "--delete" => action = Some('d'),
            "-D" => action = Some('D'),
            "-m" | "--move" => action = Some('m'),
            "-M" => {
                action = Some('m');
                force = true;
            }
            "-c" | "--copy" => action = Some('c'),
            "-u" | "--set-upstream-to" => {
                let to = args.value(&option)?;
                let name = repo.branch().unwrap_or_default();
                let (full, _) = repo
                    .named(&to)
                    .ok_or_else(|| fatal(format!("the requested upstream branch '{to}' does not exist")))?;
                super::setup::write_config(
                    &repo.common.join("config"),
                    &format!("branch.{name}.remote"),
                    Some("."),
                )?;
                super::setup::write_config(
                    &repo.common.join("config"),
                    &format!("branch.{name}.merge"),
                    Some(&full),
                )?;
                out.line(format!("branch '{name}' set up to track '{to}'."));
                return Ok(0);
            }
            "--unset-upstream" | "--edit-description" | "--no-track" | "-t" | "--track" | "--no-color"
            | "--color" | "--no-column" | "--column" => {}
            "--format" => format = Some(args.value(&option)?),
            "--contains" => contains = Some(args.next().unwrap_or_else(|| "HEAD".into())),
            "--merged" | "--no-merged" => {
                let value = option
                    .split_once('=')
                    .map(|(_, value)| value.to_owned())
                    .or_else(|| args.next())
                    .unwrap_or_else(|| "HEAD".into());
                merged = Some((option.starts_with("--merged"), value));
            }
            "--sort" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "branch [<options>] [-r | -a] [--merged] [--no-merged]")),
        }
    }
    let words = args.words();
    if current {
        out.bytes.extend(repo.branch().map(|name| name + "\n").unwrap_or_default().bytes());
        return Ok(0);
    }
    match action {
        Some(letter @ ('d' | 'D')) => {
            return delete(repo, &words, letter == 'D' || force, remotes, quiet, out);
        }
        Some(letter) => {
            let (from, to) = match words.as_slice() {
                [to] => (
                    repo.branch()
                        .ok_or_else(|| fatal("cannot rename the current branch while not on any"))?,
                    to.clone(),
                ),
                [from, to] => (from.clone(), to.clone()),
                _ => return Err(fatal("branch name required")),
            };
            if !valid_name(&to) {
                return Err(fatal(format!("'{to}' is not a valid branch name")));
            }
            let (old, new) = (format!("refs/heads/{from}"), format!("refs/heads/{to}"));
            if repo.find_ref(&new).is_some() && !force {
                return Err(fatal(format!("a branch named '{to}' already exists")));
            }
            let was_head = repo.branch().as_deref() == Some(&from);
            match repo.find_ref(&old) {
                Some(id) => {
                    let log = std::fs::read(repo.log_path(&old)).ok();
                    if letter == 'm' {
                        repo.delete_ref(&old)?;
                    }
                    if let Some(log) = log {
                        crate::refs::write(&repo.log_path(&new), &log)?;
                    }
                    repo.set_ref(&new, id, &format!("Branch: renamed {old} to {new}"))?;
                }
                None if was_head => {}
                None => return Err(fatal(format!("no branch named '{from}'"))),
            }
            if was_head && letter == 'm' {
                repo.move_head(&Head::Branch(new.clone()), &format!("Branch: renamed {old} to {new}"))?;
            }
            return Ok(0);
        }
        None => {}
    }
    if !words.is_empty() && !list && contains.is_none() && merged.is_none() {
        let name = &words[0];
        if !valid_name(name) {
            return Err(fatal(format!("'{name}' is not a valid branch name")));
        }
        let full = format!("refs/heads/{name}");
        if repo.find_ref(&full).is_some() && !force {
            return Err(fatal(format!("a branch named '{name}' already exists")));
        }
        let start = words.get(1).map_or("HEAD", String::as_str);
        let id = repo.rev_commit(start).map_err(|_| fatal(format!("not a valid object name: '{start}'")))?;
        repo.set_ref(&full, id, &format!("branch: Created from {start}"))?;
        return Ok(0);
    }
    let mut names: Vec<(String, Id)> = Vec::new();
    if !remotes {
        names.extend(repo.refs("refs/heads/"));
    }
    if all || remotes {
        names.extend(repo.refs("refs/remotes/"));
    }
    let here = repo.branch().map(|name| format!("refs/heads/{name}"));
    let patterns = if list { words } else { Vec::new() };
    if let Some(rev) = &contains {
        let id = repo.rev_commit(rev)?;
        let mut kept = Vec::new();
        for (name, tip) in names {
            if repo.merge_base(id, tip)?.contains(&id) {
                kept.push((name, tip));
            }
        }
        names = kept;
    }
    if let Some((wanted, rev)) = &merged {
        let id = repo.rev_commit(rev)?;
        let mut kept = Vec::new();
        for (name, tip) in names {
            if repo.merge_base(id, tip)?.contains(&tip) == *wanted {
                kept.push((name, tip));
            }
        }
        names = kept;
    }
    names.retain(|(name, _)| {
        patterns.is_empty()
            || patterns.iter().any(|pattern| glob::matches(pattern.as_bytes(), short(name).as_bytes(), false))
    });
    let mut rows: Vec<(String, Id, char)> = Vec::new();
    let mut leads: Vec<(String, String)> = Vec::new();
    if here.is_none()
        && !remotes
        && patterns.is_empty()
        && let Some(id) = repo.head_id()
    {
        let begun = std::fs::read_to_string(repo.dir.join("BISECT_START")).ok();
        let text = match (begun, super::status::detached(repo, id)) {
            (Some(begun), _) => format!("(no branch, bisect started on {})", begun.trim()),
            (None, Some(since)) => format!("(HEAD detached {since})"),
            (None, None) => "(no branch)".into(),
        };
        rows.push((text, id, '*'));
    }
    for (name, id) in names {
        let shown = match name.strip_prefix("refs/remotes/") {
            Some(rest) if all => format!("remotes/{rest}"),
            _ => short(&name).to_owned(),
        };
        let sign = match here.as_deref() == Some(&name) {
            true => '*',
            false if repo.elsewhere(&name)?.is_some() => '+',
            false => ' ',
        };
        if let Some(to) = repo.symbolic(&name) {
            leads.push((shown.clone(), short(&to).to_owned()));
        }
        rows.push((shown, id, sign));
    }
    let width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, id, sign) in rows {
        if let Some(format) = &format {
            out.line(
                format
                    .replace("%(refname:short)", &name)
                    .replace("%(refname)", &format!("refs/heads/{name}"))
                    .replace("%(objectname:short)", &repo.short(&id))
                    .replace("%(objectname)", &id.hex())
                    .replace("%(HEAD)", if sign == '*' { "*" } else { " " }),
            );
            continue;
        }
        if let Some((_, to)) = leads.iter().find(|(from, _)| *from == name) {
            out.line(if verbose {
                format!("{sign} {name:<width$} -> {to}")
            } else {
                format!("{sign} {name} -> {to}")
            });
        } else if verbose {
            let subject = repo.odb.commit(&id)?.subject();
            out.line([format!("{sign} {name:<width$} {} ", repo.short(&id)).as_bytes(), &subject].concat());
        } else {
            out.line(format!("{sign} {name}"));
        }
    }
    Ok(0)
}

fn delete(
    repo: &Repo,
    names: &[String],
    force: bool,
    remotes: bool,
    quiet: bool,
    out: &mut Out,
) -> Result<i32> {
    if names.is_empty() {
        return Err(fatal("branch name required"));
    }
    let mut status = 0;
    for name in names {
        let full = format!("refs/{}/{name}", if remotes { "remotes" } else { "heads" });
        let Some(id) = repo.find_ref(&full) else {
            warn(format!("error: branch '{name}' not found."));
            status = 1;
            continue;
        };
        if repo.branch().as_deref() == Some(name) {
            warn(format!("error: Cannot delete branch '{name}' checked out at '{}'", repo.work()?.display()));
            status = 1;
            continue;
        }
        if let Some(at) = repo.elsewhere(&full)? {
            warn(format!("error: Cannot delete branch '{name}' checked out at '{}'", at.display()));
            status = 1;
            continue;
        }
        let head = repo.head_id();
        if !force
            && let Some(head) = head
            && !repo.merge_base(id, head)?.contains(&id)
        {
            warn(format!(
                "error: The branch '{name}' is not fully merged.\nIf you are sure you want to delete it, run 'git branch -D {name}'."
            ));
            status = 1;
            continue;
        }
        repo.delete_ref(&full)?;
        if !quiet {
            out.line(format!("Deleted branch {name} (was {}).", repo.short(&id)));
        }
    }
    Ok(status)
}

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
        data.extend_from_slice(&super::commit::clean(message.as_bytes(), false));
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

/// `git show-ref`
pub fn show_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut heads, mut tags, mut verify, mut quiet, mut hash, mut head) =
        (false, false, false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--heads" | "--branches" => heads = true,
            "--tags" => tags = true,
            "--verify" => verify = true,
            "-q" | "--quiet" => quiet = true,
            "-s" | "--hash" => hash = true,
            "--head" => head = true,
            option => {
                return Err(unknown(
                    option,
                    "show-ref [--head] [-s | --hash] [--branches] [--tags] [<pattern>...]",
                ));
            }
        }
    }
    let words = args.words();
    let mut refs = repo.refs("refs/");
    if head && let Some(id) = repo.head_id() {
        refs.insert("HEAD".into(), id);
    }
    let mut found = false;
    for (name, id) in refs {
        let kind = !(heads || tags)
            || (heads && name.starts_with("refs/heads/"))
            || (tags && name.starts_with("refs/tags/"));
        let fits = words.is_empty()
            || words.iter().any(|word| {
                if verify { *word == name } else { name == *word || name.ends_with(&format!("/{word}")) }
            });
        if kind && fits {
            found = true;
            if !quiet {
                out.line(if hash { id.hex() } else { format!("{id} {name}") });
            }
        }
    }
    if verify && !found && !quiet {
        return Err(fatal(format!("'{}' - not a valid ref", words.first().cloned().unwrap_or_default())));
    }
    if found { Ok(0) } else { Err(silent(1)) }
}

/// `git for-each-ref`
pub fn for_each_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut format, mut most) = ("%(objectname) %(objecttype)\t%(refname)".to_owned(), usize::MAX);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--format" => format = args.value(&option)?,
            "--count" => most = args.value(&option)?.parse().unwrap_or(usize::MAX),
            "--sort" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "for-each-ref [<options>] [<pattern>]")),
        }
    }
    let words = args.words();
    let fits = |name: &str| {
        words.is_empty()
            || words.iter().any(|word| {
                name == word
                    || name.starts_with(&format!("{}/", word.trim_end_matches('/')))
                    || glob::matches(word.as_bytes(), name.as_bytes(), true)
            })
    };
    for (name, id) in repo.refs("refs/").into_iter().filter(|(name, _)| fits(name)).take(most) {
        let kind = repo.odb.kind(&id).map_or("commit", Kind::name);
        let commit = repo.peel(id, Kind::Commit)?.map(|id| repo.odb.commit(&id)).transpose()?;
        let mut line = format
            .replace("%(refname:short)", short(&name))
            .replace("%(refname)", &name)
            .replace("%(objectname:short)", &repo.short(&id))
            .replace("%(objectname)", &id.hex())
            .replace("%(objecttype)", kind)
            .replace("%09", "\t")
            .replace("%00", "\0");
        if let Some(commit) = commit {
            let date = |form: &str| crate::date::show(commit.committer.time, commit.committer.zone, form);
            line = line
                .replace("%(subject)", &commit.subject().to_str_lossy())
                .replace("%(contents:subject)", &commit.subject().to_str_lossy())
                .replace("%(authorname)", &commit.author.name.to_str_lossy())
                .replace("%(committerdate:short)", &date("short"))
                .replace("%(committerdate:iso)", &date("iso"))
                .replace("%(committerdate:relative)", &date("relative"))
                .replace("%(committerdate)", &date("default"))
                .replace("%(creatordate:short)", &date("short"))
                .replace("%(creatordate)", &date("default"));
        }
        out.line(line);
    }
    Ok(0)
}

/// `git symbolic-ref`
pub fn symbolic_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let (mut brief, mut quiet) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--short" => brief = true,
            "-q" | "--quiet" => quiet = true,
            option => return Err(unknown(option, "symbolic-ref [-q] [--short] <name> [<ref>]")),
        }
    }
    match args.words().as_slice() {
        [name] if name == "HEAD" => match repo.head()? {
            Head::Branch(name) => {
                out.line(if brief { short(&name) } else { &name });
                Ok(0)
            }
            Head::Detached(_) if quiet => Err(silent(1)),
            Head::Detached(_) => Err(fatal("ref HEAD is not a symbolic ref")),
        },
        [name, to] if name == "HEAD" => {
            repo.move_head(&Head::Branch(to.clone()), "")?;
            Ok(0)
        }
        _ => Err(fatal("only HEAD is known here")),
    }
}

/// `git update-ref`
pub fn update_ref(repo: &Repo, args: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut delete, mut why) = (false, String::new());
    while let Some(option) = args.option() {
        match option.as_str() {
            "-d" => delete = true,
            "-m" => why = args.value(&option)?,
            "--no-deref" | "--create-reflog" => {}
            option => return Err(unknown(option, "update-ref [<options>] <refname> <new-oid> [<old-oid>]")),
        }
    }
    let words = args.words();
    match words.as_slice() {
        [name, ..] if delete => repo.delete_ref(name)?,
        [name, to, ..] => {
            let id = repo.rev(to).map_err(|_| fatal(format!("{to}: not a valid SHA1")))?;
            if name == "HEAD" { repo.set_head(id, &why)? } else { repo.set_ref(name, id, &why)? }
        }
        _ => return Err(die(129, "usage: git update-ref [<options>] <refname> <new-oid> [<old-oid>]")),
    }
    Ok(0)
}

/// `git remote`
pub fn remote(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let mut verbose = false;
    while let Some(option) = args.option() {
        verbose |= matches!(option.as_str(), "-v" | "--verbose");
    }
    let words = args.words();
    let mut names: Vec<&str> = repo
        .config
        .values
        .iter()
        .filter_map(|(key, _)| key.strip_prefix("remote.")?.strip_suffix(".url"))
        .collect();
    names.sort_unstable();
    names.dedup();
    let url = |name: &str| repo.config.get(&format!("remote.{name}.url")).unwrap_or_default().to_owned();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            for name in names {
                if verbose {
                    out.line(format!("{name}\t{} (fetch)\n{name}\t{} (push)", url(name), url(name)));
                } else {
                    out.line(name);
                }
            }
        }
        ["get-url", name] => {
            if !names.contains(name) {
                return Err(die(2, format!("error: No such remote '{name}'")));
            }
            out.line(url(name));
        }
        ["add", name, url] => {
            let file = repo.common.join("config");
            super::setup::write_config(&file, &format!("remote.{name}.url"), Some(url))?;
            super::setup::write_config(
                &file,
                &format!("remote.{name}.fetch"),
                Some(&format!("+refs/heads/*:refs/remotes/{name}/*")),
            )?;
        }
        ["remove" | "rm", name] => {
            if !names.contains(name) {
                return Err(die(2, format!("error: No such remote: '{name}'")));
            }
            super::setup::remove_section(&repo.common.join("config"), &format!("remote \"{name}\""))?;
        }
        _ => return Err(fatal("this needs the network, which this sandbox has not")),
    }
    Ok(0)
}
