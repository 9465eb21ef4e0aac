//! `git clone` of a repository on the same disk.

use super::setup::{skeleton, write_config};
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, reason};
use crate::linked::absolute;
use crate::object::{Id, Kind};
use crate::refs::{Head, short};
use crate::repo::Repo;
use crate::rev::tagged;
use crate::{Out, warn};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: git clone [<options>] [--] <repo> [<dir>]\n";
/// How deep directories of a store may lie.
const DEPTH: usize = 4;

/// What was asked for.
struct Asked {
    quiet: bool,
    bare: bool,
    mirror: bool,
    shared: bool,
    empty: bool,
    single: bool,
    tags: bool,
    depth: bool,
    branch: Option<String>,
    origin: String,
    config: Vec<(String, String)>,
}

fn ask(args: &mut Args) -> Result<Asked> {
    let mut asked = Asked {
        quiet: false,
        bare: false,
        mirror: false,
        shared: false,
        empty: false,
        single: false,
        tags: true,
        depth: false,
        branch: None,
        origin: "origin".into(),
        config: Vec::new(),
    };
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-q" | "--quiet" => asked.quiet = true,
            "-n" | "--no-checkout" => asked.empty = true,
            "-s" | "--shared" => asked.shared = true,
            "--bare" => asked.bare = true,
            "--mirror" => (asked.bare, asked.mirror) = (true, true),
            "--single-branch" => asked.single = true,
            "--no-single-branch" => asked.single = false,
            "--no-tags" => asked.tags = false,
            "-b" | "--branch" => asked.branch = Some(args.value(&option)?),
            "-o" | "--origin" => asked.origin = args.value(&option)?,
            "--depth" | "--shallow-since" | "--shallow-exclude" => {
                args.value(&option)?;
                asked.depth = true;
            }
            "-c" | "--config" => {
                let pair = args.value(&option)?;
                let (key, value) = pair.split_once('=').unwrap_or((&pair, "true"));
                asked.config.push((key.to_owned(), value.to_owned()));
            }
            "-j"
            | "--jobs"
            | "--reference"
            | "--reference-if-able"
            | "--filter"
            | "-u"
            | "--upload-pack"
            | "--template" => {
                args.value(&option)?;
            }
            "-v"
            | "--verbose"
            | "--progress"
            | "--no-progress"
            | "-l"
            | "--local"
            | "--no-local"
            | "--no-hardlinks"
            | "--recurse-submodules"
            | "--recursive"
            | "--dissociate"
            | "--tags"
            | "--no-recurse-submodules" => {}
            option => return Err(unknown(option, "clone [<options>] [--] <repo> [<dir>]")),
        }
    }
    Ok(asked)
}

/// `git clone`
pub fn clone(args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qnslv"));
    let asked = ask(&mut args)?;
    let words = args.words();
    let (typed, target) = match words.as_slice() {
        [typed] => (typed, name_of(typed, asked.bare)),
        [typed, target] => (typed, target.clone()),
        [] => return Err(die(129, format!("fatal: You must specify a repository to clone.\n\n{USAGE}"))),
        _ => return Err(die(129, format!("fatal: Too many arguments.\n\n{USAGE}"))),
    };
    let into = if asked.bare { "bare repository " } else { "" };
    let begin = || {
        if !asked.quiet {
            warn(format!("Cloning into {into}'{target}'..."));
        }
    };
    let source = match typed.strip_prefix("file://") {
        Some(path) => source(Path::new(path)),
        None => source(Path::new(typed)),
    };
    let top = absolute(Path::new(&target))?;
    let free = || fs::read_dir(&top).map_or(!top.exists(), |mut names| names.next().is_none());
    let Some(source) = source? else {
        if let Some(host) = host_of(typed) {
            begin();
            return Err(fatal(format!("unable to access '{typed}/': Could not resolve host: {host}")));
        }
        return Err(fatal(format!("repository '{typed}' does not exist")));
    };
    if !free() {
        return Err(fatal(format!(
            "destination path '{target}' already exists and is not an empty directory."
        )));
    }
    begin();
    if asked.depth {
        warn("warning: --depth is ignored in local clones; use file:// instead.");
    }
    let made = !top.exists();
    let result = make(&asked, &source, typed, &top, out);
    if result.is_err() && made {
        let _ = fs::remove_dir_all(&top);
    }
    result.map(|()| 0)
}

/// The directory that a clone of this makes.
fn name_of(typed: &str, bare: bool) -> String {
    let rest = typed.trim_end_matches('/');
    let rest = rest.strip_suffix("/.git").unwrap_or(rest).trim_end_matches('/');
    let base = rest.rsplit(['/', ':']).next().unwrap_or(rest);
    let base = base.strip_suffix(".bundle").unwrap_or(base).strip_suffix(".git").unwrap_or(base);
    let base = match base {
        "." | ".." | "" => {
            let whole = absolute(Path::new(typed)).unwrap_or_default();
            whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        base => base.to_owned(),
    };
    if bare { base + ".git" } else { base }
}

/// The host of an address that is not a path.
fn host_of(typed: &str) -> Option<&str> {
    let rest = match typed.split_once("://") {
        Some((_, rest)) => rest.split('/').next()?,
        None => typed.split_once(':').map(|(host, _)| host).filter(|host| !host.contains('/'))?,
    };
    rest.rsplit('@').next()?.split(':').next()
}

/// The repository at a path.
fn source(path: &Path) -> Result<Option<Repo>> {
    let path = absolute(path)?;
    let forms = [path.join(".git"), path.clone(), path.with_extension("git")];
    for dir in forms {
        if let Ok(text) = fs::read_to_string(&dir)
            && let Some(to) = text.strip_prefix("gitdir: ")
        {
            return Ok(Some(Repo::with(path.join(to.trim_end()), None)));
        }
        if dir.join("HEAD").is_file() && dir.join("objects").is_dir() {
            return Ok(Some(Repo::with(dir, None)));
        }
    }
    Ok(None)
}

fn make(asked: &Asked, source: &Repo, typed: &str, top: &Path, out: &mut Out) -> Result<()> {
    let url = match typed.starts_with("file://") {
        true => typed.to_owned(),
        // As it was typed, below where it was typed.
        false => std::env::current_dir()?.join(typed).display().to_string(),
    };
    let dir = if asked.bare { top.to_owned() } else { top.join(".git") };
    // A source on no branch is taken for one on a branch of the same commit.
    let head = match source.head().ok() {
        Some(Head::Detached(id)) => {
            let same = source.refs("refs/heads/").into_iter().find(|(_, tip)| *tip == id);
            Some(same.map_or(Head::Detached(id), |(name, _)| Head::Branch(name)))
        }
        head => head,
    };
    let own_branch = match &head {
        Some(Head::Branch(full)) => Some(full.clone()),
        _ => None,
    };
    // What becomes HEAD: the branch that was named, or the source's own.
    let (head, id) = match &asked.branch {
        None => (head, source.head_id()),
        Some(name) => {
            let (full, tag) = (format!("refs/heads/{name}"), format!("refs/tags/{name}"));
            match (source.find_ref(&full), source.find_ref(&tag)) {
                (Some(id), _) => (Some(Head::Branch(full)), Some(id)),
                (None, Some(id)) => {
                    let id = source.peel(id, Kind::Commit)?;
                    (id.map(Head::Detached), id)
                }
                (None, None) => {
                    return Err(fatal(format!(
                        "Remote branch {name} not found in upstream {}",
                        asked.origin
                    )));
                }
            }
        }
    };
    let branch = match &head {
        Some(Head::Branch(full)) => short(full).to_owned(),
        _ => "master".into(),
    };
    skeleton(&dir, asked.bare, &branch)?;
    objects(asked, source, &dir.join("objects"))?;
    configure(asked, &dir.join("config"), &url, head.as_ref())?;
    let repo = Repo::with(dir, (!asked.bare).then(|| top.to_owned()));
    references(asked, source, &repo, head.as_ref())?;
    let why = format!("clone: from {url}");
    match (&head, id) {
        (_, None) => warn("warning: You appear to have cloned an empty repository."),
        (Some(Head::Branch(full)), Some(id)) if !asked.bare => {
            repo.set_ref(full, id, &why)?;
            let remote = format!("refs/remotes/{}/HEAD", asked.origin);
            if let Some(own) = own_branch.filter(|own| !asked.single || own == full)
                && let Some(id) = source.find_ref(&own)
            {
                let to = format!("ref: refs/remotes/{}/{}\n", asked.origin, short(&own));
                crate::refs::write(&repo.common.join(&remote), to.as_bytes())?;
                repo.log_line(&remote, None, id, &why)?;
            }
        }
        (Some(Head::Detached(_)), Some(id)) if !asked.bare => repo.move_head(&Head::Detached(id), &why)?,
        _ => {}
    }
    if !asked.quiet && !url.starts_with("file://") {
        warn("done.");
    }
    if let (Some(id), false) = (id, asked.bare || asked.empty) {
        if matches!(head, Some(Head::Detached(_))) && !asked.quiet {
            super::checkout::say_detached(&repo, &id.hex());
        }
        super::checkout::reset_work(&repo, repo.peel(id, Kind::Tree)?)?;
    }
    out.flush()
}

/// Brings the objects over: by another name for each file, copied where that cannot be, or only told where they are.
fn objects(asked: &Asked, source: &Repo, to: &Path) -> Result<()> {
    let mut stores = source.odb.stores().iter();
    let mut others: Vec<&PathBuf> = Vec::new();
    match stores.next() {
        Some(own) if asked.shared => others.push(own),
        Some(own) => copy(own, to, DEPTH).map_err(|error| {
            fatal(format!("failed to copy objects to '{}': {}", to.display(), reason(&error)))
        })?,
        None => {}
    }
    others.extend(stores);
    if !others.is_empty() {
        let lines: String = others.iter().map(|store| format!("{}\n", store.display())).collect();
        fs::create_dir_all(to.join("info"))?;
        fs::write(to.join("info/alternates"), lines)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, depth: usize) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if depth > 0 {
                copy(&from, &to, depth - 1)?;
            }
        } else if !from.ends_with("info/alternates") && guest_host::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

fn configure(asked: &Asked, config: &Path, url: &str, head: Option<&Head>) -> Result<()> {
    for (key, value) in &asked.config {
        write_config(config, key, Some(value))?;
    }
    let origin = &asked.origin;
    write_config(config, &format!("remote.{origin}.url"), Some(url))?;
    let branch = match head {
        Some(Head::Branch(full)) => Some((full, short(full))),
        _ => None,
    };
    let fetch = match branch {
        _ if asked.mirror => Some("+refs/*:refs/*".to_owned()),
        _ if asked.bare => None,
        Some((full, name)) if asked.single => Some(format!("+{full}:refs/remotes/{origin}/{name}")),
        _ => Some(format!("+refs/heads/*:refs/remotes/{origin}/*")),
    };
    if let Some(fetch) = fetch {
        write_config(config, &format!("remote.{origin}.fetch"), Some(&fetch))?;
    }
    if asked.mirror {
        write_config(config, &format!("remote.{origin}.mirror"), Some("true"))?;
    }
    if let (Some((full, name)), false) = (branch, asked.bare) {
        write_config(config, &format!("branch.{name}.remote"), Some(origin))?;
        write_config(config, &format!("branch.{name}.merge"), Some(full))?;
    }
    Ok(())
}

/// Writes the references of the source, under the names that they get here.
fn references(asked: &Asked, source: &Repo, repo: &Repo, head: Option<&Head>) -> Result<()> {
    let mut found: BTreeMap<String, Id> = BTreeMap::new();
    for (name, id) in source.refs("refs/") {
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            if asked.single && !matches!(head, Some(Head::Branch(full)) if *full == name) {
                continue;
            }
            let here = format!("refs/remotes/{}/{branch}", asked.origin);
            found.insert(if asked.bare { name } else { here }, id);
        } else if (name.starts_with("refs/tags/") && asked.tags) || asked.mirror {
            found.insert(name, id);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for (name, id) in found {
        text += &format!("{id} {name}\n");
        if let Some((Kind::Tag, data)) = source.odb.find(&id)
            && tagged(&data).is_some()
        {
            let inside = source.rev(&format!("{id}^{{}}"))?;
            text += &format!("^{inside}\n");
        }
    }
    crate::refs::write(&repo.common.join("packed-refs"), text.as_bytes())
}
