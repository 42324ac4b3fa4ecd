//! The caller's own terminal: its mode, and writing to it without ever sleeping.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::termios::{OptionalActions, Termios};

/// The caller's terminal in raw mode; dropping it gives the terminal its former mode.
#[derive(Debug)]
pub(super) struct RawTerminal {
    former: Termios,
}

impl RawTerminal {
    /// Makes the terminal on standard input raw; none if standard input is something else.
    ///
    /// # Errors
    /// The errno of tcgetattr(3) or tcsetattr(3).
    pub(super) fn enter() -> Result<Option<Self>, Errno> {
        if !rustix::termios::isatty(rustix::stdio::stdin()) {
            return Ok(None);
        }
        let former = rustix::termios::tcgetattr(rustix::stdio::stdin())?;
        set_raw(&former)?;
        Ok(Some(Self { former }))
    }

    /// Makes it raw once more.
    pub(super) fn make_raw(&self) {
        if let Err(errno) = set_raw(&self.former) {
            log::debug!("make the caller's terminal raw: {errno}");
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let restored = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.former);
        if let Err(errno) = restored {
            log::warn!("restore the caller's terminal: {errno}");
        }
    }
}

fn set_raw(former: &Termios) -> Result<(), Errno> {
    let mut raw = former.clone();
    raw.make_raw();
    rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)
}

/// Standard output.
#[derive(Debug)]
pub(super) enum Screen {
    /// A pipe or device, opened once more for a file description of our own that does not block. The caller's stays
    /// as it is: other processes share it.
    Own(OwnedFd),
    /// A socket.
    Socket,
    /// A regular file, or a pipe that may not be opened again.
    Shared,
    /// It is broken; what comes is thrown away so that the program does not stall.
    Broken(OwnedFd),
}

impl Screen {
    /// Looks at standard output.
    pub(super) fn open() -> Self {
        let kind =
            rustix::fs::fstat(rustix::stdio::stdout()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Fifo | FileType::CharacterDevice) => reopen().map_or(Self::Shared, Self::Own),
            Ok(FileType::Socket) => Self::Socket,
            _ => Self::Shared,
        }
    }

    /// Writes as much of `output` as goes now and removes it there.
    pub(super) fn take(&mut self, output: &mut Vec<u8>) {
        let written = match self {
            Self::Own(fd) => rustix::io::write(fd, output),
            Self::Socket => {
                rustix::net::send(rustix::stdio::stdout(), output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
            // poll(2) has promised a page of room in a pipe.
            Self::Shared => rustix::io::write(rustix::stdio::stdout(), &output[..output.len().min(4096)]),
            Self::Broken(_) => Ok(output.len()),
        };
        match written {
            Ok(length) => drop(output.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => self.give_up(errno),
        }
    }

    fn give_up(&mut self, errno: Errno) {
        log::warn!("write the terminal's output to standard output: {errno}; the rest is thrown away");
        if let Ok(null) =
            rustix::fs::openat(CWD, "/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        {
            *self = Self::Broken(null);
        }
    }
}

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) | Self::Broken(fd) => fd.as_fd(),
            Self::Socket | Self::Shared => rustix::stdio::stdout(),
        }
    }
}

fn reopen() -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, "/proc/self/fd/1", flags, Mode::empty())
}
