//! What a command asks of its host beyond WASI preview 1: to run another command, and the permission bits.
//!
//! Inside the module these are imports of `sbx`; compiled natively they are the system's, so that the commands can be
//! tested as ordinary programs.
#![cfg_attr(target_os = "wasi", feature(wasi_ext))]

#[cfg(not(target_os = "wasi"))]
mod native;
#[cfg(target_os = "wasi")]
mod wasi;

#[cfg(not(target_os = "wasi"))]
use native as here;
#[cfg(target_os = "wasi")]
use wasi as here;

pub use here::{Stat, bytes_of, descriptor, path_of, stat};
use std::io;
use std::path::Path;

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
    here::symlink_impl(target, link)
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
