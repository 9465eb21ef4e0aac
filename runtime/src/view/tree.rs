//! The files of a view, gathered once in a directory of the user's cache, so that a sandbox binds that directory instead
//! of two hundred files, and nothing is searched again.
//!
//! A tree is made of copies. It is used as long as every file it was made from is what it was (device, inode, size and
//! times), and is replaced as a whole. Without a cache that is the user's alone, files are bound one by one.

use super::{SHELLS, View};
use crate::{Policy, cache};
use rustix::fs::{StatVfsMountFlags, statvfs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The library that holds a bash back until its action comes, built by `build.rs` from `ahead/`.
static AHEAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ahead.so"));
/// Changes whenever the same view would be gathered differently.
const VERSION: u32 = 2;
/// Directories of the cache.
const FILES: &str = "files";
const TREES: &str = "trees";
const VIEWS: &str = "views";
/// Top directories that a tree may hold: no workspace can lie there.
const TOPS: [&str; 8] = ["bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr"];

/// A directory with the files of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Where it is on the host.
    pub root: PathBuf,
    /// Its top directories, such as `/usr`: each is bound at this very place.
    pub tops: BTreeSet<PathBuf>,
}

impl Tree {
    /// Whether it holds what appears at `at`; if not, that is bound by itself.
    pub(crate) fn holds(&self, view: &View, at: &Path) -> bool {
        self.tops.iter().any(|top| at.starts_with(top))
            && !view.directories.contains(at)
            && !view.live.contains(at)
    }
}

/// A view as it was found, and what it was made from.
#[derive(Serialize, Deserialize)]
struct Record {
    version: String,
    view: View,
    stamps: Vec<Stamp>,
}

/// A file or directory that was looked at, and what it was then.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    /// Device, inode, size, modification and change time; `None` where there was nothing.
    was: Option<[i64; 7]>,
}

impl Stamp {
    fn of(path: &Path) -> Stamp {
        let was = fs::metadata(path).ok().map(|m| {
            let (dev, ino, size) = (m.dev().cast_signed(), m.ino().cast_signed(), m.size().cast_signed());
            [dev, ino, size, m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()]
        });
        Stamp { path: path.into(), was }
    }

    fn holds(&self) -> bool {
        Stamp::of(&self.path).was == self.was
    }
}

impl View {
    /// As [`View::resolve`], but looked up in the user's cache, and with its files gathered there where that is possible.
    /// A cache inside `workspace`, or around it, is not used: an action's changes may be committed there.
    pub fn prepare(policy: &Policy, workspace: &Path) -> View {
        prepare(policy, workspace)
    }
}

fn prepare(policy: &Policy, workspace: &Path) -> View {
    let Ok(views) = cache::private(VIEWS) else { return View::resolve(policy) };
    let cache = views.parent().unwrap_or(&views);
    let may_execute = statvfs(cache).is_ok_and(|s| !s.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if !may_execute || cache.starts_with(workspace) || workspace.starts_with(cache) {
        return View::resolve(policy);
    }
    let record = views.join(policy.sha256());
    if let Some(view) = recorded(&record) {
        return view;
    }
    let mut view = View::resolve(policy);
    let stamps = stamps(&view, policy);
    // A cache that cannot be written costs time, no more.
    if let Ok(tree) = gather(&view, &stamps) {
        view.tree = Some(tree);
        let _ = write(&record, &Record { version: version(), view: view.clone(), stamps });
    }
    view
}

fn recorded(path: &Path) -> Option<View> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let whole = record.view.tree.as_ref().is_some_and(|t| t.root.is_dir());
    (record.version == version() && whole && record.stamps.iter().all(Stamp::holds)).then_some(record.view)
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    draft.write_all(&serde_json::to_vec(record)?)?;
    draft.persist(path)?;
    Ok(())
}

/// Everything whose change means that the view must be looked up again: the files, and the directories in which a
/// program or a choice between programs may appear.
fn stamps(view: &View, policy: &Policy) -> Vec<Stamp> {
    let files = view.binds().map(|(_, from, _)| from);
    let choices = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf.d"].map(Path::new);
    let paths: BTreeSet<&Path> =
        files.chain(policy.path.iter().map(PathBuf::as_path)).chain(choices).collect();
    paths.into_iter().map(Stamp::of).collect()
}

/// Makes the tree of a view, unless it is there.
fn gather(view: &View, stamps: &[Stamp]) -> io::Result<Tree> {
    let trees = cache::private(TREES)?;
    let store = cache::private(FILES)?;
    let parts = (version(), view, stamps, crate::plan::etc_files());
    let key = hex(&serde_json::to_vec(&parts)?);
    let tops = TOPS.iter().map(|top| Path::new("/").join(top));
    let mut tree = Tree { root: trees.join(key), tops: tops.collect() };
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(&trees)?;
    let place = |at: &Path| draft.path().join(at.strip_prefix("/").unwrap_or(at));
    for (at, from, executable) in view.binds().filter(|(at, ..)| tree.tops.iter().any(|t| at.starts_with(t)))
    {
        let to = place(at);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if view.directories.contains(at) {
            fs::create_dir_all(&to)?;
        } else if view.live.contains(at) {
            fs::write(&to, "")?;
        } else {
            fs::hard_link(stored(&store, from, executable)?, &to)?;
        }
    }
    for (link, target) in view.links.iter().filter(|(l, _)| l.parent() != Some(Path::new("/"))) {
        let to = place(link);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, to)?;
    }
    for (at, content) in crate::plan::etc_files() {
        let to = place(Path::new(at));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, content)?;
    }
    let shells = place(Path::new(SHELLS));
    if shells.join("bash").exists() {
        fs::write(shells.join("ahead.so"), AHEAD)?;
    }
    // A top directory that is a link on the host is one in the sandbox; nothing was put there.
    tree.tops.retain(|top| place(top).is_dir());
    match fs::rename(draft.path(), &tree.root) {
        // Somebody else made the same one.
        Err(_) if tree.root.is_dir() => {}
        done => done?,
    }
    Ok(tree)
}

/// The copy of a host file in the cache; made unless it is there.
fn stored(store: &Path, from: &Path, executable: bool) -> io::Result<PathBuf> {
    let stamp = Stamp::of(from);
    let copy = store.join(hex(&serde_json::to_vec(&(VERSION, &stamp, executable))?));
    if !copy.exists() {
        let draft = tempfile::NamedTempFile::new_in(store)?;
        fs::copy(from, draft.path())?;
        let mode = if executable { 0o555 } else { 0o444 };
        fs::set_permissions(draft.path(), Permissions::from_mode(mode))?;
        if stamp != Stamp::of(from) {
            return Err(io::Error::other(format!("{} changed while it was copied", from.display())));
        }
        draft.persist(&copy)?;
    }
    Ok(copy)
}

/// What else a tree is made of: this code, and the library.
fn version() -> String {
    format!("{VERSION} {}", hex(AHEAD))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
