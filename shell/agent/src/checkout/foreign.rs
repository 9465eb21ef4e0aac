//! A repository that somebody else made, as git is shown it: its objects and refs beside a configuration of ours.
//!
//! A configuration of git names programs in dozens of places, and who writes a repository writes it too. So no git is
//! started in one: it gets a git directory that we made, which borrows the objects and has copies of the refs.

use super::git::git;
use sbx_runtime::cache::Use;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What leads from a name to a commit, and where history ends. Files of a repository.
pub(super) const REF_FILES: [&str; 3] = ["HEAD", "packed-refs", "shallow"];
/// The same: directories of a repository.
pub(super) const REF_DIRS: [&str; 2] = ["refs", "reftable"];
/// Most bytes of a file that names a directory.
const MAX_NAME: u64 = 8 << 10;

/// A git directory of ours for the time of its life, which shows a repository of somebody else.
#[derive(Debug)]
pub(super) struct Foreign {
    /// What the user knows it by.
    name: PathBuf,
    git_dir: TempDir,
    /// A partial clone: git would get the missing objects from a server.
    is_partial: bool,
    _in_use: Option<Use>,
}

impl Foreign {
    /// Shows a repository, plain, bare, or a worktree of another; messages call it `name`, and `in_use` keeps it where
    /// it is.
    pub fn show(path: &Path, name: &Path, in_use: Option<Use>) -> Result<Foreign, String> {
        let fault = |e: io::Error| format!("repository {}: {e}", name.display());
        // Nobody else can write in it. A cache may be read-only.
        let git_dir = tempfile::Builder::new().prefix("sbx-repository-").tempdir();
        let git_dir = git_dir.map_err(|e| format!("a directory for temporary files: {e}"))?;
        let mut foreign = Foreign { name: name.into(), git_dir, is_partial: false, _in_use: in_use };
        let (own, common) = parts(path).map_err(fault)?;
        let storage = Storage::of(&common, foreign.git_dir()).map_err(|e| fault(io::Error::other(e)))?;
        if storage.is_reftable && own != common {
            return Err(fault(io::Error::other("a worktree whose refs are a reftable is not read")));
        }
        foreign.fill(&own, &common, &storage).map_err(fault)?;
        Ok(foreign)
    }

    fn fill(&mut self, own: &Path, common: &Path, storage: &Storage) -> io::Result<()> {
        let objects = fs::canonicalize(common.join("objects"))?;
        if objects.as_os_str().as_bytes().contains(&b'\n') {
            return Err(io::Error::other("its path has an end of line in it"));
        }
        let packs = fs::read_dir(objects.join("pack")).into_iter().flatten().flatten();
        self.is_partial = packs.into_iter().any(|e| e.path().extension().is_some_and(|e| e == "promisor"));
        let to = self.git_dir();
        fs::create_dir_all(to.join("objects/info"))?;
        fs::create_dir_all(to.join("refs"))?;
        let line = [objects.as_os_str().as_bytes(), b"\n"].concat();
        fs::write(to.join("objects/info/alternates"), line)?;
        for name in REF_FILES {
            let from = if name == "HEAD" { own } else { common }.join(name);
            if from.is_file() {
                fs::copy(from, to.join(name))?;
            }
        }
        for name in REF_DIRS {
            if common.join(name).is_dir() {
                copy(&common.join(name), &to.join(name))?;
            }
        }
        fs::write(to.join("config"), storage.config())
    }

    /// The full name of a commit.
    pub fn resolve(&self, commit: &str) -> Result<String, String> {
        if commit.starts_with('-') {
            return Err(format!("base_commit {commit:?}: expected a commit"));
        }
        // Of more digits than a name has git reads the first.
        let digits = commit.len();
        if digits > 40 && digits != 64 && commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("base_commit {commit:?}: expected at most 40 digits, found {digits}"));
        }
        let name = format!("{commit}^{{commit}}");
        // Named, so that git looks for no other when it finds no sense in this.
        git(self.git_dir(), &["--git-dir=.", "rev-parse", "--verify", "--quiet", "--end-of-options", &name])
            .map_err(|_| format!("base_commit {commit:?} is not in {}{}", self.name.display(), self.hint()))
    }

    /// What the user knows it by.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Where git may read it.
    pub fn git_dir(&self) -> &Path {
        self.git_dir.path()
    }

    /// What may be the reason that an object is missing.
    pub fn hint(&self) -> &'static str {
        if self.is_partial {
            "; it is a partial clone, and nothing is fetched for it: clone it whole"
        } else {
            ""
        }
    }
}

/// What git must be told of a repository in order to read its objects and refs.
#[derive(Debug)]
pub(super) struct Storage {
    is_sha256: bool,
    is_reftable: bool,
}

impl Storage {
    /// Reads the configuration of a git directory as a list of keys: git includes nothing and obeys nothing of it.
    pub fn of(git_dir: &Path, at: &Path) -> Result<Storage, String> {
        let mut storage = Storage { is_sha256: false, is_reftable: false };
        let config = git_dir.join("config");
        if !config.is_file() {
            return Ok(storage);
        }
        let file = format!("--file={}", config.display());
        let list = git(at, &["--git-dir=.", "config", &file, "--no-includes", "--null", "--list"])?;
        for (key, value) in list.split('\0').filter_map(|entry| entry.split_once('\n')) {
            match (key, value) {
                ("extensions.objectformat", "sha1" | "sha256") => storage.is_sha256 = value == "sha256",
                ("extensions.refstorage", "files" | "reftable") => storage.is_reftable = value == "reftable",
                ("extensions.objectformat" | "extensions.refstorage", _) => {
                    return Err(format!("{key} = {value:?} is not known"));
                }
                _ => {}
            }
        }
        Ok(storage)
    }

    /// All of a configuration of ours.
    pub fn config(&self) -> String {
        let format = if self.is_sha256 { "sha256" } else { "sha1" };
        let refs = if self.is_reftable { "\trefStorage = reftable\n" } else { "" };
        // A commit that no branch leads to is served too.
        format!(
            "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = {format}\n{refs}\
             [uploadpack]\n\tallowAnySHA1InWant = true\n"
        )
    }
}

/// The git directory of a repository, and the one that it shares with its worktrees.
fn parts(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let dot = path.join(".git");
    let own = if dot.is_file() {
        let text = named(&dot)?.into_vec();
        let to = text.strip_prefix(b"gitdir: ").ok_or(io::Error::other(".git names no directory"))?;
        path.join(OsString::from_vec(to.to_vec()))
    } else if dot.is_dir() {
        dot
    } else {
        path.to_path_buf()
    };
    let shared = own.join("commondir");
    let common = if shared.is_file() { own.join(named(&shared)?) } else { own.clone() };
    if own.join("HEAD").is_file() && common.join("objects").is_dir() {
        return Ok((own, common));
    }
    Err(io::Error::other(format!("{} is no git directory", own.display())))
}

/// The one line of a file.
fn named(file: &Path) -> io::Result<OsString> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(MAX_NAME).read_to_end(&mut text)?;
    text.truncate(text.trim_ascii_end().len());
    Ok(OsString::from_vec(text))
}

/// Copies files and directories, and no links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
