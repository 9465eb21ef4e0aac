//! `git bundle`

use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::object::{Id, Kind};
use crate::repo::Repo;
use crate::{Out, stream, warn};
use bstr::ByteSlice;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

const USAGE: &str =
    "usage: git bundle create [-q | --quiet | --progress | --all-progress] [--all-progress-implied]
                         [--version=<version>] <file> <git-rev-list-args>
   or: git bundle verify [-q | --quiet] <file>
   or: git bundle list-heads <file> [<refname>...]
   or: git bundle unbundle [--progress] <file> [<refname>...]
";
const SIGNATURES: [&str; 2] = ["# v2 git bundle", "# v3 git bundle"];

/// A bundle that was read.
pub struct Bundle {
    /// Commits that a repository must have, with what is said of them.
    pub needs: Vec<(Id, String)>,
    /// What it has, by name.
    pub refs: Vec<(Id, String)>,
    pack: Vec<u8>,
}

impl Bundle {
    /// Reads a file.
    pub fn read(path: &str) -> Result<Bundle> {
        let data = match path {
            "-" => {
                let mut data = Vec::new();
                std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut data).map(|_| data)
            }
            path => fs::read(path),
        };
        let data = data.map_err(|_| die(1, format!("error: could not open '{path}'")))?;
        parse(&data)
            .ok_or_else(|| die(1, format!("error: '{path}' does not look like a v2 or v3 bundle file")))
    }

    /// Refuses a repository that has not what the bundle stands on.
    pub fn check(&self, repo: &Repo) -> Result<()> {
        let missing: Vec<_> = self.needs.iter().filter(|(id, _)| !repo.odb.has(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let lines: String = missing.iter().map(|(id, _)| format!("\nerror: {id} ")).collect();
        Err(die(1, format!("error: Repository lacks these prerequisite commits:{lines}")))
    }

    /// Writes its objects to a repository.
    pub fn unpack(&self, repo: &Repo) -> Result<()> {
        self.check(repo)?;
        stream::unpack(&repo.odb, &self.pack).map(|_| ())
    }
}

fn parse(data: &[u8]) -> Option<Bundle> {
    let mut bundle = Bundle { needs: Vec::new(), refs: Vec::new(), pack: Vec::new() };
    let end = data.find(b"\n\n")?;
    let mut lines = data[..end].lines();
    let first = lines.next()?.to_str().ok()?;
    if !SIGNATURES.contains(&first) {
        return None;
    }
    for line in lines {
        // Version 3 says its capabilities; only the usual hash is known.
        if let Some(capability) = line.strip_prefix(b"@") {
            if capability != b"object-format=sha1" {
                return None;
            }
            continue;
        }
        let (list, line) = match line.strip_prefix(b"-") {
            Some(line) => (&mut bundle.needs, line),
            None => (&mut bundle.refs, line),
        };
        let id = Id::parse(line.get(..40)?)?;
        list.push((id, line.get(41..).unwrap_or_default().to_str_lossy().into_owned()));
    }
    bundle.pack = data[end + 2..].to_vec();
    Some(bundle)
}

/// `git bundle`
pub fn bundle(repo: Result<Repo>, mut args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    if args.is_empty() {
        return Err(die(129, format!("error: need a subcommand\n{USAGE}")));
    }
    let name = String::from_utf8_lossy(&args.remove(0)).into_owned();
    match name.as_str() {
        "create" => create(&repo?, args),
        "verify" => verify(&repo?, args, out),
        "list-heads" => heads(None, args, out),
        "unbundle" => heads(Some(&repo?), args, out),
        _ => Err(die(129, format!("error: unknown subcommand: `{name}'\n{USAGE}"))),
    }
}

fn file_of(args: &Args) -> Result<String> {
    args.words().first().cloned().ok_or_else(|| die(129, format!("fatal: need a <file> argument\n\n{USAGE}")))
}

fn create(repo: &Repo, args: Vec<Vec<u8>>) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let (mut version, mut all) = ("2".to_owned(), Vec::new());
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-q"
            | "--quiet"
            | "--progress"
            | "--no-progress"
            | "--all-progress"
            | "--all-progress-implied" => {}
            "--version" => version = args.value(&option)?,
            "--all" => all.push("refs/"),
            "--branches" => all.push("refs/heads/"),
            "--tags" => all.push("refs/tags/"),
            "--remotes" => all.push("refs/remotes/"),
            option => return Err(fatal(format!("unrecognized argument: {option}"))),
        }
    }
    let path = file_of(&args)?;
    let (revs, _) = repo.sort_args(&args.plain[1..], args.dashes)?;
    // What is given a name in the bundle: a revision that is a reference.
    let mut refs: Vec<(Id, String)> = Vec::new();
    for prefix in &all {
        refs.extend(repo.refs(prefix).into_iter().map(|(name, id)| (id, name)));
    }
    for (typed, id) in &revs.from {
        match repo.named(typed) {
            Some((name, id)) => refs.push((id, name)),
            None if all.is_empty() => _ = repo.odb.read(id)?,
            None => {}
        }
    }
    if all.contains(&"refs/") {
        refs.extend(repo.head_id().map(|id| (id, "HEAD".into())));
    }
    let mut seen = HashSet::new();
    refs.retain(|(_, name)| seen.insert(name.clone()));
    let from: Vec<Id> = refs.iter().map(|(id, _)| *id).collect();
    let mut tips = Vec::new();
    for id in &from {
        tips.extend(repo.peel(*id, Kind::Commit)?);
    }
    let mut commits = Vec::new();
    for commit in repo.walk(&tips, &revs.not, false) {
        commits.push(commit?);
    }
    // A reference to what is left out is left out too.
    let inside: HashSet<Id> = commits.iter().map(|commit| commit.id).collect();
    refs.retain(|(id, _)| match repo.peel(*id, Kind::Commit) {
        Ok(Some(commit)) => inside.contains(&commit),
        _ => true,
    });
    if refs.is_empty() {
        return Err(fatal("Refusing to create empty bundle."));
    }
    let mut needs: Vec<Id> = Vec::new();
    for parent in commits.iter().flat_map(|commit| &commit.parents) {
        if !inside.contains(parent) && !needs.contains(parent) {
            needs.push(*parent);
        }
    }
    let mut list = Objects { repo, seen: HashSet::new(), ids: Vec::new() };
    for id in &needs {
        let tree = repo.odb.commit(id)?.tree;
        list.tree(tree)?;
    }
    list.ids.clear();
    list.ids.extend(commits.iter().map(|commit| commit.id));
    for id in &from {
        list.tag(*id)?;
    }
    for commit in &commits {
        list.tree(commit.tree)?;
    }
    let mut data = format!("# v{version} git bundle\n").into_bytes();
    if version == "3" {
        data.extend(b"@object-format=sha1\n");
    }
    for id in &needs {
        data.extend(format!("-{id} ").bytes());
        data.extend(repo.odb.commit(id)?.subject());
        data.push(b'\n');
    }
    refs.iter().for_each(|(id, name)| data.extend(format!("{id} {name}\n").bytes()));
    data.push(b'\n');
    data.extend(stream::pack(&repo.odb, &list.ids)?);
    match path.as_str() {
        "-" => std::io::Write::write_all(&mut std::io::stdout().lock(), &data)?,
        path => crate::refs::write(Path::new(path), &data)
            .map_err(|_| fatal(format!("unable to create '{path}'")))?,
    }
    Ok(0)
}

/// The objects of a bundle, each once.
struct Objects<'a> {
    repo: &'a Repo,
    seen: HashSet<Id>,
    ids: Vec<Id>,
}

impl Objects<'_> {
    fn tree(&mut self, tree: Id) -> Result<()> {
        if !self.seen.insert(tree) {
            return Ok(());
        }
        self.ids.push(tree);
        for entry in self.repo.odb.tree(&tree)?.iter() {
            if entry.is_tree() {
                self.tree(entry.id)?;
            } else if entry.mode != crate::worktree::MODULE && self.seen.insert(entry.id) {
                self.ids.push(entry.id);
            }
        }
        Ok(())
    }

    fn tag(&mut self, id: Id) -> Result<()> {
        let mut id = id;
        while let (Kind::Tag, data) = self.repo.odb.read(&id)? {
            if self.seen.insert(id) {
                self.ids.push(id);
            }
            id = crate::rev::tagged(&data).ok_or_else(|| fatal(format!("bad tag {id}")))?;
        }
        Ok(())
    }
}

fn verify(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let mut quiet = false;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-q" | "--quiet" => quiet = true,
            option => return Err(unknown(option, "bundle verify [-q | --quiet] <file>")),
        }
    }
    let path = file_of(&args)?;
    let bundle = Bundle::read(&path)?;
    bundle.check(repo)?;
    warn(format!("{path} is okay"));
    if quiet {
        return Ok(0);
    }
    let list = |out: &mut Out, what: &str, list: &[(Id, String)]| {
        out.line(match list.len() {
            1 => format!("The bundle {what} this ref:"),
            count => format!("The bundle {what} these {count} refs:"),
        });
        list.iter().for_each(|(id, name)| out.line(format!("{id} {name}")));
    };
    list(out, "contains", &bundle.refs);
    if bundle.needs.is_empty() {
        out.line("The bundle records a complete history.");
    } else {
        // What was said of them is not shown.
        let needs: Vec<_> = bundle.needs.iter().map(|(id, _)| (*id, String::new())).collect();
        list(out, "requires", &needs);
    }
    out.line("The bundle uses this hash algorithm: sha1");
    Ok(0)
}

fn heads(into: Option<&Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    while let Some(option) = args.option() {
        if option != "--progress" {
            return Err(unknown(&option, "bundle list-heads <file> [<refname>...]"));
        }
    }
    let path = file_of(&args)?;
    let bundle = Bundle::read(&path)?;
    if let Some(repo) = into {
        bundle.unpack(repo)?;
    }
    let wanted = &args.words()[1..];
    for (id, name) in &bundle.refs {
        if wanted.is_empty() || wanted.iter().any(|want| want == name || name.ends_with(&format!("/{want}")))
        {
            out.line(format!("{id} {name}"));
        }
    }
    Ok(0)
}
