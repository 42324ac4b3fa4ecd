//! Keys to the pseudo-terminal, its output to the caller's screen, neither ever waiting for the other.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Error;
use super::screen::{RawTerminal, Screen};

/// The caller's side of a terminal.
#[derive(Debug)]
pub(super) struct Caller {
    /// Where keys come from.
    pub(super) input: OwnedFd,
    /// Where output goes.
    pub(super) output: OwnedFd,
}

impl Caller {
    /// Standard input and output.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`.
    pub(super) fn standard() -> Result<Self, Errno> {
        let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
        Ok(Self { input: copy(rustix::stdio::stdin())?, output: copy(rustix::stdio::stdout())? })
    }
}

/// How much is held for a side that takes nothing, in bytes.
const BUFFER: usize = 16 << 10;

/// The most that is read from a terminal whose program has ended, in bytes. The kernel holds less than 100 KiB, so
/// this cuts only the output of survivors that go on writing.
const LAST_CALL: usize = 256 << 10;

/// How long to wait before looking again at a terminal that nobody in the container has open, in nanoseconds.
const HUNG_UP_NS: i64 = 100_000_000;

/// How long to wait in the background before looking again whether we are in the foreground, in seconds. bash sends
/// SIGCONT with `fg` only to a job that was stopped.
const BACKGROUND_S: i64 = 1;

/// Both directions of a terminal.
#[derive(Debug)]
pub(super) struct Relay {
    master: OwnedFd,
    input: OwnedFd,
    terminal: Option<RawTerminal>,
    screen: Screen,
    keys: Vec<u8>,
    output: Vec<u8>,
    source: Keys,
    peer: Peer,
}

/// What becomes of the caller's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// It is read.
    Read,
    /// We are in the background: reading goes on in the foreground.
    Background,
    /// It has ended.
    Ended,
}

/// What becomes of the other end of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Somebody has it open.
    Open,
    /// Nobody has; somebody may open it again, as a login program does.
    HungUp,
    /// The program has ended.
    Ended,
}

/// One thing to poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Keys,
    Master,
    Screen,
}

impl Relay {
    /// Makes the caller's terminal raw, if we are in its foreground, and gives the new one its size.
    ///
    /// # Errors
    /// [`Error::Prepare`].
    pub(super) fn new(master: OwnedFd, caller: Caller) -> Result<Self, Error> {
        let step = |step| move |source| Error::Prepare { step, source };
        let flags = rustix::fs::fcntl_getfl(&master).map_err(step("look at the terminal"))?;
        let nonblocking = flags | OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&master, nonblocking).map_err(step("make the terminal non-blocking"))?;
        let Caller { input, output } = caller;
        let terminal = RawTerminal::enter(&input).map_err(step("make the caller's terminal raw"))?;
        let relay = Self {
            master,
            input,
            terminal,
            screen: Screen::new(output),
            keys: Vec::new(),
            output: Vec::new(),
            source: Keys::Read,
            peer: Peer::Open,
        };
        relay.resize();
        Ok(relay)
    }

    /// Gives the new terminal the size of the caller's.
    pub(super) fn resize(&self) {
        let sizes = [rustix::termios::tcgetwinsize(&self.input), rustix::termios::tcgetwinsize(&self.screen)];
        if let Some(size) = sizes.into_iter().find_map(Result::ok)
            && let Err(errno) = rustix::termios::tcsetwinsize(&self.master, size)
        {
            log::debug!("resize the terminal: {errno}");
        }
    }

    /// Takes the caller's terminal again after the caller's shell has had it.
    pub(super) fn resume(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|terminal| terminal.is_ours())
            && let Err(errno) = terminal.make_raw()
        {
            log::debug!("make the caller's terminal raw: {errno}");
        }
        if self.source == Keys::Background {
            self.source = Keys::Read;
        }
        self.resize();
    }

    /// What to poll now; a side that could not be served is left out, as it would be ready for ever.
    pub(super) fn watched(&self) -> Vec<PollFd<'_>> {
        self.interests().into_iter().map(|(stream, events)| self.watch(stream, events)).collect()
    }

    fn watch(&self, stream: Stream, events: PollFlags) -> PollFd<'_> {
        match stream {
            Stream::Keys => PollFd::new(&self.input, events),
            Stream::Master => PollFd::new(&self.master, events),
            Stream::Screen => PollFd::new(&self.screen, events),
        }
    }

    fn interests(&self) -> Vec<(Stream, PollFlags)> {
        let mut interests = Vec::new();
        if self.source == Keys::Read && self.peer != Peer::Ended && self.keys.len() < BUFFER {
            interests.push((Stream::Keys, PollFlags::IN));
        }
        let mut master = PollFlags::empty();
        master.set(PollFlags::IN, self.output.len() < BUFFER);
        master.set(PollFlags::OUT, !self.keys.is_empty());
        if self.peer == Peer::Open && !master.is_empty() {
            interests.push((Stream::Master, master));
        }
        if !self.output.is_empty() {
            interests.push((Stream::Screen, PollFlags::OUT));
        }
        interests
    }

    /// When to call [`Relay::transfer`] though nothing is ready.
    pub(super) fn retry_after(&self) -> Option<Timespec> {
        match self.peer {
            Peer::HungUp => Some(Timespec { tv_sec: 0, tv_nsec: HUNG_UP_NS }),
            _ if self.waits_for_the_foreground() => Some(Timespec { tv_sec: BACKGROUND_S, tv_nsec: 0 }),
            _ => None,
        }
    }

    fn waits_for_the_foreground(&self) -> bool {
        self.source == Keys::Background
            || self.terminal.as_ref().is_some_and(|terminal| !terminal.was_made_raw())
    }

    /// Moves what can be moved; `ready` is what poll(2) said of [`Relay::watched`].
    pub(super) fn transfer(&mut self, ready: &[PollFlags]) {
        let interests = self.interests();
        let is_ready = |wanted: Stream| {
            interests.iter().zip(ready).any(|((stream, _), events)| *stream == wanted && !events.is_empty())
        };
        let (keys, master, screen) =
            (is_ready(Stream::Keys), is_ready(Stream::Master), is_ready(Stream::Screen));
        if keys {
            self.read_keys();
        }
        if master || self.peer == Peer::HungUp {
            self.write_keys();
            self.read_output(BUFFER);
        }
        if screen {
            self.screen.take(&mut self.output);
        }
        if self.waits_for_the_foreground() && self.terminal.as_ref().is_some_and(RawTerminal::is_ours) {
            self.resume();
        }
    }

    /// Reads all that a program which has just ended left in its terminal.
    ///
    /// Kernel: a read of the master flushes what the peer wrote before it says `EAGAIN` (`n_tty_read`), so this is
    /// all of it.
    pub(super) fn last_call(&mut self) {
        self.peer = Peer::Open;
        self.read_output(self.output.len() + LAST_CALL);
        self.peer = Peer::Ended;
    }

    /// Whether something is left for the screen.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    fn read_keys(&mut self) {
        let mut piece = [0_u8; 4096];
        match rustix::io::read(&self.input, &mut piece) {
            Ok(0) => self.source = Keys::Ended,
            Ok(length) => self.keys.extend_from_slice(&piece[..length]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Source: termios(3): EIO is a read from the background with SIGTTIN blocked.
            Err(Errno::IO) => self.source = Keys::Background,
            Err(errno) => {
                log::debug!("read the caller's keys: {errno}");
                self.source = Keys::Ended;
            }
        }
    }

    fn write_keys(&mut self) {
        while !self.keys.is_empty() {
            match rustix::io::write(&self.master, &self.keys) {
                Ok(written) => drop(self.keys.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.keys.clear(),
            }
        }
    }

    /// Source: pty(7): `EIO` while nobody has the peer open.
    fn read_output(&mut self, limit: usize) {
        let mut piece = [0_u8; 4096];
        while self.output.len() < limit {
            match rustix::io::read(&self.master, &mut piece) {
                Ok(length) if length > 0 => {
                    self.peer = Peer::Open;
                    self.output.extend_from_slice(&piece[..length]);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.peer = Peer::Open;
                    return;
                }
                _ => {
                    self.peer = Peer::HungUp;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
