//! What WASI does not have and the commands need: permission bits, and commands that start commands. Module `sbx`.

use crate::engine::guest::{Answer, Bytes, Fault, Fd, Guest};
use crate::engine::job::{Call, Exit};
use crate::fs::{Handle, pipe};
use rustix::io::Errno;

/// Longest list of arguments, in bytes, as on Linux.
const ARG_MAX: u32 = 2 << 20;

/// The arguments of a command: strings that each end in a NUL.
pub(super) fn arguments(bytes: &Bytes<'_>, at: u32, length: u32) -> Answer<Vec<Vec<u8>>> {
    if length > ARG_MAX {
        return Err(Errno::TOOBIG.into());
    }
    let text = bytes.get(at, length)?;
    let text = text.strip_suffix(b"\0").ok_or(Errno::INVAL)?;
    Ok(text.split(|b| *b == 0).map(<[u8]>::to_vec).collect())
}

/// The command that a module asks for, with the descriptors that it is to have.
pub(super) fn call(guest: &Guest, argv: Vec<Vec<u8>>, stdio: [u32; 3]) -> Call {
    // A descriptor that is not open is empty, as after `<&-`.
    let open = |fd| guest.handle(fd).cloned().unwrap_or_else(|_| Handle::null());
    let (env, cwd) = (guest.env.clone(), guest.cwd.clone());
    Call { argv, env, cwd, stdio: stdio.map(open), umask: guest.umask }
}

/// The status of a command as a module gets it: −1 when there is none of that name.
pub(super) fn status(guest: &Guest, call: Call) -> Answer<i32> {
    let status = guest.spawn.as_ref().and_then(|spawn| spawn.spawn(call));
    guest.budget.check().map_err(|_| Fault::End(Exit::Signal(9)))?;
    Ok(status.unwrap_or(-1))
}

pub(super) fn make_pipe(guest: &mut Guest, bytes: &mut Bytes<'_>, at: u32) -> Answer {
    let (read, write) = pipe();
    let read = guest.add_fd(Fd::new(read))?;
    let write = guest.add_fd(Fd::new(write))?;
    bytes.put_u32(at, read)?;
    bytes.put_u32(at.wrapping_add(4), write)
}

pub(super) fn chmod(
    guest: &mut Guest,
    bytes: &mut Bytes<'_>,
    path: u32,
    length: u32,
    mode: u32,
    follow: u32,
) -> Answer {
    Ok(guest.tree.set_mode(&guest.cwd, bytes.get(path, length)?, mode, follow != 0)?)
}

/// The permission bits of a path, or a negative error.
pub(super) fn mode(guest: &Guest, bytes: &Bytes<'_>, path: u32, length: u32, follow: u32) -> Answer<i32> {
    let path = bytes.get(path, length)?;
    let stat = match guest.named_fd(&guest.cwd, path) {
        Some(handle) => handle.stat(),
        None => guest.tree.stat(&guest.cwd, path, follow != 0)?,
    };
    Ok(stat.mode as i32)
}
