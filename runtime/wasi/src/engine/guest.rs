//! What a running module has: its arguments, its descriptors, its share of the action's budget.

use super::budget::Budget;
use super::job::{Exit, Spawn};
use crate::fs::{Handle, Kind, Tree};
use rustix::io::Errno;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{Caller, Memory, ResourceLimiter};

/// Most descriptors that a module has open.
const MAX_FDS: usize = 1024;
/// Most elements of a module's tables.
const MAX_TABLE: usize = 1 << 20;
/// The descriptor of the root directory, through which a module reaches all files.
pub(super) const ROOT_FD: u32 = 3;

/// The state of one run.
pub(super) struct Guest {
    pub memory: Option<Memory>,
    pub argv: Vec<Vec<u8>>,
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub cwd: Vec<u8>,
    fds: Vec<Option<Fd>>,
    /// Descriptors beyond 2 that it was given.
    pub inherited: Vec<(u32, Handle)>,
    pub tree: Tree,
    pub budget: Budget,
    pub umask: u32,
    pub spawn: Option<Arc<dyn Spawn>>,
    pub started: Instant,
    /// How it ended, when the host ended it.
    pub exit: Option<Exit>,
    /// Memory that it took of the budget, in bytes.
    held: u64,
}

/// An open descriptor.
#[derive(Clone)]
pub(super) struct Fd {
    pub handle: Handle,
    /// `O_NONBLOCK` and the like, as they were set.
    pub flags: u16,
    /// What a directory held when it was first listed.
    pub listing: Option<Arc<Vec<(Vec<u8>, Kind)>>>,
}

/// Why a call gives no answer.
pub(super) enum Fault {
    /// The module is told.
    Errno(Errno),
    /// The module ends here.
    End(Exit),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        match errno {
            // Nothing else interrupts a call than the action's end.
            Errno::INTR => Fault::End(Exit::Signal(9)),
            errno => Fault::Errno(errno),
        }
    }
}

pub(super) type Answer<T = ()> = Result<T, Fault>;

impl Guest {
    pub(super) fn new(job: super::job::Job<'_>, root: Handle) -> Guest {
        let mut fds = vec![None, None, None, Some(Fd::new(root))];
        let mut inherited = Vec::new();
        for (number, handle) in job.fds {
            match fds.get_mut(number as usize) {
                Some(slot) if number < ROOT_FD => *slot = Some(Fd::new(handle)),
                _ => inherited.push((number, handle)),
            }
        }
        Guest {
            memory: None,
            argv: job.argv,
            env: job.env,
            cwd: job.cwd,
            fds,
            inherited,
            tree: job.tree.clone(),
            budget: job.budget.clone(),
            umask: job.umask,
            spawn: job.spawn,
            started: Instant::now(),
            exit: None,
            held: 0,
        }
    }

    pub(super) fn fd(&self, fd: u32) -> Answer<&Fd> {
        self.fds.get(fd as usize).and_then(Option::as_ref).ok_or(Fault::Errno(Errno::BADF))
    }

    pub(super) fn fd_mut(&mut self, fd: u32) -> Answer<&mut Fd> {
        self.fds.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Fault::Errno(Errno::BADF))
    }

    pub(super) fn handle(&self, fd: u32) -> Answer<&Handle> {
        Ok(&self.fd(fd)?.handle)
    }

    /// Gives something the lowest free number.
    pub(super) fn add_fd(&mut self, fd: Fd) -> Answer<u32> {
        let free = self.fds.iter().position(Option::is_none);
        let at = free.unwrap_or(self.fds.len());
        if at >= MAX_FDS {
            return Err(Fault::Errno(Errno::MFILE));
        }
        if at == self.fds.len() {
            self.fds.push(None);
        }
        self.fds[at] = Some(fd);
        Ok(at as u32)
    }

    pub(super) fn close(&mut self, fd: u32) -> Answer {
        let slot = self.fds.get_mut(fd as usize).filter(|slot| slot.is_some());
        *slot.ok_or(Fault::Errno(Errno::BADF))? = None;
        Ok(())
    }

    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Answer {
        self.fd(to)?;
        let moved = self.fd(from)?.clone();
        self.close(from)?;
        self.fds[to as usize] = Some(moved);
        Ok(())
    }

    /// The directory that a path is relative to.
    pub(super) fn base(&self, fd: u32) -> Answer<Vec<u8>> {
        let path = self.handle(fd)?.directory_path().ok_or(Fault::Errno(Errno::NOTDIR))?;
        Ok(path.to_vec())
    }

    /// The open file that a path such as `/dev/stdin` names.
    pub(super) fn named_fd(&self, base: &[u8], path: &[u8]) -> Option<Handle> {
        let path = if path.starts_with(b"/") { path.to_vec() } else { [base, path].join(&b'/') };
        let name = path.strip_prefix(b"/dev/").or_else(|| path.strip_prefix(b"//dev/"))?;
        let number = match name {
            b"stdin" => 0,
            b"stdout" => 1,
            b"stderr" => 2,
            _ => std::str::from_utf8(name.strip_prefix(b"fd/")?).ok()?.parse().ok()?,
        };
        if number < ROOT_FD {
            return self.handle(number).ok().cloned();
        }
        self.inherited.iter().find(|(n, _)| *n == number).map(|(_, handle)| handle.clone())
    }

    /// Ends the module when its action is over.
    pub(super) fn check(&self) -> Answer {
        self.budget.check().map_err(|_| Fault::End(Exit::Signal(9)))
    }
}

impl Fd {
    pub(super) fn new(handle: Handle) -> Fd {
        Fd { handle, flags: 0, listing: None }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.budget.give(self.held);
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, now: usize, then: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        if most.is_some_and(|most| then > most) {
            return Ok(false);
        }
        let more = then.saturating_sub(now) as u64;
        if self.budget.take(more) {
            self.held += more;
            return Ok(true);
        }
        // As the kernel does it: whoever asks for more than there is, is killed.
        self.exit = Some(Exit::Signal(9));
        Err(wasmtime::Error::msg("out of memory"))
    }

    fn table_growing(&mut self, _: usize, then: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        Ok(then <= MAX_TABLE && most.is_none_or(|most| then <= most))
    }
}

/// The module's memory, looked at within its bounds.
pub(super) struct Bytes<'a>(&'a mut [u8]);

/// The memory and the state of a module that called.
pub(super) fn enter<'a>(caller: &'a mut Caller<'_, Guest>) -> Answer<(Bytes<'a>, &'a mut Guest)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => {
            // A start function calls before the instance is known.
            let export = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
            export.ok_or(Fault::End(Exit::Signal(6)))?
        }
    };
    let (bytes, guest) = memory.data_and_store_mut(caller);
    Ok((Bytes(bytes), guest))
}

/// Turns an answer into what the module gets: a number, or its end.
pub(super) fn answer(caller: &mut Caller<'_, Guest>, answer: Answer) -> wasmtime::Result<u32> {
    match answer {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(super::wasi::types::errno(errno)),
        Err(Fault::End(exit)) => {
            caller.data_mut().exit = Some(exit);
            Err(wasmtime::Error::msg("ended"))
        }
    }
}

impl Bytes<'_> {
    pub(super) fn get(&self, at: u32, length: u32) -> Answer<&[u8]> {
        let end = (at as usize).checked_add(length as usize);
        end.and_then(|end| self.0.get(at as usize..end)).ok_or(Fault::Errno(Errno::FAULT))
    }

    pub(super) fn get_mut(&mut self, at: u32, length: u32) -> Answer<&mut [u8]> {
        let end = (at as usize).checked_add(length as usize);
        end.and_then(|end| self.0.get_mut(at as usize..end)).ok_or(Fault::Errno(Errno::FAULT))
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Answer {
        let length = u32::try_from(bytes.len()).map_err(|_| Fault::Errno(Errno::FAULT))?;
        self.get_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: u32, value: u32) -> Answer {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: u32, value: u64) -> Answer {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn u32(&self, at: u32) -> Answer<u32> {
        let bytes = self.get(at, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u64(&self, at: u32) -> Answer<u64> {
        let upper = at.checked_add(4).ok_or(Fault::Errno(Errno::FAULT))?;
        Ok(u64::from(self.u32(at)?) | u64::from(self.u32(upper)?) << 32)
    }

    /// The `n`th pair of pointer and length of a vector.
    pub(super) fn vector(&self, at: u32, n: u32) -> Answer<(u32, u32)> {
        let place =
            n.checked_mul(8).and_then(|skip| at.checked_add(skip)).ok_or(Fault::Errno(Errno::FAULT))?;
        let length = place.checked_add(4).ok_or(Fault::Errno(Errno::FAULT))?;
        Ok((self.u32(place)?, self.u32(length)?))
    }
}
