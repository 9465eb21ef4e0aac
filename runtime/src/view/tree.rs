//! The files of a view, gathered once in a directory of the user's cache, so that a sandbox binds that directory instead
//! of two hundred files, and nothing is searched again.
//!
//! A tree is made of copies. It is used as long as every file it was made from is what it was (device, inode, size and
//! times), and is replaced as a whole. Without a cache that is the user's alone, files are bound one by one.

use super::stamp::{Eye, Stamp};
use super::{PATH, SHELLS, View, data, loader, locale};
use crate::Policy;
use crate::cache::{self, Use};
use crate::linux::wire::{BASH_FAILS, BASH_ON_TRIAL};
use crate::plan::{DEV, DEVICE_LINKS, DEVICES, SHM, under};
use crate::stamps;
use rustix::fs::{StatVfsMountFlags, statvfs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr};
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The library by which process 1 becomes a bash, built by `build.rs` from `ahead/`.
static AHEAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ahead.so"));
/// Its name beside the bash.
const AHEAD_NAME: &str = "ahead.so";
/// Changes whenever the same view would be gathered differently.
const VERSION: u32 = 19;
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
    /// Other directories in it where nothing but programs of the policy can be executed.
    pub code: BTreeSet<PathBuf>,
    /// Whether its bash loads the library by which process 1 becomes it.
    pub has_ahead: bool,
}

impl Tree {
    /// Directories in it where nothing but programs of the policy can be executed.
    pub(crate) fn whole(&self) -> impl Iterator<Item = &Path> {
        let usual = [PATH, SHELLS].into_iter().map(Path::new);
        let usual = usual.filter(|dir| self.tops.iter().any(|top| dir.starts_with(top)));
        usual.chain(self.code.iter().map(PathBuf::as_path))
    }

    /// Whether it holds what appears at `at`; if not, that is bound by itself.
    pub(crate) fn holds(&self, view: &View, at: &Path) -> bool {
        self.tops.iter().any(|top| at.starts_with(top))
            && !view.directories.contains(at)
            && !view.live.contains(at)
    }
}

/// A view as it was found. In its file what it was made from follows, a [`Stamp`] a line. They are looked at later, while
/// the sandbox is built.
#[derive(Serialize, Deserialize)]
struct Record {
    version: String,
    view: View,
}

/// A view from the cache or not.
pub(crate) struct Prepared {
    pub view: View,
    /// What it uses of the cache.
    pub in_use: Option<Use>,
    /// Why it may be out of date.
    pub doubt: Option<Doubt>,
    /// Why its files are bound one by one.
    pub not_gathered: Option<String>,
}

/// A recorded view may be out of date: the files it was made from were not looked at yet.
pub(crate) struct Doubt {
    record: PathBuf,
    stamps: Vec<u8>,
}

/// A record of a view: its file, and that file's inode and change time. A new record is a new file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordId {
    file: PathBuf,
    inode: u64,
    changed: [i64; 2],
}

impl RecordId {
    /// The record that the cache holds for a policy.
    pub(crate) fn of(policy: &Policy) -> Option<RecordId> {
        RecordId::read(cache::cache_dir()?.join(VIEWS).join(policy.sha256()))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Its file's inode, and its change time in seconds and nanoseconds.
    pub(crate) fn numbers(&self) -> [i64; 3] {
        let [seconds, nanoseconds] = self.changed;
        [self.inode.cast_signed(), seconds, nanoseconds]
    }

    pub(crate) fn read(file: PathBuf) -> Option<RecordId> {
        let meta = fs::metadata(&file).ok()?;
        Some(RecordId { file, inode: meta.ino(), changed: [meta.ctime(), meta.ctime_nsec()] })
    }
}

impl Doubt {
    /// The doubt about a record that was read before; `None` when there is another now.
    pub(crate) fn again(id: RecordId) -> Option<Doubt> {
        let mut text = fs::read(&id.file).ok()?;
        let stamps = text.split_off(text.iter().position(|b| *b == b'\n')?);
        let now = RecordId::read(id.file.clone())?;
        (now == id).then_some(Doubt { record: id.file, stamps })
    }

    /// Looks at all of them. If one has changed, the record is removed.
    pub(crate) fn is_unfounded(&self) -> bool {
        let holds = stamps::hold(&self.stamps);
        if !holds {
            let _ = fs::remove_file(&self.record);
        }
        holds
    }
}

impl View {
    /// As [`View::resolve`], but looked up in the user's cache, where its files are gathered; they stay as long as the use
    /// that comes with it.
    pub fn prepare(policy: &Policy, workspace: &Path) -> (View, Option<Use>) {
        loop {
            let prepared = View::look_up(policy, workspace);
            // What was found out of date is gone from the cache the next time.
            if prepared.doubt.is_none_or(|doubt| doubt.is_unfounded()) {
                return (prepared.view, prepared.in_use);
            }
        }
    }

    /// Why the files of a policy are bound one by one in sandboxes of a workspace; `None` where they are gathered in the
    /// user's cache, as they should be: a sandbox opens faster, and its next bash can be loaded ahead.
    pub fn not_gathered(policy: &Policy, workspace: &Path) -> Option<String> {
        View::look_up(policy, workspace).not_gathered
    }

    /// As [`View::resolve`], but looked up in the user's cache, and with its files gathered there where that is possible;
    /// they stay as long as the use that comes with it. A cache inside `workspace` is not used: an action's changes may
    /// be committed there.
    pub(crate) fn look_up(policy: &Policy, workspace: &Path) -> Prepared {
        let bare = |view, why: &dyn std::fmt::Display| Prepared {
            view,
            in_use: None,
            doubt: None,
            not_gathered: Some(why.to_string()),
        };
        let views = match cache::private(VIEWS) {
            Ok(views) => views,
            Err(e) => return bare(View::resolve(policy), &format!("the cache: {e}")),
        };
        let cache = views.parent().unwrap_or(&views);
        let may_execute = statvfs(cache).is_ok_and(|s| !s.f_flag.contains(StatVfsMountFlags::NOEXEC));
        let is_ours = [TREES, FILES, VIEWS].iter().any(|dir| workspace.starts_with(cache.join(dir)));
        if !may_execute {
            return bare(
                View::resolve(policy),
                &format!("no program can be started from {}", cache.display()),
            );
        }
        if is_ours || cache.starts_with(workspace) {
            return bare(View::resolve(policy), &format!("{} and the workspace overlap", cache.display()));
        }
        let record = views.join(policy.sha256());
        if let Some(prepared) = recorded(&record) {
            return prepared;
        }
        let whole = View::resolve(policy);
        let mut view = whole.clone();
        view.unfold();
        let stamps = stamps(&view, policy);
        // A cache that cannot be written costs time, no more.
        let (tree, in_use) = match gather(&view, &stamps) {
            Ok(gathered) => gathered,
            Err(e) => return bare(whole, &e),
        };
        view.give(tree);
        let _ = write(&record, &Record { version: version(), view: view.clone() }, &stamps);
        Prepared { view, in_use: Some(in_use), doubt: None, not_gathered: None }
    }
}

impl View {
    /// Hands everything that a tree holds over to it; what stays is bound by itself, or executable outside the
    /// directories that hold nothing but programs.
    fn give(&mut self, tree: Tree) {
        let view = self.clone();
        let stays = |at: &PathBuf| !tree.holds(&view, at);
        let is_apart = |at: &PathBuf| !tree.whole().any(|dir| at.parent() == Some(dir));
        self.programs.retain(|at, _| stays(at) || is_apart(at));
        self.libraries.retain(|at, _| stays(at));
        // A locale of which the tree has an archive has no place there.
        let locale = Path::new(locale::DIRECTORY);
        if !under(&tree.root, locale).exists() {
            self.directories.remove(locale);
            self.data.remove(locale);
        }
        self.data.retain(|at, _| stays(at));
        self.links.retain(|at, _| stays(at));
        self.folders.clear();
        self.tree = Some(tree);
    }
}

fn recorded(path: &Path) -> Option<Prepared> {
    let mut text = fs::read(path).ok()?;
    let end = text.iter().position(|b| *b == b'\n')?;
    let stamps = text.split_off(end);
    let record: Record = serde_json::from_slice(&text).ok()?;
    let root = &record.view.tree.as_ref()?.root;
    let in_use = cache::in_use(root.parent()?, root.file_name()?.to_str()?)?;
    let doubt = Doubt { record: path.into(), stamps };
    let prepared =
        Prepared { view: record.view, in_use: Some(in_use), doubt: Some(doubt), not_gathered: None };
    (record.version == version()).then_some(prepared)
}

fn write(path: &Path, record: &Record, stamps: &[Stamp]) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    let mut text = serde_json::to_vec(record)?;
    for stamp in stamps {
        // A path with a line break makes the record one that never holds.
        text.push(b'\n');
        text.extend(stamp.line());
    }
    draft.write_all(&text)?;
    draft.persist(path)?;
    Ok(())
}

/// Everything whose change means that the view must be looked up again: the files, the directories in which a program or a
/// choice between programs may appear, and what the policy names or its programs need, there or not.
fn stamps(view: &View, policy: &Policy) -> Vec<Stamp> {
    let folders = view.folders.values().map(PathBuf::as_path);
    let files = view.binds().map(|(_, from, _)| from).chain(folders);
    let choices = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf.d"].map(Path::new);
    let named = policy.path.iter().chain(&policy.read).chain(&policy.run).map(PathBuf::as_path);
    let absent: Vec<PathBuf> =
        data::of_all(policy.commands.iter()).map(PathBuf::from).filter(|path| !path.exists()).collect();
    let absent = absent.iter().map(PathBuf::as_path);
    let paths: BTreeSet<&Path> = files.chain(named).chain(absent).chain(choices).collect();
    let mut eye = Eye::default();
    paths.into_iter().map(|path| Stamp::of(path, &mut eye)).collect()
}

/// Makes the tree of a view, unless it is there.
fn gather(view: &View, stamps: &[Stamp]) -> io::Result<(Tree, Use)> {
    let trees = cache::private(TREES)?;
    let store = cache::private(FILES)?;
    let parts = (version(), view, stamps, crate::plan::etc_files());
    let key = hex(&serde_json::to_vec(&parts)?);
    let root = trees.join(&key);
    let in_use = cache::made_once(&trees, &key, |draft| fill(draft, view, &store))?;
    // A top directory that is a link on the host is one in the sandbox; nothing was put there.
    let tops = TOPS.iter().filter(|top| root.join(top).is_dir()).map(|top| Path::new("/").join(top));
    let has_ahead = root.join(&SHELLS[1..]).join(AHEAD_NAME).exists();
    let tops: BTreeSet<PathBuf> = tops.collect();
    let code = code(view, &root, &tops)?;
    Ok((Tree { tops, code, root, has_ahead }, in_use))
}

/// Directories outside of PATH with several programs, where nothing else can be executed: one rule says so for all.
fn code(view: &View, root: &Path, tops: &BTreeSet<PathBuf>) -> io::Result<BTreeSet<PathBuf>> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    let usual = [PATH, SHELLS].map(Path::new);
    for dir in view.programs.keys().filter_map(|at| at.parent()) {
        if !usual.contains(&dir) && tops.iter().any(|top| dir.starts_with(top)) {
            *counts.entry(dir).or_default() += 1;
        }
    }
    let mut found = BTreeSet::new();
    for (dir, _) in counts.into_iter().filter(|(_, count)| *count > 1) {
        // What is bound by itself, here or above, is not in the tree.
        let mut apart = view.directories.iter().chain(&view.live);
        let is_whole = !apart.any(|at| at.starts_with(dir) || dir.starts_with(at));
        if is_whole && has_only_programs(view, root, dir)? {
            found.insert(dir.into());
        }
    }
    Ok(found)
}

/// Whether each file below `dir` of a tree that may be executed is a program of the view.
fn has_only_programs(view: &View, root: &Path, dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(under(root, dir))? {
        let entry = entry?;
        let (kind, at) = (entry.file_type()?, dir.join(entry.file_name()));
        let holds = if kind.is_dir() {
            has_only_programs(view, root, &at)?
        } else {
            let is_code = kind.is_file() && entry.metadata()?.permissions().mode() & 0o111 != 0;
            !is_code || view.programs.contains_key(&at) || view.loaders.contains_key(&at)
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts the files of a view into a directory.
fn fill(root: &Path, view: &View, store: &Path) -> io::Result<()> {
    fs::create_dir(root)?;
    let place = |at: &Path| under(root, at);
    let is_ours =
        |at: &Path| at.starts_with(DEV) || TOPS.iter().any(|top| at.starts_with(Path::new("/").join(top)));
    view.folders.keys().try_for_each(|at| fs::create_dir_all(place(at)))?;
    for (at, from, executable) in view.binds().filter(|(at, ..)| is_ours(at)) {
        let to = place(at);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if view.directories.contains(at) {
            fs::create_dir_all(&to)?;
        } else if view.live.contains(at) {
            fs::write(&to, "")?;
        } else {
            let is_listed = || at.parent().is_some_and(|dir| view.folders.contains_key(dir));
            let kind = match (view.loaders.contains_key(at), executable) {
                (true, _) => Kind::Loader,
                (_, true) => Kind::Program,
                _ if is_listed() => Kind::Exact,
                _ => Kind::Data,
            };
            let linked = stored(store, from, kind).and_then(|copy| fs::hard_link(copy, &to));
            linked.map_err(|e| io::Error::other(format!("{} as {}: {e}", from.display(), at.display())))?;
        }
    }
    for (link, target) in view.links.iter().filter(|(l, _)| l.parent() != Some(Path::new("/"))) {
        let to = place(link);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, to)?;
    }
    // A sandbox that made these itself would hold their files in memory of the kernel's.
    fs::create_dir_all(place(Path::new(SHM)))?;
    let dev = place(Path::new(DEV));
    DEVICES.iter().try_for_each(|name| fs::write(dev.join(name), ""))?;
    DEVICE_LINKS.iter().try_for_each(|(name, target)| symlink(target, dev.join(name)))?;
    for (at, content) in crate::plan::etc_files() {
        let to = place(Path::new(at));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, content)?;
    }
    if view.directories.contains(Path::new(locale::DIRECTORY)) {
        // Without it the directory is read. It never takes the place of one that the policy shows.
        if let Ok(archive) = locale::archive(Path::new(locale::DIRECTORY))
            && let Ok(mut file) = fs::File::create_new(place(Path::new(locale::ARCHIVE)))
        {
            file.write_all(&archive)?;
            let locale = Path::new(locale::DIRECTORY);
            if view.data.contains_key(locale) && !view.live.iter().any(|at| at.starts_with(locale)) {
                fs::remove_dir(place(locale))?;
            }
        }
    }
    let shells = place(Path::new(SHELLS));
    if shells.join("bash").exists() {
        let library = shells.join(AHEAD_NAME);
        fs::write(&library, AHEAD)?;
        if !loads(&shells.join("bash"), &library) {
            fs::remove_file(&library)?;
        }
    }
    Ok(())
}

/// Whether a bash loads the library, and runs it before its `main`: not one without a loader, or with another C library.
fn loads(bash: &Path, library: &Path) -> bool {
    let text = |text: &'static CStr| OsStr::from_bytes(text.to_bytes());
    let mut command = Command::new(bash);
    command.arg0(text(BASH_ON_TRIAL)).arg("-c").arg(text(BASH_FAILS));
    command.env_clear().env("LD_PRELOAD", library).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What becomes of a file when it is copied.
#[derive(Clone, Copy, PartialEq, Serialize)]
enum Kind {
    Data,
    Program,
    /// Data whose mode is copied too: git makes its repositories from such files.
    Exact,
    /// A program whose questions to the processor are answered by itself.
    Loader,
}

/// The copy of a host file in the cache; made unless it is there.
fn stored(store: &Path, from: &Path, kind: Kind) -> io::Result<PathBuf> {
    let stamp = Stamp::of(from, &mut Eye::default());
    let processor = (kind == Kind::Loader).then(loader::processor);
    let copy = store.join(hex(&serde_json::to_vec(&(VERSION, &stamp, kind, processor))?));
    if !copy.exists() {
        let draft = tempfile::NamedTempFile::new_in(store)?;
        copy_at_once(&mut fs::File::open(from)?, &mut draft.as_file())?;
        let mode = match kind {
            Kind::Data => 0o444,
            Kind::Program | Kind::Loader => 0o555,
            Kind::Exact => fs::metadata(from)?.permissions().mode() & 0o777,
        };
        fs::set_permissions(draft.path(), Permissions::from_mode(mode))?;
        let draft = if kind == Kind::Loader { loader::answering(store, from)? } else { None }
            .unwrap_or(draft.into_temp_path());
        if stamp != Stamp::of(from, &mut Eye::default()) {
            return Err(io::Error::other(format!("{} changed while it was copied", from.display())));
        }
        draft.persist(&copy)?;
    }
    Ok(copy)
}

/// Copies a file in few writes. What is written at once is memory in one piece, which the kernel maps and unmaps faster than
/// its pages one by one: a twentieth of what a short script costs.
fn copy_at_once(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    const AT_ONCE: u64 = 8 << 20;
    let mut bytes = Vec::new();
    while from.by_ref().take(AT_ONCE).read_to_end(&mut bytes)? > 0 {
        to.write_all(&bytes)?;
        bytes.clear();
    }
    Ok(())
}

/// What else a tree is made of: this code, the library, and the processor that its loader knows.
fn version() -> String {
    format!("{VERSION} {} {}", hex(AHEAD), loader::processor())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_of_programs_when_nothing_else_in_it_can_be_executed() {
        let tree = tempfile::tempdir().unwrap();
        let dir = Path::new("/usr/lib/parts");
        let here = under(tree.path(), dir);
        fs::create_dir_all(here.join("data")).unwrap();
        let put = |name: &str, mode: u32| {
            fs::write(here.join(name), "").unwrap();
            fs::set_permissions(here.join(name), Permissions::from_mode(mode)).unwrap();
        };
        put("one", 0o555);
        put("two", 0o555);
        put("data/text", 0o644);
        let mut view = View::default();
        view.programs.extend(["one", "two"].map(|name| (dir.join(name), PathBuf::from(name))));
        let tops: BTreeSet<PathBuf> = [PathBuf::from("/usr")].into();
        let found = |view: &View| code(view, tree.path(), &tops).unwrap();
        assert_eq!(found(&view), [dir.to_path_buf()].into());
        // A host directory that covers it, or a part of it, has other files.
        for at in ["/usr/lib", "/usr/lib/parts", "/usr/lib/parts/data"].map(PathBuf::from) {
            let live = View { live: [at.clone()].into(), ..view.clone() };
            assert_eq!(found(&live), BTreeSet::new(), "{}", at.display());
            let bound = View { directories: [at.clone()].into(), ..view.clone() };
            assert_eq!(found(&bound), BTreeSet::new(), "{}", at.display());
        }
        put("data/text", 0o755);
        assert_eq!(found(&view), BTreeSet::new());
    }
}
