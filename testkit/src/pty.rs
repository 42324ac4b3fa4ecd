//! A real terminal for commands that run in the foreground, and a reader for the runtime's console.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::hang::GUARD;
use crate::process::wait_readable;

/// The controlling side of a terminal, with everything read so far.
#[derive(Debug)]
pub struct Terminal {
    fd: OwnedFd,
    seen: String,
}

/// Opens a new terminal; returns its controlling side and the side for the command.
///
/// # Panics
/// When the host has no devpts.
#[must_use]
pub fn open() -> (Terminal, OwnedFd) {
    let fd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&fd).unwrap();
    unlockpt(&fd).unwrap();
    let name = ptsname(&fd, Vec::new()).unwrap();
    let side =
        rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (Terminal::new(fd), side)
}

impl Terminal {
    /// Wraps the controlling side, as received over a console socket.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, seen: String::new() }
    }

    /// Types `text`.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn send(&self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::write(&self.fd, rest).unwrap();
            rest = &rest[written..];
        }
    }

    /// Reads until the output holds `text`; returns everything seen.
    ///
    /// # Panics
    /// When the terminal closes without it or the hang guard strikes.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            assert!(self.read_some(), "terminal closed without {text:?}: {:?}", self.seen);
        }
        self.seen.clone()
    }

    /// Reads to the end; returns everything seen.
    ///
    /// # Panics
    /// When the hang guard strikes.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        while self.read_some() {}
        self.seen.clone()
    }

    /// Forgets what was seen, so that the next [`Self::expect`] looks at new output only.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// Sets the window size; the foreground process group gets SIGWINCH.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.fd, size).unwrap();
    }

    #[track_caller]
    fn read_some(&mut self) -> bool {
        assert!(wait_readable(&self.fd, *GUARD), "hang guard: terminal silent after {:?}", self.seen);
        let mut bytes = [0_u8; 4096];
        match rustix::io::read(&self.fd, &mut bytes) {
            // EIO: the other side is closed.
            Ok(0) | Err(rustix::io::Errno::IO) => false,
            Ok(count) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
                true
            }
            Err(error) => panic!("read the terminal: {error}"),
        }
    }
}
