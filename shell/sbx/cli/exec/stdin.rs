//! Passes sbx's stdin to the action.

use sbx::Action;
use std::io::{self, IsTerminal, pipe};
use std::os::fd::{AsFd, OwnedFd};

/// Passes stdin on. A regular file goes through a pipe: its descriptor would give the action the file itself, through
/// `/proc/self/fd`.
pub fn pass(action: Action) -> io::Result<Action> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(action.stdin_from(stdin.as_fd().try_clone_to_owned()?));
    }
    let fd: OwnedFd = match stdin.as_fd().try_clone_to_owned() {
        Ok(fd) => fd,
        // Closed: nothing to read.
        Err(_) => return Ok(action),
    };
    if !std::fs::File::from(fd.try_clone()?).metadata()?.is_file() {
        return Ok(action.stdin_from(fd));
    }
    let (read, mut write) = pipe()?;
    std::thread::spawn(move || {
        // It ends with the action: then nobody reads, and the write fails.
        let _ = io::copy(&mut std::fs::File::from(fd), &mut write);
    });
    Ok(action.stdin_from(read.into()))
}
