//! What looks at single things: objects, names, the index.

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason, silent};
use crate::ignore::Ignore;
use crate::object::{Commit, Id, Kind, parse_tree};
use crate::pathspec::Pathspec;
use crate::refs::{Head, short};
use crate::repo::Repo;
use crate::show::quote;
use crate::worktree::{Found, Untracked};
use crate::{Out, warn};
use bstr::ByteSlice;
use std::io::Read;

/// Commands of which nothing is left to do here.
pub fn quiet(_: &Repo, _: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    Ok(0)
}

/// `git cat-file`
pub fn cat_file(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut mode = String::new();
    let mut words = Vec::new();
    for arg in args {
        let text = arg.to_str_lossy().into_owned();
        if text.starts_with('-') && text.len() > 1 { mode = text } else { words.push(text) }
    }
    if mode.starts_with("--batch") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        for name in text.lines() {
            match repo.try_rev(name)?.and_then(|id| repo.odb.find(&id).map(|found| (id, found))) {
                Some((id, (kind, data))) => {
                    out.line(format!("{id} {} {}", kind.name(), data.len()));
                    if !mode.starts_with("--batch-check") {
                        out.line(data);
                    }
                }
                None => out.line(format!("{name} missing")),
            }
        }
        return Ok(0);
    }
    let wanted = if mode.is_empty() && words.len() == 2 { Some(words.remove(0)) } else { None };
    let Some(name) = words.first() else {
        return Err(die(
            129,
            "usage: git cat-file <type> <object>\n   or: git cat-file (-e | -p | -t | -s) <object>",
        ));
    };
    let id = repo.try_rev(name)?.ok_or_else(|| fatal(format!("Not a valid object name {name}")))?;
    let Some((kind, data)) = repo.odb.find(&id) else {
        return Err(if mode == "-e" { silent(1) } else { fatal(format!("Not a valid object name {name}")) });
    };
    match mode.as_str() {
        "-t" => out.line(kind.name()),
        "-s" => out.line(data.len().to_string()),
        "-e" => {}
        "-p" if kind == Kind::Tree => {
            for entry in parse_tree(&data)? {
                let what = match entry.mode {
                    0o40000 => "tree",
                    0o160000 => "commit",
                    _ => "blob",
                };
                out.bytes.extend_from_slice(format!("{:06o} {what} {}\t", entry.mode, entry.id).as_bytes());
                out.line(quote(repo, &entry.name));
            }
        }
        "-p" => out.bytes.extend_from_slice(&data),
        _ => match wanted.as_deref().map(|kind| Kind::parse(kind.as_bytes())) {
            Some(Some(wanted)) => {
                let id =
                    repo.peel(id, wanted)?.ok_or_else(|| fatal(format!("git cat-file {name}: bad file")))?;
                out.bytes.extend_from_slice(&repo.odb.read(&id)?.1);
            }
            _ => return Err(fatal(format!("invalid object type \"{}\"", wanted.unwrap_or_default()))),
        },
    }
    Ok(0)
}

/// `git hash-object`
pub fn hash_object(repo: Option<&Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut write, mut stdin, mut kind) = (false, false, Kind::Blob);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-w" => write = true,
            "--stdin" => stdin = true,
            "-t" => {
                let name = args.value(&option)?;
                kind = Kind::parse(name.as_bytes())
                    .ok_or_else(|| fatal(format!("invalid object type \"{name}\"")))?;
            }
            "--no-filters" | "--literally" => {}
            option if option.starts_with("--path") => {}
            option => return Err(unknown(option, "hash-object [-t <type>] [-w] [--stdin] [--] <file>...")),
        }
    }
    let mut put = |data: &[u8]| -> Result<()> {
        let id = match repo.filter(|_| write) {
            Some(repo) => repo.odb.write(kind, data)?,
            None => Id::of(kind, data),
        };
        out.line(id.hex());
        Ok(())
    };
    if stdin {
        let mut data = Vec::new();
        std::io::stdin().lock().read_to_end(&mut data)?;
        put(&data)?;
    }
    for path in &args.plain {
        let data = std::fs::read(guest_host::path_of(path)).map_err(|error| {
            fatal(format!("could not open '{}' for reading: {}", path.to_str_lossy(), reason(&error)))
        })?;
        put(&data)?;
    }
    Ok(0)
}

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

/// `git ls-files`
pub fn ls_files(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "cdmosuzvit"));
    let (
        mut cached,
        mut deleted,
        mut modified,
        mut others,
        mut staged,
        mut unmerged,
        mut zero,
        mut ignored,
        mut exclude,
        mut full,
        mut fail,
        mut dirs,
    ) = (false, false, false, false, false, false, false, false, false, false, false, false);
    let mut tagged = false;
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-c" | "--cached" => cached = true,
            "-d" | "--deleted" => deleted = true,
            "-m" | "--modified" => modified = true,
            "-o" | "--others" => others = true,
            "-s" | "--stage" => staged = true,
            "-u" | "--unmerged" => unmerged = true,
            "-i" | "--ignored" => ignored = true,
            "-z" => zero = true,
            "-t" | "-v" => tagged = true,
            "--exclude-standard" => exclude = true,
            "--full-name" => full = true,
            "--error-unmatch" => fail = true,
            "--directory" => dirs = true,
            "--no-empty-directory" | "--deduplicate" | "--recurse-submodules" | "--eol" | "--abbrev" => {}
            "-x" | "--exclude" | "-X" | "--exclude-from" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "ls-files [<options>] [<file>...]")),
        }
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let index = repo.index()?;
    let end = if zero { 0 } else { b'\n' };
    let name = |path: &[u8]| {
        let shown = if full { path.to_vec() } else { repo.shown(path) };
        if zero { shown } else { quote(repo, &shown) }
    };
    let below = |path: &[u8]| {
        !args.plain.is_empty() || full && repo.prefix.is_empty() || path.starts_with(&repo.prefix)
    };
    if !(cached || deleted || modified || others || unmerged) {
        cached = true;
    }
    let mut put = |tag: &str, text: Vec<u8>| {
        if tagged {
            out.bytes.extend_from_slice(tag.as_bytes());
        }
        out.bytes.extend_from_slice(&text);
        out.bytes.push(end);
    };
    if others {
        let how = if dirs { Untracked::Normal } else { Untracked::All };
        let mut paths = if ignored { Vec::new() } else { repo.untracked(&index, &specs, how, false)? };
        if ignored || !exclude {
            paths.extend(repo.untracked(&index, &specs, how, true)?);
        }
        paths.sort();
        for path in paths.iter().filter(|path| below(path)) {
            put("? ", name(path));
        }
    }
    let mut ignore = Ignore::new(repo);
    let mut matched = Vec::new();
    for entry in &index.entries {
        if !specs.has(&entry.path) || !below(&entry.path) {
            continue;
        }
        matched.push(entry.path.as_slice());
        if unmerged && entry.stage == 0 {
            continue;
        }
        if ignored && !others && !ignore.covers(&entry.path, false).is_some_and(|rule| rule.ignored) {
            continue;
        }
        if cached || unmerged || staged && !(deleted || modified || others) {
            if staged || unmerged {
                let head = format!("{:06o} {} {}\t", entry.mode, entry.id, entry.stage);
                put("H ", [head.as_bytes(), &name(&entry.path)].concat());
            } else {
                put("H ", name(&entry.path));
            }
        }
        if deleted || modified {
            let found = repo.compare(&index, entry)?;
            if deleted && matches!(found, Found::Missing) {
                put("R ", name(&entry.path));
            }
            if modified && !matches!(found, Found::Same) {
                put("C ", name(&entry.path));
            }
        }
    }
    if fail && let Some(typed) = specs.unmatched(matched.into_iter()) {
        return Err(die(
            1,
            [
                b"error: pathspec '",
                typed,
                b"' did not match any file(s) known to git\nDid you forget to 'git add'?",
            ]
            .concat(),
        ));
    }
    Ok(0)
}

/// `git ls-tree`
pub fn ls_tree(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "rtdlz"));
    let (mut recursive, mut trees, mut only, mut long, mut zero, mut names, mut full) =
        (false, false, false, false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-r" => recursive = true,
            "-t" => trees = true,
            "-d" => only = true,
            "-l" | "--long" => long = true,
            "-z" => zero = true,
            "--name-only" | "--name-status" => names = true,
            "--full-tree" | "--full-name" => full = true,
            option if option.starts_with("--abbrev") => {}
            option => return Err(unknown(option, "ls-tree [<options>] <tree-ish> [<path>...]")),
        }
    }
    let mut words = args.plain.iter();
    let name =
        words.next().ok_or_else(|| die(129, "usage: git ls-tree [<options>] <tree-ish> [<path>...]"))?;
    let tree = repo
        .rev(&name.to_str_lossy())
        .map_err(|_| fatal([b"Not a valid object name ", name.as_slice()].concat()))?;
    let tree = repo.peel(tree, Kind::Tree)?.ok_or_else(|| fatal("not a tree object"))?;
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for word in words {
        let mut path = if full { word.trim_end_with(|c| c == '/').to_vec() } else { repo.inside(word)? };
        if word.ends_with(b"/") {
            path.push(b'/');
        }
        wanted.push(path);
    }
    if wanted.is_empty() && !full && !repo.prefix.is_empty() {
        wanted.push(repo.prefix.clone());
    }
    struct List<'a> {
        repo: &'a Repo,
        wanted: Vec<Vec<u8>>,
        recursive: bool,
        trees: bool,
        only: bool,
        long: bool,
        names: bool,
        full: bool,
        end: u8,
    }
    impl List<'_> {
        fn below(&self, tree: Id, base: &[u8], out: &mut Out) -> Result<()> {
            for entry in self.repo.odb.tree(&tree)?.iter() {
                let path = [base, &entry.name].concat();
                let as_dir = [path.as_slice(), b"/"].concat();
                let exact = self.wanted.is_empty()
                    || self.wanted.iter().any(|want| {
                        want.is_empty()
                            || *want == path
                            || path.starts_with(&[want.trim_end_with(|c| c == '/'), b"/"].concat())
                    });
                let leads = self.wanted.iter().any(|want| want.starts_with(&as_dir) && *want != path);
                if !exact && !(leads && entry.is_tree()) {
                    continue;
                }
                let descend =
                    entry.is_tree() && (leads || self.recursive) && !(exact && !self.recursive && !leads);
                let show = exact
                    && (!entry.is_tree() && !self.only
                        || entry.is_tree() && (!self.recursive || self.trees || self.only))
                    && !(leads && !self.wanted.contains(&path));
                if show {
                    self.show(entry, &path, out)?;
                }
                if descend {
                    self.below(entry.id, &as_dir, out)?;
                }
            }
            Ok(())
        }

        fn show(&self, entry: &crate::object::Entry, path: &[u8], out: &mut Out) -> Result<()> {
            let what = match entry.mode {
                0o40000 => "tree",
                0o160000 => "commit",
                _ => "blob",
            };
            if !self.names {
                out.bytes.extend_from_slice(format!("{:06o} {what} {}", entry.mode, entry.id).as_bytes());
                if self.long {
                    let size = if what == "blob" {
                        self.repo.odb.blob(&entry.id)?.len().to_string()
                    } else {
                        "-".into()
                    };
                    out.bytes.extend_from_slice(format!(" {size:>7}").as_bytes());
                }
                out.bytes.push(b'\t');
            }
            let shown = if self.full { path.to_vec() } else { self.repo.shown(path) };
            out.bytes.extend_from_slice(&if self.end == 0 { shown } else { quote(self.repo, &shown) });
            out.bytes.push(self.end);
            out.pass()
        }
    }
    let list =
        List { repo, wanted, recursive, trees, only, long, names, full, end: if zero { 0 } else { b'\n' } };
    list.below(tree, b"", out)?;
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

/// `git notes`
pub fn notes(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let mut messages: Vec<String> = Vec::new();
    let mut force = false;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-m" => messages.push(args.value(&option)?),
            "-f" | "--force" => force = true,
            option => {
                return Err(unknown(
                    option,
                    "notes [list [<object>]] | add [-f] -m <msg> [<object>] | show [<object>] | remove [<object>]",
                ));
            }
        }
    }
    let words = args.words();
    let what = words.first().map_or("list", String::as_str);
    let target = repo.rev(words.get(1).map_or("HEAD", String::as_str))?;
    let notes = repo.find_ref("refs/notes/commits");
    let mut files = repo.tree_files(notes.map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten())?;
    let key = files.keys().find(|path| path.replace("/", "") == target.hex().as_bytes()).cloned();
    match what {
        "list" => {
            for (path, (_, id)) in &files {
                out.line(format!("{id} {}", path.replace("/", "").to_str_lossy()));
            }
            return Ok(0);
        }
        "show" => {
            let key = key.ok_or_else(|| die(1, format!("error: no note found for object {target}.")))?;
            out.bytes.extend_from_slice(&repo.odb.blob(&files[&key].1)?);
            return Ok(0);
        }
        "add" | "append" => {
            if key.is_some() && !force && what == "add" {
                return Err(die(
                    1,
                    format!(
                        "error: Cannot add notes. Found existing notes for object {target}. Use '-f' to overwrite existing notes"
                    ),
                ));
            }
            let mut text = super::commit::clean(messages.join("\n\n").as_bytes(), false);
            if let (Some(key), "append") = (&key, what) {
                text = [repo.odb.blob(&files[key].1)?, b"\n".to_vec(), text].concat();
            }
            let id = repo.odb.write(Kind::Blob, &text)?;
            files.insert(key.unwrap_or_else(|| target.hex().into_bytes()), (0o100644, id));
        }
        "remove" => {
            let key = key.ok_or_else(|| die(1, format!("Object {target} has no note")))?;
            files.remove(&key);
            warn(format!("Removing note for object {}", words.get(1).map_or("HEAD", String::as_str)));
        }
        what => return Err(fatal(format!("unknown subcommand: {what}"))),
    }
    let tree = crate::index::build_tree(&repo.odb, &files)?;
    let who = repo.who("COMMITTER")?;
    let message = format!("Notes added by 'git notes {what}'\n");
    let parents: Vec<Id> = notes.into_iter().collect();
    let data = super::commit::text(tree, &parents, &repo.who("AUTHOR")?, &who, message.as_bytes());
    let id = repo.odb.write(Kind::Commit, &data)?;
    let _ = Commit::parse(id, &data)?;
    repo.set_ref("refs/notes/commits", id, "")?;
    Ok(0)
}
