//! Moving bytes from one descriptor to another without ever sleeping, and saying which side was in the way.
//!
//! **Invariant:** no byte that was taken is dropped: what the other side did not take is kept for the next turn.

use std::os::fd::BorrowedFd;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use super::fifo::ready;

/// What one turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// So many bytes went out.
    Moved(u64),
    /// There is nothing to read.
    Empty,
    /// There may be something to read, but nothing can be written.
    Full,
    /// Nobody can write to the source any more, and all was read.
    End,
    /// Nobody has the terminal open now; somebody may open it again.
    HungUp,
    /// Nobody can read what is written, or the descriptor is broken.
    Broken(Errno),
}

/// How bytes get from one descriptor to the other.
#[derive(Debug)]
pub(super) enum Transfer {
    /// Between pipes: pages change their owner.
    Splice,
    /// From or to a terminal: through us. What was read and not yet written is kept here.
    Copy(Vec<u8>),
}

/// How much is moved in one turn, in bytes: what a pipe holds by default.
const CHUNK: usize = 64 << 10;

/// How much is copied in one turn, in bytes: what a pipe takes as a whole or not at all (`PIPE_BUF`).
const PIECE: usize = 4096;

impl Transfer {
    /// Through us, with nothing kept yet.
    pub(super) fn copy() -> Self {
        Self::Copy(Vec::new())
    }

    /// Bytes that were read and not yet written.
    pub(super) fn kept(&self) -> u64 {
        match self {
            Self::Splice => 0,
            Self::Copy(kept) => kept.len() as u64,
        }
    }

    /// One turn.
    pub(super) fn turn(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Turn {
        match self {
            Self::Splice => spliced(from, to),
            Self::Copy(kept) if kept.is_empty() => copied(from, to, kept),
            Self::Copy(kept) => written(to, kept),
        }
    }
}

/// Kernel: `EAGAIN` of splice(2) does not say which side it means. Both are asked; when both have become ready
/// meanwhile, the next turn finds out.
fn spliced(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Turn {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    for _ in 0..16 {
        match splice(from, None, to, None, CHUNK, flags) {
            Ok(0) => return Turn::End,
            Ok(count) => return Turn::Moved(count as u64),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !ready(from, PollFlags::IN).intersects(PollFlags::IN | PollFlags::HUP) => {
                return Turn::Empty;
            }
            Err(Errno::AGAIN) if !ready(to, PollFlags::OUT).contains(PollFlags::OUT) => return Turn::Full,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Turn::Broken(errno),
        }
    }
    Turn::Moved(0)
}

fn copied(from: BorrowedFd<'_>, to: BorrowedFd<'_>, kept: &mut Vec<u8>) -> Turn {
    let mut piece = [0; PIECE];
    match rustix::io::read(from, &mut piece) {
        Ok(0) => Turn::End,
        Ok(count) => {
            kept.extend_from_slice(&piece[..count]);
            written(to, kept)
        }
        Err(Errno::INTR) => Turn::Moved(0),
        Err(Errno::AGAIN) => Turn::Empty,
        // Source: pty(7): nobody has the other end open.
        Err(Errno::IO) => Turn::HungUp,
        Err(errno) => Turn::Broken(errno),
    }
}

fn written(to: BorrowedFd<'_>, kept: &mut Vec<u8>) -> Turn {
    match rustix::io::write(to, kept) {
        Ok(0) => Turn::Full,
        Ok(count) => {
            kept.drain(..count);
            Turn::Moved(count as u64)
        }
        Err(Errno::INTR) => Turn::Moved(0),
        Err(Errno::AGAIN) => Turn::Full,
        Err(errno) => Turn::Broken(errno),
    }
}
