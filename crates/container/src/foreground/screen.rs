//! The caller's own terminal: its mode, and writing to it without ever sleeping.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::termios::{OptionalActions, Termios};

/// The caller's terminal: raw while it is ours, that is, as long as we are in its foreground; dropping this gives it its
/// former mode.
///
/// With SIGTTOU blocked the kernel lets a background process change the mode under the hands of the shell that has the
/// terminal now. So nobody but we can forbid it.
#[derive(Debug)]
pub(super) struct RawTerminal {
    terminal: OwnedFd,
    /// None before it was raw.
    former: Option<Termios>,
}

impl RawTerminal {
    /// Makes the terminal behind `input` raw if it is ours; none if `input` is something else.
    ///
    /// # Errors
    /// The errno of tcgetattr(3) or tcsetattr(3).
    pub(super) fn enter(input: &OwnedFd) -> Result<Option<Self>, Errno> {
        if !rustix::termios::isatty(input) {
            return Ok(None);
        }
        let terminal = rustix::io::fcntl_dupfd_cloexec(input, 3)?;
        let mut terminal = Self { terminal, former: None };
        if terminal.is_ours() {
            terminal.make_raw()?;
        }
        Ok(Some(terminal))
    }

    /// Whether this process is in its foreground; also when it is no controlling terminal, which has no background.
    pub(super) fn is_ours(&self) -> bool {
        !rustix::termios::tcgetpgrp(&self.terminal).is_ok_and(|group| group != rustix::process::getpgrp())
    }

    /// Whether it has been made raw.
    pub(super) fn was_made_raw(&self) -> bool {
        self.former.is_some()
    }

    /// Makes it raw, once more if need be.
    ///
    /// # Errors
    /// The errno of tcgetattr(3) or tcsetattr(3).
    pub(super) fn make_raw(&mut self) -> Result<(), Errno> {
        let former = match self.former.take() {
            Some(former) => former,
            None => rustix::termios::tcgetattr(&self.terminal)?,
        };
        let mut raw = former.clone();
        raw.make_raw();
        self.former = Some(former);
        rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &raw)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let Some(former) = self.former.as_ref().filter(|_| self.is_ours()) else { return };
        if let Err(errno) = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, former) {
            log::warn!("restore the caller's terminal: {errno}");
        }
    }
}

/// Where output goes.
#[derive(Debug)]
pub(super) struct Screen {
    fd: OwnedFd,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A pipe or device, opened once more for a file description of our own that does not block. The caller's stays
    /// as it is: other processes share it.
    Own,
    /// A socket.
    Socket,
    /// A regular file, or a pipe that may not be opened again.
    Shared,
    /// It is broken; what comes is thrown away so that the program does not stall.
    Broken,
}

impl Screen {
    /// Looks at what `output` is.
    pub(super) fn new(output: OwnedFd) -> Self {
        let kind = rustix::fs::fstat(&output).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Socket) => Self { fd: output, kind: Kind::Socket },
            Ok(FileType::Fifo | FileType::CharacterDevice) => match reopen(&output) {
                Ok(fd) => Self { fd, kind: Kind::Own },
                Err(_) => Self { fd: output, kind: Kind::Shared },
            },
            _ => Self { fd: output, kind: Kind::Shared },
        }
    }

    /// Writes as much of `output` as goes now and removes it there.
    pub(super) fn take(&mut self, output: &mut Vec<u8>) {
        let written = match self.kind {
            Kind::Own => rustix::io::write(&self.fd, output),
            Kind::Socket => rustix::net::send(&self.fd, output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            // poll(2) has promised a page of room in a pipe.
            Kind::Shared => rustix::io::write(&self.fd, &output[..output.len().min(4096)]),
            Kind::Broken => Ok(output.len()),
        };
        match written {
            Ok(length) => drop(output.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => {
                log::warn!("write the terminal's output: {errno}; the rest is thrown away");
                self.kind = Kind::Broken;
            }
        }
    }
}

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Kernel: opening a descriptor's link in `/proc` makes a new file description of the same pipe or device.
fn reopen(output: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, format!("/proc/self/fd/{}", output.as_raw_fd()), flags, Mode::empty())
}
