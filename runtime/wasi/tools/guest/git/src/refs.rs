//! References: loose, packed, symbolic; and their logs.

use crate::error::{Result, fatal};
use crate::object::{Id, Who};
use crate::repo::Repo;
use bstr::ByteSlice;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How many references may name one another.
const DEPTH: usize = 5;

/// What HEAD is.
pub enum Head {
    /// On a branch, by its full name; it may not exist yet.
    Branch(String),
    Detached(Id),
}

impl Repo {
    fn ref_path(&self, name: &str) -> PathBuf {
        if name.starts_with("refs/") && !name.starts_with("refs/bisect") {
            self.common.join(name)
        } else {
            self.dir.join(name)
        }
    }

    pub fn head(&self) -> Result<Head> {
        let text = std::fs::read_to_string(self.dir.join("HEAD")).map_err(|_| fatal("bad HEAD"))?;
        match text.trim_end().strip_prefix("ref: ") {
            Some(name) => Ok(Head::Branch(name.to_owned())),
            None => Id::parse(text.trim().as_bytes()).map(Head::Detached).ok_or_else(|| fatal("bad HEAD")),
        }
    }

    /// The commit of HEAD, if there is one yet.
    pub fn head_id(&self) -> Option<Id> {
        self.find_ref("HEAD")
    }

    /// The branch's name without `refs/heads/`.
    pub fn branch(&self) -> Option<String> {
        match self.head() {
            Ok(Head::Branch(name)) => Some(name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()),
            _ => None,
        }
    }

    /// What a full name leads to.
    pub fn find_ref(&self, name: &str) -> Option<Id> {
        let mut name = name.to_owned();
        for _ in 0..DEPTH {
            if name.contains("..") || name.contains("//") {
                return None;
            }
            match std::fs::read(self.ref_path(&name)) {
                Ok(text) => {
                    let text = text.trim();
                    match text.strip_prefix(b"ref: ") {
                        Some(next) => name = next.trim().to_str().ok()?.to_owned(),
                        None => return Id::parse(text.get(..40)?),
                    }
                }
                Err(_) => return self.packed().get(&name).copied(),
            }
        }
        None
    }

    /// Returns the reference that another one stands for.
    pub fn symbolic(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.ref_path(name)).ok()?;
        text.strip_prefix("ref: ").map(|to| to.trim_end().to_owned())
    }

    fn packed(&self) -> BTreeMap<String, Id> {
        let text = std::fs::read(self.common.join("packed-refs")).unwrap_or_default();
        let line = |line: &[u8]| {
            let id = Id::parse(line.get(..40)?)?;
            Some((line.get(41..)?.to_str().ok()?.to_owned(), id))
        };
        text.lines().filter_map(line).collect()
    }

    /// All references below a prefix such as `refs/heads/`, by full name.
    pub fn refs(&self, prefix: &str) -> BTreeMap<String, Id> {
        let mut found: BTreeMap<String, Id> =
            self.packed().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        let mut dirs = vec![prefix.trim_end_matches('/').to_owned()];
        while let Some(dir) = dirs.pop() {
            let Ok(names) = std::fs::read_dir(self.ref_path(&dir)) else { continue };
            for name in names.flatten() {
                let full = format!("{dir}/{}", name.file_name().to_string_lossy());
                if name.file_type().is_ok_and(|kind| kind.is_dir()) {
                    dirs.push(full);
                } else if let Some(id) = self.find_ref(&full).filter(|_| !full.ends_with(".lock")) {
                    found.insert(full, id);
                }
            }
        }
        found
    }

    /// Sets a reference and notes it in its log.
    pub fn set_ref(&self, name: &str, id: Id, why: &str) -> Result<()> {
        let old = self.find_ref(name);
        let path = self.ref_path(name);
        write(&path, format!("{id}\n").as_bytes())?;
        self.note(name, old, id, why)?;
        if let Ok(Head::Branch(branch)) = self.head()
            && branch == name
        {
            self.note("HEAD", old, id, why)?;
        }
        Ok(())
    }

    /// Sets what HEAD leads to: its branch if it is on one, else itself.
    pub fn set_head(&self, id: Id, why: &str) -> Result<()> {
        match self.head()? {
            Head::Branch(name) => self.set_ref(&name, id, why),
            Head::Detached(_) => self.set_ref("HEAD", id, why),
        }
    }

    /// Puts HEAD on a branch, or detaches it.
    pub fn move_head(&self, to: &Head, why: &str) -> Result<()> {
        let old = self.head_id();
        let (text, id) = match to {
            Head::Branch(name) => (format!("ref: {name}\n"), self.find_ref(name)),
            Head::Detached(id) => (format!("{id}\n"), Some(*id)),
        };
        write(&self.dir.join("HEAD"), text.as_bytes())?;
        match id {
            Some(id) => self.note("HEAD", old, id, why),
            None => Ok(()),
        }
    }

    pub fn delete_ref(&self, name: &str) -> Result<()> {
        let _ = std::fs::remove_file(self.ref_path(name));
        let _ = std::fs::remove_file(self.log_path(name));
        let packed = self.packed();
        if packed.contains_key(name) {
            let text = std::fs::read(self.common.join("packed-refs")).unwrap_or_default();
            let mut kept = Vec::new();
            let mut drop = false;
            for line in text.lines_with_terminator() {
                drop = match line.first() {
                    Some(b'^') => drop,
                    _ => line.get(41..).is_some_and(|rest| rest.trim_end() == name.as_bytes()),
                };
                if !drop {
                    kept.extend_from_slice(line);
                }
            }
            write(&self.common.join("packed-refs"), &kept)?;
        }
        Ok(())
    }

    pub fn log_path(&self, name: &str) -> PathBuf {
        if name.starts_with("refs/") {
            self.common.join("logs").join(name)
        } else {
            self.dir.join("logs").join(name)
        }
    }

    fn note(&self, name: &str, old: Option<Id>, new: Id, why: &str) -> Result<()> {
        let path = self.log_path(name);
        let logged = name == "HEAD"
            || name == "refs/stash"
            || name.starts_with("refs/heads/")
            || name.starts_with("refs/remotes/");
        if why.is_empty()
            || !(logged || path.exists())
            || !self.config.is("core.logallrefupdates", self.work.is_some())
        {
            return Ok(());
        }
        self.log_line(name, old, new, why)
    }

    /// Adds a line to a log, whatever it says and whether or not there are logs.
    pub fn log_line(&self, name: &str, old: Option<Id>, new: Id, why: &str) -> Result<()> {
        let path = self.log_path(name);
        if let Some(dir) = path.parent() {
            let _ = std::fs::create_dir_all(dir);
        }
        let who = self.who("COMMITTER").unwrap_or_else(|_| Who {
            name: b"unknown".to_vec(),
            mail: b"unknown".to_vec(),
            time: crate::date::now(),
            zone: 0,
        });
        let mut line = format!("{} {new} ", old.unwrap_or(Id::ZERO)).into_bytes();
        line.extend_from_slice(&who.line());
        if !why.is_empty() {
            line.push(b'\t');
        }
        line.extend_from_slice(why.lines().next().unwrap_or_default().as_bytes());
        line.push(b'\n');
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
        Ok(log.write_all(&line)?)
    }

    /// A reference's log, newest first: the new id, who and when, and why.
    pub fn log_of(&self, name: &str) -> Vec<Logged> {
        let text = std::fs::read(self.log_path(name)).unwrap_or_default();
        let mut lines: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let (head, why) = line.split_once_str("\t").unwrap_or((line, b""));
                Some(Logged {
                    new: Id::parse(head.get(41..81)?)?,
                    who: Who::parse(head.get(82..)?),
                    why: why.to_vec(),
                })
            })
            .collect();
        lines.reverse();
        lines
    }
}

/// One line of a reference's log.
pub struct Logged {
    pub new: Id,
    pub who: Who,
    pub why: Vec<u8>,
}

/// Writes a file whole, by way of another name.
pub fn write(path: &Path, data: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    std::fs::write(&lock, data)?;
    Ok(std::fs::rename(&lock, path)?)
}

/// The name as git says it: without `refs/heads/`, `refs/tags/` or `refs/remotes/`.
pub fn short(name: &str) -> &str {
    ["refs/heads/", "refs/tags/", "refs/remotes/", "refs/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}
