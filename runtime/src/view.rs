//! Which host files a policy's programs need: the programs, their loaders and libraries, and the data that they cannot do
//! without. What is not in the [`View`] does not exist in the sandbox.

mod data;
mod loader;
mod locale;
mod small;
mod stamp;
mod tree;

use crate::Policy;
use goblin::elf::Elf;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use tree::Tree;
pub(crate) use tree::{Doubt, Prepared, RecordId};

/// Largest program or library that is read to find what it needs.
const MAX_ELF_BYTES: u64 = 1 << 30;
/// Most interpreters in a row (`#!` of a script whose interpreter is a script…), as in the kernel.
const MAX_SCRIPT_DEPTH: usize = 4;

/// The host files that a policy's programs need, by where they appear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Programs: path in the sandbox → file of the host.
    pub programs: BTreeMap<PathBuf, PathBuf>,
    /// Loaders: executable, but not commands.
    pub loaders: BTreeMap<PathBuf, PathBuf>,
    /// Libraries, read only.
    pub libraries: BTreeMap<PathBuf, PathBuf>,
    /// Data files and directories, read only.
    pub data: BTreeMap<PathBuf, PathBuf>,
    /// Those of `data` that are directories.
    pub directories: BTreeSet<PathBuf>,
    /// Directories whose files are listed one by one: path in the sandbox → directory of the host.
    pub folders: BTreeMap<PathBuf, PathBuf>,
    /// Links: path in the sandbox → target.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Those of `data` that the policy names itself: shown as they are, never copied.
    pub live: BTreeSet<PathBuf>,
    /// Those of `data` whose programs may be executed.
    pub code: BTreeSet<PathBuf>,
    /// Names that the policy allows and this host does not have.
    pub absent: Vec<String>,
    /// The files gathered in one directory, where the cache allows that. The fields above then list the rest.
    pub tree: Option<Tree>,
}

/// Where bash and sh always are: the action itself is a bash script. The directory is not in `PATH`, so a policy that
/// does not allow `bash` answers "command not found" to it.
pub(crate) const SHELLS: &str = "/usr/libexec/sbx";
/// `PATH` of every action.
pub(crate) const PATH: &str = "/usr/bin";

impl View {
    /// Looks the policy's programs up on this host and follows what they need.
    pub fn resolve(policy: &Policy) -> View {
        let run = policy.run.iter().filter_map(|dir| fs::canonicalize(dir).ok()).collect();
        let mut finder = Finder { view: View::default(), seen: BTreeSet::new(), dirs: library_dirs(), run };
        finder.top_links();
        for shell in ["bash", "sh"] {
            if let Some(host) = find_program(&policy.path, shell) {
                finder.program(&Path::new(SHELLS).join(shell), &host, 0);
            }
        }
        for name in &policy.commands {
            match find_program(&policy.path, name).or_else(|| find_program(&policy.path, other_name(name)?)) {
                Some(host) => finder.program(&Path::new(PATH).join(name), &host, 0),
                // A builtin of bash needs no file.
                None if BUILTINS.contains(&name.as_str()) => {}
                None => finder.view.absent.push(name.clone()),
            }
            for path in data::parts_of(name) {
                finder.part(Path::new(path), Path::new(PATH).join(name).as_path());
            }
            for path in data::needed_by(name) {
                finder.data(Path::new(path));
            }
        }
        for path in data::ALWAYS {
            finder.data(Path::new(path));
        }
        for path in &policy.read {
            if let Some(at) = finder.data(path) {
                finder.view.live.insert(at);
            }
        }
        for path in &policy.run {
            if let Some(at) = finder.data(path) {
                finder.view.live.insert(at.clone());
                finder.view.code.insert(at);
            }
        }
        // A library that one program needs may be data of another, which asks for it by name.
        let View { data, libraries, live, .. } = &mut finder.view;
        data.retain(|at, _| live.contains(at) || !libraries.contains_key(at));
        finder.view
    }

    /// Every bound file and directory, in order of depth: path in the sandbox, host path, and whether it is executable.
    pub(crate) fn binds(&self) -> impl Iterator<Item = (&Path, &Path, bool)> {
        let exec =
            self.programs.iter().chain(&self.loaders).map(|(at, from)| (at.as_path(), from.as_path(), true));
        let read =
            self.data.iter().chain(&self.libraries).map(|(at, from)| (at.as_path(), from.as_path(), false));
        read.chain(exec)
    }
}

/// What a host without a program of this name calls it: agents type `python`, Debian has `python3`.
fn other_name(name: &str) -> Option<&'static str> {
    const OTHERS: [(&str, &str); 3] = [("python", "python3"), ("pip", "pip3"), ("nodejs", "node")];
    OTHERS.iter().find(|(asked, _)| *asked == name).map(|(_, other)| *other)
}

/// Names that bash answers itself.
pub const BUILTINS: [&str; 61] = [
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

struct Finder {
    view: View,
    /// Host files that were followed, so that each is read once.
    seen: BTreeSet<PathBuf>,
    dirs: Vec<PathBuf>,
    /// Directories whose programs are shown in their own place.
    run: Vec<PathBuf>,
}

impl Finder {
    /// `/bin → usr/bin` and its like, as on the host.
    fn top_links(&mut self) {
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let path = Path::new("/").join(name);
            if let Ok(target) = fs::read_link(&path) {
                // The shells are in /bin for `#!/bin/sh`; see `program`.
                if name != "bin" {
                    self.view.links.insert(path, target);
                }
            }
        }
    }

    fn program(&mut self, at: &Path, host: &Path, depth: usize) {
        let Ok(real) = fs::canonicalize(host) else { return };
        if self.run.iter().any(|dir| real.starts_with(dir)) {
            // A compiler looks for its parts from where it is.
            self.view.links.insert(at.into(), real.clone());
        } else {
            self.view.programs.insert(at.into(), real.clone());
        }
        // /bin is a directory of links, not a link: `#!/bin/sh` must work where `sh` is not a command.
        let name = at.file_name().unwrap_or_default();
        self.view.links.entry(Path::new("/bin").join(name)).or_insert_with(|| at.into());
        self.follow(&real, depth);
    }

    /// A program that is part of another one: it stays in its place, outside of PATH.
    fn part(&mut self, at: &Path, whole: &Path) {
        let Ok(real) = fs::canonicalize(at) else { return };
        if self.view.programs.get(whole) == Some(&real) {
            self.view.links.insert(at.into(), whole.into());
            return;
        }
        self.view.programs.insert(at.into(), real.clone());
        self.follow(&real, 0);
    }

    /// Adds what a program or library needs to be started.
    fn follow(&mut self, host: &Path, depth: usize) {
        if !self.seen.insert(host.into()) || depth > MAX_SCRIPT_DEPTH {
            return;
        }
        let Ok(bytes) = read_start(host) else { return };
        if bytes.starts_with(b"#!") {
            if let Some(interpreter) = interpreter(&bytes)
                && !matches!(
                    interpreter.to_str(),
                    Some("/bin/sh" | "/bin/bash" | "/usr/bin/sh" | "/usr/bin/bash")
                )
                && interpreter.is_absolute()
            {
                // The interpreter is needed by the kernel under this very path. `env` finds its own in PATH.
                self.program(&interpreter.clone(), &interpreter, depth + 1);
            }
            return;
        }
        self.elf(host, depth);
    }

    fn elf(&mut self, host: &Path, depth: usize) {
        let Ok(bytes) = read_bounded(host) else { return };
        let Ok(elf) = Elf::parse(&bytes) else { return };
        if let Some(loader) = elf.interpreter
            && let Ok(real) = fs::canonicalize(loader)
        {
            self.view.loaders.insert(self.in_view(Path::new(loader)), real);
        }
        let origin = host.parent().unwrap_or(Path::new("/"));
        let own: Vec<PathBuf> = elf
            .runpaths
            .iter()
            .chain(&elf.rpaths)
            .flat_map(|p| p.split(':'))
            .filter(|p| !p.is_empty())
            .map(|p| {
                PathBuf::from(
                    p.replace("$ORIGIN", &origin.to_string_lossy())
                        .replace("${ORIGIN}", &origin.to_string_lossy()),
                )
            })
            .collect();
        for name in &elf.libraries {
            let found = own.iter().chain(&self.dirs).map(|dir| dir.join(name)).find(|path| {
                fs::File::open(path).is_ok_and(|mut f| {
                    let mut class = [0; 5];
                    f.read_exact(&mut class).is_ok()
                        && class == [0x7f, b'E', b'L', b'F', if elf.is_64 { 2 } else { 1 }]
                })
            });
            let Some(found) = found else { continue };
            let Ok(real) = fs::canonicalize(&found) else { continue };
            // What is in a directory that is shown whole is in its place.
            if !self.run.iter().any(|dir| real.starts_with(dir)) {
                let at = self.in_view(&found);
                self.view.libraries.insert(at, real.clone());
            }
            self.follow(&real, depth);
        }
    }

    /// The path under the real top directory: `/lib/x` is `/usr/lib/x` where `/lib` is a link.
    fn in_view(&self, path: &Path) -> PathBuf {
        for (link, target) in &self.view.links {
            if let Ok(rest) = path.strip_prefix(link)
                && !link.starts_with("/bin")
            {
                return Path::new("/").join(target).join(rest);
            }
        }
        path.strip_prefix("/bin").map_or_else(|_| path.into(), |rest| Path::new("/usr/bin").join(rest))
    }

    /// Shows a file or directory; returns where.
    fn data(&mut self, path: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(path).ok()?;
        let at = self.in_view(path);
        // A parent that is bound already shows it; a child of what is bound now would be a mount under a mount.
        if !self.view.data.keys().any(|d| at.starts_with(d)) {
            self.view.data.retain(|d, _| !d.starts_with(&at));
            if real.is_dir() {
                self.view.directories.insert(at.clone());
            }
            self.view.data.insert(at.clone(), real);
        }
        Some(at)
    }
}

fn find_program(path: &[PathBuf], name: &str) -> Option<PathBuf> {
    path.iter()
        .map(|dir| dir.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(512).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_ELF_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn interpreter(start: &[u8]) -> Option<PathBuf> {
    let line = start.split(|b| *b == b'\n').next()?.strip_prefix(b"#!")?;
    let text = std::str::from_utf8(line).ok()?;
    text.split_whitespace().next().map(PathBuf::from)
}

/// Where the loader looks, in its order: `/etc/ld.so.conf` with its includes, then its own defaults (ld.so(8)).
fn library_dirs() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    let mut files = vec![PathBuf::from("/etc/ld.so.conf")];
    let mut read = BTreeSet::new();
    while let Some(file) = files.pop() {
        if !read.insert(file.clone()) || read.len() > 256 {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(pattern) = line.strip_prefix("include ") {
                let dir = Path::new(pattern.trim()).parent().unwrap_or(Path::new("/")).to_path_buf();
                let found = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
                let mut found: Vec<_> =
                    found.filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
                found.sort_by(|a, b| b.cmp(a));
                files.extend(found);
            } else if line.starts_with('/') {
                dirs.push(PathBuf::from(line));
            }
        }
    }
    dirs.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_its_loader_and_libraries() {
        let view = View::resolve(&Policy::preset("whitelist").unwrap());
        assert!(view.programs.contains_key(Path::new("/usr/bin/ls")), "{view:#?}");
        assert!(!view.loaders.is_empty());
        assert!(view.libraries.keys().any(|l| l.to_string_lossy().contains("libc.so")));
        assert!(!view.programs.contains_key(Path::new("/usr/bin/python3")));
    }

    #[test]
    fn a_shell_that_is_not_allowed_is_not_in_path() {
        let view = View::resolve(&Policy::preset("swe-zero").unwrap());
        assert!(!view.programs.contains_key(Path::new("/usr/bin/bash")));
        assert!(view.programs.contains_key(Path::new("/usr/libexec/sbx/bash")));
        assert_eq!(view.links[Path::new("/bin/sh")], Path::new("/usr/libexec/sbx/sh"));
    }

    #[test]
    fn a_name_that_the_host_does_not_have_is_listed() {
        let policy = Policy::parse("[commands]\nallow = [\"no-such-program\", \"ls\"]", "p.toml").unwrap();
        assert_eq!(View::resolve(&policy).absent, ["no-such-program"]);
    }

    #[test]
    fn builtins_are_sorted_and_unique() {
        assert!(BUILTINS.windows(2).all(|w| w[0] < w[1]));
    }
}
