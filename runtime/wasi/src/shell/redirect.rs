//! Redirections.

use super::parameter::Got;
use super::state::{Leave, Run, Shell};
use super::syntax::{Descriptor, How, Redirect, Word};
use crate::fs::{Handle, Kind, Open};
use std::sync::Arc;

/// First descriptor that `{name}>` gives.
const FIRST_NAMED: i32 = 10;
/// Highest descriptor.
const MAX_DESCRIPTOR: i32 = 1023;

impl Shell {
    /// Carries redirections out, one after the other. What fails is said.
    pub(super) fn redirect_all(&mut self, redirects: &[Redirect]) -> Run {
        redirects.iter().try_for_each(|redirect| self.redirect(redirect))
    }

    fn redirect(&mut self, redirect: &Redirect) -> Run {
        let default = match &redirect.how {
            How::Read(_) | How::ReadWrite(_) | How::DuplicateIn(_) | How::Here(_) | How::HereString(_) => 0,
            _ => 1,
        };
        let named = match &redirect.fd {
            Descriptor::Name(name) => Some(name),
            _ => None,
        };
        let fd = match &redirect.fd {
            Descriptor::Default => default,
            Descriptor::Number(n) => *n,
            Descriptor::Name(name) => {
                if let How::DuplicateOut(word) | How::DuplicateIn(word) = &redirect.how
                    && word.plain() == Some(b"-")
                {
                    let fd = match self.got_by_text(name)? {
                        Got::One(text) => std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()),
                        _ => None,
                    };
                    let Some(fd) = fd else {
                        self.complain_bytes(&[name, &b": ambiguous redirect"[..]].concat());
                        return Err(Leave::Discard);
                    };
                    Arc::make_mut(&mut self.descriptors).remove(&fd);
                    return Ok(());
                }
                let mut free = FIRST_NAMED;
                while self.descriptors.contains_key(&free) {
                    free += 1;
                }
                free
            }
        };
        if fd > MAX_DESCRIPTOR {
            self.complain(&format!("{fd}: Bad file descriptor"));
            return Err(Leave::Discard);
        }
        let handle = match &redirect.how {
            How::Read(target) => Some(self.open_target(target, Open::read())?),
            How::Write { target, clobber } => Some(self.open_target(target, self.creating(*clobber))?),
            How::Append(target) => Some(self.open_target(target, Open::append(0o666 & !self.umask))?),
            How::ReadWrite(target) => {
                let mode = 0o666 & !self.umask;
                let how = Open { read: true, write: true, create: true, mode, ..Open::default() };
                Some(self.open_target(target, how)?)
            }
            How::Both { target, append } => {
                let how = if *append { Open::append(0o666 & !self.umask) } else { self.creating(false) };
                let handle = self.open_target(target, how)?;
                Arc::make_mut(&mut self.descriptors).insert(2, handle.clone());
                Some(handle)
            }
            How::DuplicateIn(target) => self.duplicate(target, fd, false)?,
            How::DuplicateOut(target) => {
                let default = matches!(redirect.fd, Descriptor::Default);
                self.duplicate(target, fd, default)?
            }
            How::Here(body) => {
                let text = match body.get() {
                    Some(word) => self.heredoc(word)?,
                    None => Vec::new(),
                };
                Some(Handle::bytes(text))
            }
            How::HereString(word) => {
                let mut text = self.text(word)?;
                text.push(b'\n');
                Some(Handle::bytes(text))
            }
        };
        let descriptors = Arc::make_mut(&mut self.descriptors);
        match handle {
            Some(handle) => descriptors.insert(fd, handle),
            None => descriptors.remove(&fd),
        };
        if let Some(name) = named {
            self.set(name, fd.to_string().into_bytes(), false)?;
        }
        Ok(())
    }

    fn creating(&self, clobber: bool) -> Open {
        let mode = 0o666 & !self.umask;
        if self.options.noclobber && !clobber {
            return Open { write: true, create: true, exclusive: true, mode, ..Open::default() };
        }
        Open::create(mode)
    }

    /// `n>&m`; `None` closes.
    fn duplicate(&mut self, target: &Word, fd: i32, both: bool) -> Result<Option<Handle>, Leave> {
        let name = self.target(target)?;
        if name == b"-" {
            return Ok(None);
        }
        let (digits, moves) = match name.strip_suffix(b"-") {
            Some(digits) if !digits.is_empty() => (digits, true),
            _ => (&name[..], false),
        };
        let number = std::str::from_utf8(digits).ok().and_then(|s| s.parse::<i32>().ok());
        let Some(number) = number.filter(|_| digits.iter().all(u8::is_ascii_digit)) else {
            if both {
                // `>& file`
                let handle = self.open_path(&name, self.creating(false))?;
                Arc::make_mut(&mut self.descriptors).insert(2, handle.clone());
                return Ok(Some(handle));
            }
            self.complain_bytes(&[&name[..], b": ambiguous redirect"].concat());
            return Err(Leave::Discard);
        };
        let Some(handle) = self.descriptor(number) else {
            self.complain(&format!("{number}: Bad file descriptor"));
            return Err(Leave::Discard);
        };
        if moves && number != fd {
            Arc::make_mut(&mut self.descriptors).remove(&number);
        }
        Ok(Some(handle))
    }

    fn open_target(&mut self, target: &Word, how: Open) -> Result<Handle, Leave> {
        let name = self.target(target)?;
        self.open_path(&name, how)
    }

    fn open_path(&mut self, name: &[u8], how: Open) -> Result<Handle, Leave> {
        match self.open(name, how) {
            Ok(handle) => Ok(handle),
            Err(errno) => {
                let why = if errno == super::Errno::EXIST && how.exclusive {
                    "cannot overwrite existing file".to_string()
                } else {
                    super::message(errno)
                };
                self.complain_bytes(&[name, b": ", why.as_bytes()].concat());
                Err(Leave::Discard)
            }
        }
    }

    /// Opens a file, or what `/dev/fd/N`, `/dev/stdin` and so on are.
    pub(crate) fn open(&self, name: &[u8], how: Open) -> Result<Handle, super::Errno> {
        let number = match name {
            b"/dev/stdin" => Some(0),
            b"/dev/stdout" => Some(1),
            b"/dev/stderr" => Some(2),
            _ => name
                .strip_prefix(b"/dev/fd/")
                .or_else(|| name.strip_prefix(b"/proc/self/fd/"))
                .and_then(|n| std::str::from_utf8(n).ok()?.parse().ok()),
        };
        if let Some(number) = number {
            return self.descriptor(number).ok_or(super::Errno::NOENT);
        }
        if name.is_empty() {
            return Err(super::Errno::NOENT);
        }
        if how.exclusive
            && let Ok(stat) = self.world.tree.stat(&self.cwd, name, true)
            && stat.kind != Kind::File
        {
            // `set -C` keeps files, not devices.
            let how = Open { exclusive: false, create: false, ..how };
            return self.world.tree.open(&self.cwd, name, how);
        }
        let handle = self.world.tree.open(&self.cwd, name, how)?;
        if handle.stat().kind == Kind::Dir && how.write {
            return Err(super::Errno::ISDIR);
        }
        Ok(handle)
    }
}
