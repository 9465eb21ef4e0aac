//! An open file: of the tree, a pipe's end, a device, or a buffer of the caller's.

use super::capture;
use super::fifo;
use super::file::File;
use super::pipe::{self, Reader, Writer};
use super::terminal::Terminal;
use super::{Kind, Stat};
use crate::engine::budget::{Budget, SLICE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::SeekFrom;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// An open file. Clones share the offset, as descriptors that were duplicated do.
///
/// ```
/// use sbx_wasi::{Budget, Handle};
/// let budget = Budget::new(std::time::Duration::from_secs(1), 0, 1);
/// let input = Handle::bytes(b"abc".to_vec());
/// let mut buffer = [0; 2];
/// assert_eq!(input.read(&mut buffer, &budget), Ok(2));
/// assert_eq!(input.clone().read(&mut buffer, &budget), Ok(1));
/// ```
#[derive(Clone, Debug)]
pub struct Handle(Arc<What>);

#[derive(Debug)]
enum What {
    Null,
    Zero,
    Full,
    Random,
    Bytes { bytes: Vec<u8>, at: Mutex<usize> },
    File(Open),
    Read(Reader),
    Write(Writer),
    Capture(Arc<capture::Inner>),
    Host(OwnedFd),
    Terminal(Terminal),
    Fifo(fifo::End),
    Directory(Vec<u8>),
}

/// An open regular file.
#[derive(Debug)]
struct Open {
    file: Arc<File>,
    at: Mutex<u64>,
    reads: bool,
    writes: bool,
    appends: bool,
    /// Held so that the lower file is opened once.
    _lower: Option<Arc<OwnedFd>>,
}

/// Makes a pipe: the end that reads, and the end that writes. It holds 256 KiB. When the last clone of the writing end is
/// gone, the reader comes to the end; without a reader, a write is `EPIPE`.
pub fn pipe() -> (Handle, Handle) {
    let (reader, writer) = pipe::pipe();
    (Handle::of(What::Read(reader)), Handle::of(What::Write(writer)))
}

impl Handle {
    fn of(what: What) -> Handle {
        Handle(Arc::new(what))
    }

    /// `/dev/null`.
    pub fn null() -> Handle {
        Handle::of(What::Null)
    }

    /// Something to read these bytes from.
    pub fn bytes(bytes: Vec<u8>) -> Handle {
        Handle::of(What::Bytes { bytes, at: Mutex::new(0) })
    }

    /// A descriptor of the caller's: a terminal, pipe or file that he grants.
    pub fn host(fd: OwnedFd) -> Handle {
        Handle::of(What::Host(fd))
    }

    pub(super) fn capture(inner: Arc<capture::Inner>) -> Handle {
        Handle::of(What::Capture(inner))
    }

    pub(super) fn fifo(end: fifo::End) -> Handle {
        Handle::of(What::Fifo(end))
    }

    pub(super) fn terminal(terminal: Terminal) -> Handle {
        Handle::of(What::Terminal(terminal))
    }

    pub(super) fn device(kind: Kind) -> Option<Handle> {
        Some(Handle::of(match kind {
            Kind::Null => What::Null,
            Kind::Zero => What::Zero,
            Kind::Full => What::Full,
            Kind::Random => What::Random,
            _ => return None,
        }))
    }

    pub(crate) fn directory(path: Vec<u8>) -> Handle {
        Handle::of(What::Directory(path))
    }

    pub(super) fn file(file: Arc<File>, reads: bool, writes: bool, appends: bool) -> Result<Handle, Errno> {
        let lower = file.hold()?;
        let open = Open { file, at: Mutex::new(0), reads, writes, appends, _lower: lower };
        Ok(Handle::of(What::File(open)))
    }

    /// Reads; 0 at the end. `EINTR` when the action was stopped meanwhile.
    ///
    /// # Errors
    /// As `read(2)`.
    pub fn read(&self, into: &mut [u8], budget: &Budget) -> Result<usize, Errno> {
        match &*self.0 {
            What::Null => Ok(0),
            What::Zero | What::Full => {
                into.fill(0);
                Ok(into.len())
            }
            What::Random => random(into),
            What::Bytes { bytes, at } => {
                let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
                let n = into.len().min(bytes.len() - *at);
                into[..n].copy_from_slice(&bytes[*at..*at + n]);
                *at += n;
                Ok(n)
            }
            What::File(open) if open.reads => {
                let mut at = open.at.lock().unwrap_or_else(PoisonError::into_inner);
                let n = open.file.read_at(*at, into)?;
                *at += n as u64;
                Ok(n)
            }
            What::Read(reader) => reader.read(into, budget),
            What::Terminal(terminal) => terminal.read(into, budget),
            What::Fifo(end) if end.reads => end.read(into, budget),
            What::Host(fd) => {
                wait(fd, PollFlags::IN, budget)?;
                rustix::io::read(fd, into)
            }
            What::Directory(_) => Err(Errno::ISDIR),
            What::File(_) | What::Write(_) | What::Capture(_) | What::Fifo(_) => Err(Errno::BADF),
        }
    }

    /// Writes all, unless room runs out. `EPIPE` when nobody reads; `EINTR` when the action was stopped meanwhile.
    ///
    /// # Errors
    /// As `write(2)`.
    pub fn write(&self, from: &[u8], budget: &Budget) -> Result<usize, Errno> {
        match &*self.0 {
            What::Null | What::Zero | What::Random => Ok(from.len()),
            What::Full => Err(Errno::NOSPC),
            What::File(open) if open.writes => {
                let mut at = open.at.lock().unwrap_or_else(PoisonError::into_inner);
                if open.appends {
                    *at = open.file.append(from)?;
                    return Ok(from.len());
                }
                let n = open.file.write_at(*at, from)?;
                *at += n as u64;
                Ok(n)
            }
            What::Write(writer) => writer.write(from, budget),
            What::Capture(capture) => capture.write(from, budget),
            What::Terminal(terminal) => terminal.write(from, budget),
            What::Fifo(end) if end.writes => end.write(from, budget),
            What::Host(fd) => {
                wait(fd, PollFlags::OUT, budget)?;
                // So much goes into a pipe that is ready, without waiting for whoever reads it.
                rustix::io::write(fd, &from[..from.len().min(PIPE_BUF)])
            }
            What::Directory(_) => Err(Errno::ISDIR),
            What::File(_) | What::Bytes { .. } | What::Read(_) | What::Fifo(_) => Err(Errno::BADF),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As [`Handle::write`]; `ENOSPC` when room ran out.
    pub fn write_all(&self, mut from: &[u8], budget: &Budget) -> Result<(), Errno> {
        while !from.is_empty() {
            match self.write(from, budget)? {
                0 => return Err(Errno::NOSPC),
                n => from = &from[n..],
            }
        }
        Ok(())
    }

    /// Reads at an offset of a file.
    ///
    /// # Errors
    /// `ESPIPE` when it is none.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        match &*self.0 {
            What::File(open) if open.reads => open.file.read_at(at, into),
            What::File(_) => Err(Errno::BADF),
            What::Directory(_) => Err(Errno::ISDIR),
            _ => Err(Errno::SPIPE),
        }
    }

    /// Writes at an offset of a file.
    ///
    /// # Errors
    /// `ESPIPE` when it is none; else as `pwrite(2)`.
    pub fn write_at(&self, at: u64, from: &[u8]) -> Result<usize, Errno> {
        match &*self.0 {
            What::File(open) if open.writes => open.file.write_at(at, from),
            What::File(_) => Err(Errno::BADF),
            _ => Err(Errno::SPIPE),
        }
    }

    /// Sets the offset of a file, and returns it.
    ///
    /// # Errors
    /// `ESPIPE` when it has none, `EINVAL` when it would lie before the beginning.
    pub fn seek(&self, to: SeekFrom) -> Result<u64, Errno> {
        let place = |at: u64, end: u64| -> Result<u64, Errno> {
            let (base, offset) = match to {
                SeekFrom::Start(to) => return i64::try_from(to).map(|_| to).map_err(|_| Errno::INVAL),
                SeekFrom::Current(offset) => (at, offset),
                SeekFrom::End(offset) => (end, offset),
            };
            let to = base.checked_add_signed(offset).ok_or(Errno::INVAL)?;
            i64::try_from(to).map(|_| to).map_err(|_| Errno::OVERFLOW)
        };
        match &*self.0 {
            What::File(open) => {
                let mut at = open.at.lock().unwrap_or_else(PoisonError::into_inner);
                *at = place(*at, open.file.size())?;
                Ok(*at)
            }
            What::Bytes { .. }
            | What::Read(_)
            | What::Write(_)
            | What::Capture(_)
            | What::Host(_)
            | What::Terminal(_)
            | What::Fifo(_) => Err(Errno::SPIPE),
            What::Directory(_) => Err(Errno::ISDIR),
            What::Null | What::Zero | What::Full | What::Random => Ok(0),
        }
    }

    /// Cuts a file off, or lengthens it.
    ///
    /// # Errors
    /// `EINVAL` when it is not a file that was opened for writing.
    pub fn set_len(&self, length: u64) -> Result<(), Errno> {
        match &*self.0 {
            What::File(open) if open.writes => open.file.set_len(length),
            _ => Err(Errno::INVAL),
        }
    }

    /// What is known of the file.
    pub fn stat(&self) -> Stat {
        match &*self.0 {
            What::File(open) => Stat::of(Kind::File, &open.file.meta(), open.file.size()),
            What::Null => Stat::device(Kind::Null),
            What::Zero => Stat::device(Kind::Zero),
            What::Full => Stat::device(Kind::Full),
            What::Random => Stat::device(Kind::Random),
            What::Directory(_) => Stat::device(Kind::Dir),
            What::Terminal(_) => Stat::device(Kind::Tty),
            What::Host(_) if self.is_tty() => Stat::device(Kind::Tty),
            What::Bytes { .. }
            | What::Read(_)
            | What::Write(_)
            | What::Capture(_)
            | What::Fifo(_)
            | What::Host(_) => Stat::device(Kind::Fifo),
        }
    }

    /// What it is.
    pub(crate) fn stat_kind(&self) -> Kind {
        match &*self.0 {
            What::File(_) => Kind::File,
            What::Read(_) | What::Write(_) | What::Bytes { .. } | What::Capture(_) => Kind::Fifo,
            _ => self.stat().kind,
        }
    }

    /// Changes times of the file; `None` leaves one.
    pub(crate) fn set_times(
        &self,
        atime: Option<std::time::SystemTime>,
        mtime: Option<std::time::SystemTime>,
    ) -> Result<(), Errno> {
        match &*self.0 {
            What::File(open) => open.file.edit_meta(|meta| {
                meta.atime = atime.unwrap_or(meta.atime);
                meta.mtime = mtime.unwrap_or(meta.mtime);
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is a terminal: a session's, or a descriptor of the caller's.
    pub fn is_tty(&self) -> bool {
        match &*self.0 {
            What::Terminal(_) => true,
            What::Host(fd) => rustix::termios::isatty(fd),
            _ => false,
        }
    }

    /// Whether it can be read, and whether it can be written.
    pub fn access(&self) -> (bool, bool) {
        match &*self.0 {
            What::Null | What::Zero | What::Full | What::Random | What::Host(_) | What::Terminal(_) => {
                (true, true)
            }
            What::Bytes { .. } | What::Read(_) | What::Directory(_) => (true, false),
            What::File(open) => (open.reads, open.writes),
            What::Fifo(end) => (end.reads, end.writes),
            What::Write(_) | What::Capture(_) => (false, true),
        }
    }

    /// Whether each write goes to the end.
    pub(crate) fn appends(&self) -> bool {
        matches!(&*self.0, What::File(open) if open.appends)
    }

    /// The path of a directory.
    pub(crate) fn directory_path(&self) -> Option<&[u8]> {
        match &*self.0 {
            What::Directory(path) => Some(path),
            _ => None,
        }
    }

    /// Whether a read or a write would not wait.
    pub(crate) fn is_ready(&self, to_write: bool) -> bool {
        match &*self.0 {
            What::Read(reader) => reader.is_ready(),
            What::Write(writer) => writer.is_ready(),
            What::Terminal(terminal) => to_write || terminal.is_readable(),
            What::Fifo(end) => end.is_ready(to_write),
            What::Host(fd) => {
                let flags = if to_write { PollFlags::OUT } else { PollFlags::IN };
                poll(&mut [PollFd::new(fd, flags)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
                    .is_ok_and(|n| n > 0)
            }
            _ => true,
        }
    }

    /// Whether both are the same open file.
    pub fn is_same(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Bytes that a pipe which is ready takes at once; see `pipe(7)`.
const PIPE_BUF: usize = 4096;

/// Waits until a descriptor of the caller's is ready, or the action was stopped.
fn wait(fd: &OwnedFd, flags: PollFlags, budget: &Budget) -> Result<(), Errno> {
    let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(SLICE.subsec_nanos()) };
    loop {
        match poll(&mut [PollFd::new(fd, flags)], Some(&slice)) {
            Ok(0) => budget.check().map_err(|_| Errno::INTR)?,
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Random bytes of the host's kernel.
pub(crate) fn random(into: &mut [u8]) -> Result<usize, Errno> {
    // The system call itself: a confined thread opens no device, and getrandom(3) is not always found.
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_pipe_ends_with_the_last_clone_of_its_writer() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let (reader, writer) = pipe();
        let second = writer.clone();
        drop(writer);
        assert!(!reader.is_ready(false));
        second.write(b"x", &budget).unwrap();
        drop(second);
        let mut buffer = [0; 4];
        assert_eq!(reader.read(&mut buffer, &budget), Ok(1));
        assert_eq!(reader.read(&mut buffer, &budget), Ok(0));
    }

    #[test]
    fn devices_do_what_their_names_say() {
        let budget = Budget::new(Duration::from_secs(600), 0, 1);
        let device = |kind| Handle::device(kind).unwrap();
        assert_eq!(device(Kind::Full).write(b"x", &budget), Err(Errno::NOSPC));
        assert_eq!(device(Kind::Null).read(&mut [1], &budget), Ok(0));
        let mut bytes = [0; 32];
        device(Kind::Random).read(&mut bytes, &budget).unwrap();
        assert_ne!(bytes, [0; 32]);
        device(Kind::Zero).read(&mut bytes, &budget).unwrap();
        assert_eq!(bytes, [0; 32]);
    }
}
