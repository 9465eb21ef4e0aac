//! A repository: where it is, its configuration, and paths inside it.

use crate::config::Config;
use crate::error::{Result, die, fatal};
use crate::object::Who;
use crate::odb::Odb;
use bstr::ByteSlice;
use std::path::{Path, PathBuf};

/// An open repository.
pub struct Repo {
    pub dir: PathBuf,
    /// What worktrees share: objects, refs and configuration.
    pub common: PathBuf,
    pub work: Option<PathBuf>,
    /// The current directory below the worktree, with a final slash; empty at its top.
    pub prefix: Vec<u8>,
    pub config: Config,
    pub odb: Odb,
}

/// Reads the configuration that is not the repository's.
pub fn user_config() -> Config {
    let mut config = Config::default();
    config.read(Path::new("/etc/gitconfig"));
    if let Some(home) = std::env::var_os("HOME") {
        config.read(&Path::new(&home).join(".config/git/config"));
        config.read(&Path::new(&home).join(".gitconfig"));
    }
    config
}

impl Repo {
    /// Opens a repository whose directories are known.
    pub fn with(dir: PathBuf, work: Option<PathBuf>) -> Repo {
        let common = common(&dir);
        let mut config = user_config();
        config.read(&common.join("config"));
        let odb = Odb::open(common.join("objects"));
        Repo { dir, common, work, prefix: Vec::new(), config, odb }
    }

    /// Finds the repository of the current directory.
    pub fn open(extra: &[(String, String)]) -> Result<Repo> {
        let here = std::env::current_dir()?;
        let (dir, work) = match std::env::var_os("GIT_DIR") {
            Some(dir) => {
                let work =
                    std::env::var_os("GIT_WORK_TREE").map_or_else(|| here.clone(), |work| here.join(work));
                (here.join(dir), Some(work))
            }
            None => discover(&here)
                .ok_or_else(|| fatal("not a git repository (or any of the parent directories): .git"))?,
        };
        let common = common(&dir);
        let mut config = user_config();
        config.read(&common.join("config"));
        let count = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
        for at in 0..std::cmp::min(count, 1000) {
            let part = |part: &str| std::env::var(format!("GIT_CONFIG_{part}_{at}"));
            if let (Ok(key), Ok(value)) = (part("KEY"), part("VALUE")) {
                config.set(&key, &value);
            }
        }
        for (key, value) in extra {
            config.set(key, value);
        }
        let work = if config.is("core.bare", false) { None } else { work };
        let prefix = match &work {
            Some(work) => match here.strip_prefix(work) {
                Ok(below) if !below.as_os_str().is_empty() => {
                    let mut prefix = guest_host::bytes_of(below.as_os_str()).to_vec();
                    prefix.push(b'/');
                    prefix
                }
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        let odb = Odb::open(common.join("objects"));
        Ok(Repo { dir, common, work, prefix, config, odb })
    }

    pub fn work(&self) -> Result<&Path> {
        self.work.as_deref().ok_or_else(|| fatal("this operation must be run in a work tree"))
    }

    pub fn index_path(&self) -> PathBuf {
        std::env::var_os("GIT_INDEX_FILE").map_or_else(|| self.dir.join("index"), PathBuf::from)
    }

    pub fn index(&self) -> Result<crate::index::Index> {
        crate::index::Index::read(&self.index_path())
    }

    /// A path of the worktree.
    pub fn at(&self, path: &[u8]) -> Result<PathBuf> {
        Ok(self.work()?.join(guest_host::path_of(path)))
    }

    /// What was typed, as a path of the repository. `.` at the top gives the empty path.
    pub fn inside(&self, typed: &[u8]) -> Result<Vec<u8>> {
        let outside = || {
            let typed = typed.to_str_lossy();
            fatal(format!(
                "{typed}: '{typed}' is outside repository at '{}'",
                self.work.as_deref().unwrap_or(&self.dir).display()
            ))
        };
        let mut parts: Vec<&[u8]> = Vec::new();
        let top = self.work.as_deref().map(|work| guest_host::bytes_of(work.as_os_str()).to_vec());
        let rest = match (&top, typed.first()) {
            (Some(top), Some(b'/')) => match typed.strip_prefix(top.as_slice()) {
                Some(rest) if rest.is_empty() || rest[0] == b'/' => rest,
                _ => return Err(outside()),
            },
            _ => {
                parts.extend(self.prefix.split_str("/").filter(|part| !part.is_empty()));
                typed
            }
        };
        for part in rest.split_str("/") {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop().ok_or_else(outside)?;
                }
                part => parts.push(part),
            }
        }
        Ok(parts.join(&b"/"[..]))
    }

    /// A path of the repository as seen from the current directory.
    pub fn shown(&self, path: &[u8]) -> Vec<u8> {
        if self.prefix.is_empty() {
            return path.to_vec();
        }
        if let Some(below) = path.strip_prefix(self.prefix.as_slice()) {
            return if below.is_empty() { b"./".to_vec() } else { below.to_vec() };
        }
        let mut up = Vec::new();
        let mut prefix = &self.prefix[..self.prefix.len() - 1];
        loop {
            up.extend_from_slice(b"../");
            prefix = match prefix.rfind_byte(b'/') {
                Some(at) => &prefix[..at],
                None => break,
            };
            if path.starts_with(prefix) && path.get(prefix.len()) == Some(&b'/') {
                up.extend_from_slice(&path[prefix.len() + 1..]);
                return up;
            }
        }
        up.extend_from_slice(path);
        up
    }

    /// Who authors or commits now.
    pub fn who(&self, role: &str) -> Result<Who> {
        let part =
            |part: &str| std::env::var(format!("GIT_{role}_{part}")).ok().filter(|value| !value.is_empty());
        let set = |key: &str| self.config.get(key).map(str::to_owned);
        let name = part("NAME").or_else(|| set("user.name"));
        let mail = part("EMAIL").or_else(|| set("user.email")).or_else(|| std::env::var("EMAIL").ok());
        let (Some(name), Some(mail)) = (name, mail) else {
            let role = if role == "AUTHOR" { "Author" } else { "Committer" };
            return Err(die(
                128,
                format!(
                    "{role} identity unknown\n\n*** Please tell me who you are.\n\nRun\n\n  git config --global user.email \
                     \"you@example.com\"\n  git config --global user.name \"Your Name\"\n\nto set your account's default \
                     identity.\nOmit --global to set the identity only in this repository.\n\nfatal: unable to auto-detect \
                     email address"
                ),
            ));
        };
        let (time, zone) = match part("DATE") {
            Some(date) => {
                crate::date::read(&date).ok_or_else(|| fatal(format!("invalid date format: {date}")))?
            }
            None => (crate::date::now(), 0),
        };
        Ok(Who { name: name.into(), mail: mail.into(), time, zone })
    }
}

/// What the worktrees of a repository share.
fn common(dir: &Path) -> PathBuf {
    match std::fs::read(dir.join("commondir")) {
        Ok(text) => crate::linked::absolute(&dir.join(guest_host::path_of(text.trim())))
            .unwrap_or_else(|_| dir.to_owned()),
        Err(_) => dir.to_owned(),
    }
}

type Found = (PathBuf, Option<PathBuf>);

fn discover(here: &Path) -> Option<Found> {
    for dir in here.ancestors() {
        let git = dir.join(".git");
        if git.join("HEAD").is_file() {
            return Some((git, Some(dir.to_owned())));
        }
        if let Ok(text) = std::fs::read(&git)
            && let Some(target) = text.strip_prefix(b"gitdir: ")
        {
            return Some((dir.join(guest_host::path_of(target.trim_end())), Some(dir.to_owned())));
        }
        if dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir() {
            let work = (dir.file_name().is_some_and(|name| name == ".git"))
                .then(|| dir.parent().map(Path::to_owned));
            return Some((dir.to_owned(), work.flatten()));
        }
    }
    None
}
