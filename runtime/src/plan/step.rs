//! One step of a plan, and how it reads.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

// Mount flags of mount(2); the attributes of mount_setattr(2) have the same values.
pub(super) const RDONLY: u64 = 1;
pub(super) const NOSUID: u64 = 2;
pub(super) const NODEV: u64 = 4;
pub(super) const NOEXEC: u64 = 8;

/// One operation of process 1. Paths are those of the host until [`Step::Enter`], under `/old` and `/new`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields say what they are; the variants are documented")]
pub enum Step {
    /// Covers `cover` with an empty root, a bounded tmpfs; the host is now `/old`, the view grows under `/new`.
    Base { cover: PathBuf, bytes: u64, inodes: u64 },
    /// Mounts a bounded tmpfs.
    Tmpfs { at: PathBuf, bytes: u64, inodes: u64, mode: u32, flags: u64 },
    /// Makes a directory and its parents.
    Mkdir { at: PathBuf, mode: u32 },
    /// Shows a host file or directory, by a descriptor opened without following links; `is_there` when its place need not
    /// be made.
    Bind { from: PathBuf, at: PathBuf, flags: u64, directory: bool, is_there: bool, optional: bool },
    /// Makes a symbolic link.
    Symlink { target: PathBuf, at: PathBuf },
    /// Makes a file.
    File { at: PathBuf, content: String },
    /// Mounts the workspace: `lower` is never written, changes go to `upper`.
    Overlay { at: PathBuf, lower: PathBuf, upper: PathBuf, work: PathBuf, flags: u64 },
    /// Mounts the sandbox's own /proc; without `full` only the directories of processes.
    Proc { at: PathBuf, optional: bool },
    /// Covers a file or directory of /proc, if it is there.
    Mask { at: PathBuf, directory: bool },
    /// Makes a mount read-only, or more.
    Attributes { at: PathBuf, flags: u64 },
    /// Hands a directory's descriptor to the library.
    Hand { dir: PathBuf },
    /// Makes the view the root and detaches the host.
    Enter,
    /// Writes a kernel setting of the new namespaces.
    Setting { file: PathBuf, value: String },
    /// Names the host.
    Hostname { name: String },
    /// Enters the empty network namespace that was made during the steps before.
    Network,
    /// Brings `lo` up.
    Loopback,
    /// Opens the proxy's port in the sandbox and hands it to the library.
    Listen {
        /// The port.
        port: u16,
    },
    /// Bounds a resource of every process.
    Limit { resource: &'static str, number: u32, value: u64 },
    /// Drops all capabilities from all sets, for good.
    Capabilities,
    /// Sets no_new_privs.
    NoNewPrivs,
    /// Makes a Landlock ruleset that handles these rights.
    Landlock { fs: u64, net: u64, scopes: u64 },
    /// Allows rights beneath a path.
    Rule { at: PathBuf, rights: u64 },
    /// Enforces the ruleset.
    Restrict,
    /// Enforces the system-call filter.
    Seccomp {
        #[serde(skip)]
        program: Vec<u8>,
        instructions: usize,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = |flags: u64| {
            let names = [(RDONLY, "ro"), (NOSUID, "nosuid"), (NODEV, "nodev"), (NOEXEC, "noexec")];
            names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, n)| *n).collect::<Vec<_>>().join(",")
        };
        match self {
            Step::Base { cover, bytes, .. } => {
                write!(f, "cover {} with an empty root of {bytes} bytes", cover.display())
            }
            Step::Tmpfs { at, bytes, flags, .. } => {
                write!(f, "tmpfs {} of {} bytes, {}", at.display(), bytes, attributes(*flags))
            }
            Step::Mkdir { at, .. } => write!(f, "mkdir {}", at.display()),
            Step::Bind { from, at, flags, .. } => {
                write!(f, "bind {} at {}, {}", from.display(), at.display(), attributes(*flags))
            }
            Step::Symlink { target, at } => write!(f, "link {} to {}", at.display(), target.display()),
            Step::File { at, .. } => write!(f, "file {}", at.display()),
            Step::Overlay { at, lower, flags, .. } => {
                write!(f, "overlay {} over {}, {}", at.display(), lower.display(), attributes(*flags))
            }
            Step::Proc { at, .. } => write!(f, "proc {}", at.display()),
            Step::Mask { at, .. } => write!(f, "mask {}", at.display()),
            Step::Attributes { at, flags } => write!(f, "make {} {}", at.display(), attributes(*flags)),
            Step::Hand { dir } => write!(f, "hand out {}", dir.display()),
            Step::Enter => f.write_str("enter the view, detach the host"),
            Step::Setting { file, value } => write!(f, "{} = {value}", file.display()),
            Step::Hostname { name } => write!(f, "hostname {name}"),
            Step::Network => f.write_str("enter an empty network"),
            Step::Loopback => f.write_str("lo up"),
            Step::Listen { port } => write!(f, "the proxy's port {port} on lo"),
            Step::Limit { resource, value, .. } => write!(f, "limit {resource} = {value}"),
            Step::Capabilities => f.write_str("drop all capabilities"),
            Step::NoNewPrivs => f.write_str("no new privileges"),
            Step::Landlock { fs, net, scopes } => {
                write!(f, "landlock handles fs {fs:#x}, net {net:#x}, scopes {scopes:#x}")
            }
            Step::Rule { at, rights } => write!(f, "landlock allows {rights:#x} beneath {}", at.display()),
            Step::Restrict => f.write_str("landlock on"),
            Step::Seccomp { instructions, .. } => write!(f, "seccomp on, {instructions} instructions"),
        }
    }
}
