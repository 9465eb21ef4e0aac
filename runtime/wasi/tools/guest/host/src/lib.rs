//! What a command asks of its host beyond WASI preview 1: to run another command, and the permission bits.
//!
//! Inside the module these are imports of `sbx`; compiled natively they are the system's, so that the commands can be
//! tested as ordinary programs.
#![deny(missing_docs)]
#![cfg_attr(target_os = "wasi", feature(wasi_ext))]

#[cfg(not(target_os = "wasi"))]
mod native;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(not(target_os = "wasi"))]
use native as here;
#[cfg(target_os = "wasi")]
use wasi as here;

use std::ffi::OsStr;
use std::io;
#[cfg(not(target_os = "wasi"))]
use std::os::unix::ffi::OsStrExt;
#[cfg(target_os = "wasi")]
use std::os::wasi::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// The device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Its bytes.
    pub size: u64,
    /// When its content was last written.
    pub modified: SystemTime,
    /// When it was last read.
    pub accessed: SystemTime,
    /// When it was last changed in any way.
    pub changed: SystemTime,
    /// Its kind and permission bits.
    pub mode: u32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// The blocks of 512 bytes that it takes.
    pub blocks: u64,
}

/// Returns a name's bytes.
pub fn bytes_of(name: &OsStr) -> &[u8] {
    name.as_bytes()
}

/// Returns bytes as a path.
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Returns what is known of a file, or of the link itself.
pub fn stat(path: &Path, follow: bool) -> io::Result<Stat> {
    here::stat(path, follow)
}

/// Returns an open file's number.
pub fn descriptor(file: &std::fs::File) -> u32 {
    here::descriptor(file)
}

/// Runs a command with the three given descriptors as its stdio and returns its status as `$?`, or `None` if there is no
/// such command.
pub fn spawn(argv: &[Vec<u8>], stdio: [u32; 3]) -> Option<i32> {
    here::spawn(argv, stdio)
}

/// Returns the permission bits of a path, 0 to 0o7777.
pub fn mode(path: &Path, follow: bool) -> io::Result<u32> {
    here::mode(path, follow)
}

/// Sets the permission bits of a path.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    here::set_mode(path, mode)
}

/// Makes a symbolic link at `link` that says `target`.
pub fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    here::make_symlink(target, link)
}

/// Makes another name for a file.
pub fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    here::hard_link(&whole(from)?, &whole(to)?)
}

fn whole(path: &Path) -> io::Result<std::path::PathBuf> {
    Ok(if path.is_absolute() { path.to_owned() } else { std::env::current_dir()?.join(path) })
}

/// Makes a pipe: the reading descriptor, the writing one.
pub fn pipe() -> io::Result<(u32, u32)> {
    here::pipe()
}

/// Returns a descriptor as a file that closes it when dropped.
pub fn file(descriptor: u32) -> std::fs::File {
    here::file(descriptor)
}
