//! The words that create and init exchange, over a `SOCK_SEQPACKET` pair; the picture is in [`crate::init`].

use crate::Error;
use child::stage::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, socketpair,
};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Longest message in bytes; a longer error text is cut.
const LONGEST: usize = 16 * 1024;

/// What create says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Init's identity is on disk and its ids are mapped.
    Begin,
    /// The hooks of the runtime are done.
    Continue,
    /// The container is `created` on disk.
    Park,
}

impl Answer {
    fn to_byte(self) -> u8 {
        match self {
            Answer::Begin => b'b',
            Answer::Continue => b'c',
            Answer::Park => b'p',
        }
    }

    fn from_byte(byte: u8) -> Option<Answer> {
        [Answer::Begin, Answer::Continue, Answer::Park].into_iter().find(|answer| answer.to_byte() == byte)
    }
}

/// What init says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The go-between has made init proper; its pidfd comes with it.
    Born(i32),
    /// The go-between has joined its namespaces, and the kernel makes no process there.
    Unborn(Errno),
    /// Every mount is made and the root not changed yet.
    RootReady,
    /// The terminal's name; its master comes with it.
    Terminal(String),
    /// The listener of the seccomp filter comes with it.
    Listener,
    /// Everything is done but the program.
    Parked,
    /// The text of an error.
    Failed(String),
    /// A refused step of the last mile.
    Refused(Failure),
    /// The program cannot be executed.
    NotFound(Errno),
}

impl Said {
    fn to_bytes(&self) -> Vec<u8> {
        let with = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
        match self {
            Said::Born(pid) => with(b'B', &pid.to_ne_bytes()),
            Said::Unborn(errno) => with(b'U', &errno.raw_os_error().to_ne_bytes()),
            Said::RootReady => with(b'R', b""),
            Said::Terminal(name) => with(b'T', name.as_bytes()),
            Said::Listener => with(b'L', b""),
            Said::Parked => with(b'P', b""),
            Said::Failed(text) => with(b'F', text.as_bytes().get(..LONGEST - 1).unwrap_or(text.as_bytes())),
            Said::Refused(failure) => with(b'X', &failure.to_bytes()),
            Said::NotFound(errno) => with(b'N', &errno.raw_os_error().to_ne_bytes()),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Said> {
        let (tag, rest) = bytes.split_first()?;
        let text = || String::from_utf8_lossy(rest).into_owned();
        let number = || rest.try_into().ok().map(i32::from_ne_bytes);
        Some(match tag {
            b'B' => Said::Born(number()?),
            b'U' => Said::Unborn(Errno::from_raw_os_error(number()?)),
            b'R' => Said::RootReady,
            b'T' => Said::Terminal(text()),
            b'L' => Said::Listener,
            b'P' => Said::Parked,
            b'F' => Said::Failed(text()),
            b'X' => Said::Refused(Failure::from_bytes(rest)?),
            b'N' => Said::NotFound(Errno::from_raw_os_error(number()?)),
            _ => return None,
        })
    }
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Line(OwnedFd);

/// What [`Line::listen`] heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message, perhaps with a descriptor.
    Said(Said, Option<OwnedFd>),
    /// The other end is closed.
    Ended,
    /// Nothing in the time given.
    Nothing,
}

impl Line {
    /// Both ends: create's and init's.
    pub(crate) fn pair() -> Result<(Line, Line), Error> {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(|(ours, theirs)| (Line(ours), Line(theirs)))
            .map_err(|source| Error::Step { step: "make the socket to init", source })
    }

    /// Init's side: says something. Nothing can be done when create is gone.
    ///
    /// By `write`, which every filter must allow, and not by `sendmsg`.
    pub(crate) fn say(&self, said: &Said) {
        let _ = rustix::io::write(&self.0, &said.to_bytes());
    }

    /// Init's side: says something with a descriptor.
    pub(crate) fn send(&self, said: &Said, descriptor: Option<BorrowedFd<'_>>) {
        let bytes = said.to_bytes();
        let descriptors = descriptor.map(|descriptor| [descriptor]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(descriptors) = &descriptors {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let _ = rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
    }

    /// Init's side: waits for create's next word; `None` when create is gone.
    pub(crate) fn hear(&self) -> Option<Answer> {
        let mut byte = [0; 1];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut byte)).ok()?;
        byte.first().copied().filter(|_| count == 1).and_then(Answer::from_byte)
    }

    /// Create's side: answers.
    pub(crate) fn answer(&self, answer: Answer) {
        // Init's death is noticed by the next `listen`.
        let _ = rustix::net::send(&self.0, &[answer.to_byte()], SendFlags::NOSIGNAL);
    }

    /// Create's side: waits for init's next word, at most `limit`.
    pub(crate) fn listen(&self, limit: Duration) -> Result<Heard, Error> {
        let wrap = |source| Error::Step { step: "listen to init", source };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut fds, Some(&launch::process::timespec(limit))) {
            Ok(0) | Err(Errno::INTR) => return Ok(Heard::Nothing),
            Ok(_) => {}
            Err(errno) => return Err(wrap(errno)),
        }
        self.receive().map_err(wrap)
    }

    fn receive(&self) -> Result<Heard, Errno> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let received = match rustix::net::recvmsg(&self.0, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => received.bytes,
            Err(Errno::CONNRESET) => 0,
            Err(errno) => return Err(errno),
        };
        if received == 0 {
            return Ok(Heard::Ended);
        }
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let said = Said::from_bytes(bytes.get(..received).unwrap_or(&[])).ok_or(Errno::BADMSG)?;
        Ok(Heard::Said(said, descriptor))
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
