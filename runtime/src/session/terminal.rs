//! A pseudo-terminal of the library's own: its end here, the other end in the sandbox.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcsetattr,
    tcsetwinsize,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Lines and columns, as SWE-agent's and most CI terminals have them.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
/// What Ctrl-C and Ctrl-\ send.
const INTERRUPT: u8 = 3;
const QUIT: u8 = 28;

/// The library's end of a pseudo-terminal that neither echoes nor changes line ends.
#[derive(Debug)]
pub(super) struct Terminal {
    ours: OwnedFd,
    modes: Termios,
}

impl Terminal {
    /// Makes a terminal; returns the end for the sandbox too.
    pub(super) fn open() -> io::Result<(Terminal, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let mut modes = tcgetattr(&theirs)?;
        modes.local_modes -= LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ECHOCTL;
        modes.local_modes |= LocalModes::ISIG | LocalModes::ICANON;
        modes.output_modes -= OutputModes::OPOST;
        modes.special_codes[SpecialCodeIndex::VINTR] = INTERRUPT;
        modes.special_codes[SpecialCodeIndex::VQUIT] = QUIT;
        tcsetwinsize(&theirs, SIZE)?;
        let terminal = Terminal { ours, modes };
        terminal.restore()?;
        fcntl_setfl(&terminal.ours, fcntl_getfl(&terminal.ours)? | OFlags::NONBLOCK)?;
        Ok((terminal, theirs))
    }

    /// Sets the modes again that a program may have changed.
    pub(super) fn restore(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.ours, OptionalActions::Now, &self.modes)?)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    /// Types something; what does not fit into the terminal's queue is dropped, as a terminal does.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.ours, bytes) {
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            other => Ok(other?),
        }
    }

    /// Ctrl-C: SIGINT for what runs in the foreground.
    pub(super) fn interrupt(&self) -> io::Result<()> {
        self.write(&[INTERRUPT]).map(drop)
    }

    /// Ctrl-\: SIGQUIT for what runs in the foreground.
    pub(super) fn quit(&self) -> io::Result<()> {
        self.write(&[QUIT]).map(drop)
    }
}
