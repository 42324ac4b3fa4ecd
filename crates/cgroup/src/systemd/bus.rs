//! The connection to a bus: bytes out, messages in, never beyond the deadline.
//!
//! **Invariant**: the socket never blocks; each wait is a `poll(2)` that ends with the deadline.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::Serialize;
use zbus::Type;

use super::message::{self, Call, Extent, Kind, Message, PREFIX};
use super::{Address, Error};

/// How long a conversation may take: more than systemd needs on a busy machine, less than a caller's patience.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Signals that are kept while an answer is awaited; more than that are of no use to anybody here.
const MOST_SIGNALS: usize = 1024;

/// An authenticated connection.
#[derive(Debug)]
pub(super) struct Bus {
    socket: OwnedFd,
    address: Address,
    clock: Clock,
    serial: u32,
    unread: Vec<u8>,
    /// How many of the next bytes belong to a message that is not read.
    skipped: usize,
    signals: VecDeque<Message>,
}

/// When a conversation began, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    begun: Instant,
    limit: Duration,
}

impl Clock {
    pub(super) fn new(limit: Duration) -> Self {
        Self { begun: Instant::now(), limit }
    }

    pub(super) fn waited(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.waited())
    }

    /// A short sleep before something is tried again.
    pub(super) fn pause(&self) {
        std::thread::sleep(Duration::from_millis(20).min(self.left()));
    }
}

/// What came within a span of time.
enum Filled {
    More,
    Nothing,
    End,
}

impl Bus {
    /// Connects and says who we are.
    ///
    /// The credentials of the socket are what counts, so that no user id is told: in a user namespace ours would not be
    /// the bus's. Source: the D-Bus specification, "EXTERNAL".
    pub(super) fn connect(address: &Address, clock: Clock) -> Result<Self, Error> {
        let socket = socket(address, clock)?;
        let (unread, signals) = (Vec::new(), VecDeque::new());
        let mut bus =
            Self { socket, address: address.clone(), clock, serial: 0, unread, skipped: 0, signals };
        bus.authenticate()?;
        Ok(bus)
    }

    /// All in one piece. systemd at its own socket lets a call that comes along with `BEGIN` lie until more comes, which
    /// it never does (sd-bus looks at the socket, not at what it has read of it); after the answer to this piece it is
    /// done with `BEGIN`. A refusal is the answer to the first line.
    fn authenticate(&mut self) -> Result<(), Error> {
        const STEP: &str = "log in to the bus";
        self.send(STEP, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        loop {
            let line = self.line(STEP)?;
            if line.starts_with("OK") {
                return Ok(());
            }
            if !line.starts_with("DATA") {
                return Err(Error::Authentication {
                    address: self.address.as_str().to_owned(),
                    answer: line,
                });
            }
        }
    }

    fn line(&mut self, step: &str) -> Result<String, Error> {
        const LONGEST: usize = 1 << 12;
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.unread.len() > LONGEST {
                return Err(malformed(step, "it is no line"));
            }
            self.fill(step)?;
        }
    }

    /// Calls a method and waits for its answer. Signals that come first are kept for [`Bus::signal`].
    pub(super) fn call<B: Serialize + Type>(
        &mut self,
        step: &str,
        call: Call<'_>,
        arguments: &B,
    ) -> Result<Message, Error> {
        self.serial += 1;
        let serial = self.serial;
        let bytes =
            message::encode(serial, call, arguments).map_err(|error| malformed(step, error.to_string()))?;
        self.send(step, &bytes)?;
        loop {
            let message = self.next(step)?;
            match &message.kind {
                Kind::Return(to) if *to == serial => return Ok(message),
                Kind::Refusal(to, name) if *to == serial => return Err(refused(step, name, &message)),
                Kind::Signal(_) if self.signals.len() < MOST_SIGNALS => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    /// The next signal; none when none comes for this long.
    pub(super) fn signal(&mut self, step: &str, patience: Duration) -> Result<Option<Message>, Error> {
        let until = Instant::now() + patience;
        loop {
            if let Some(signal) = self.signals.pop_front() {
                return Ok(Some(signal));
            }
            if let Some(message) = self.whole(step)? {
                if matches!(message.kind, Kind::Signal(_)) {
                    return Ok(Some(message));
                }
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.fill_within(step, left.min(self.clock.left()))? {
                Filled::More => {}
                Filled::Nothing => return Ok(None),
                Filled::End => return Err(self.lost(step)),
            }
        }
    }

    /// Whether a signal is here that nobody has looked at.
    pub(super) fn has_signals(&self) -> bool {
        !self.signals.is_empty()
    }

    fn next(&mut self, step: &str) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.whole(step)? {
                return Ok(message);
            }
            self.fill(step)?;
        }
    }

    /// Takes a message from what was read, if all of it is there.
    fn whole(&mut self, step: &str) -> Result<Option<Message>, Error> {
        self.skip();
        let Some(prefix) = self.unread.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = match message::extent(prefix).map_err(|reason| malformed(step, reason))? {
            Extent::Read(length) => length,
            Extent::Skip(length) => {
                self.skipped = length;
                return self.whole(step);
            }
        };
        if self.unread.len() < length {
            return Ok(None);
        }
        let bytes: Vec<u8> = self.unread.drain(..length).collect();
        Message::decode(&bytes).map(Some).map_err(|reason| malformed(step, reason))
    }

    fn skip(&mut self) {
        let count = self.skipped.min(self.unread.len());
        self.unread.drain(..count);
        self.skipped -= count;
    }

    fn send(&mut self, step: &str, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.wait(PollFlags::OUT, self.clock.left()) => {}
                Err(Errno::AGAIN) => return Err(self.silent(step)),
                Err(_) => return Err(self.lost(step)),
            }
        }
        Ok(())
    }

    /// Reads more, or says that nothing came.
    fn fill(&mut self, step: &str) -> Result<(), Error> {
        match self.fill_within(step, self.clock.left())? {
            Filled::More => Ok(()),
            Filled::Nothing => Err(self.silent(step)),
            Filled::End => Err(self.lost(step)),
        }
    }

    fn fill_within(&mut self, step: &str, span: Duration) -> Result<Filled, Error> {
        if !self.wait(PollFlags::IN, span) {
            return Ok(Filled::Nothing);
        }
        self.unread.reserve(4096);
        match rustix::io::read(&self.socket, rustix::buffer::spare_capacity(&mut self.unread)) {
            Ok(0) => Ok(Filled::End),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => Ok(Filled::More),
            Err(_) => Err(self.lost(step)),
        }
    }

    /// Whether the socket is ready within this span.
    fn wait(&self, events: PollFlags, span: Duration) -> bool {
        let until = Instant::now() + span;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            match rustix::event::poll(&mut [PollFd::new(&self.socket, events)], timeout.as_ref()) {
                Ok(0) => return false,
                Err(Errno::INTR) => {}
                // An error is seen by the call that follows.
                Ok(_) | Err(_) => return true,
            }
        }
    }

    fn silent(&self, step: &str) -> Error {
        let (address, waited) = (self.address.as_str().to_owned(), self.clock.waited());
        Error::Silent { step: step.to_owned(), address, waited }
    }

    fn lost(&self, step: &str) -> Error {
        Error::Lost { step: step.to_owned(), address: self.address.as_str().to_owned() }
    }
}

/// Kernel: a connection to a Unix socket whose queue is full answers `EAGAIN` and cannot be waited for.
fn socket(address: &Address, clock: Clock) -> Result<OwnedFd, Error> {
    let name = address.as_str().to_owned();
    let place = address.socket()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|source| Error::Connect { address: name.clone(), source })?;
    loop {
        match rustix::net::connect(&socket, &place) {
            Ok(()) => return Ok(socket),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !clock.left().is_zero() => clock.pause(),
            Err(Errno::AGAIN) => {
                let (step, waited) = ("connect to the bus".to_owned(), clock.waited());
                return Err(Error::Silent { step, address: name, waited });
            }
            Err(source) => return Err(Error::Connect { address: name, source }),
        }
    }
}

fn malformed(step: &str, reason: impl Into<String>) -> Error {
    Error::Malformed { step: step.to_owned(), reason: reason.into() }
}

fn refused(step: &str, name: &str, message: &Message) -> Error {
    let words = message.body::<(String,)>().map(|(words,)| words);
    Error::Refused {
        step: step.to_owned(),
        name: name.to_owned(),
        message: words.unwrap_or_else(|_| "refused without a reason".to_owned()),
    }
}
