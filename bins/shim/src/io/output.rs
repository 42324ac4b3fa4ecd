//! Output on its way from a pipe or a terminal to whoever shows it: one task per stream.
//!
//! ```text
//!     process -> pipe ---- this task: splice(2) ----> fifo -> reader
//!                 |                                     |
//!                 | held by survivors?                  | no reader?
//!                 `-> after a bound: cut, and           `-> held until one comes, or until Delete
//!                     read into nothing
//! ```
//!
//! **Invariant:** the end of file reaches the reader only after everything that the leader wrote.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::bounds::Bounds;
use super::discard::discard;
use super::ending::Ending;
use super::fifo::{self, Outlet, Reader};
use super::phase::{Phase, until};
use super::progress::{Outcome, Report};
use super::transfer::{Transfer, Turn};
use crate::watched::watched;

/// Where output goes to.
#[derive(Debug)]
pub(super) enum Sink {
    /// A fifo of the caller.
    Fifo(Outlet),
    /// A pipe that a thread of ours or a logger reads.
    Pipe(OwnedFd),
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Fifo(outlet) => outlet.as_fd(),
            Self::Pipe(writer) => writer.as_fd(),
        }
    }
}

/// What output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pipe, which has an end of file.
    Pipe,
    /// A terminal, which hangs up and may be opened again.
    Terminal,
}

/// How a relay came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Nobody can write any more.
    End,
    /// Survivors hold the pipe, and the bound for them is over.
    Cut,
    /// The caller closed the streams.
    Closed,
    /// The other side is gone for good.
    Broken,
}

/// How long to wait before looking again at a terminal that nobody has open.
const HUNG_UP: Duration = Duration::from_millis(100);

/// The most that counts as written before the exit in a terminal, in bytes: more than it can hold, so this limits only
/// survivors that go on writing.
const TERMINAL_OWES: u64 = 256 << 10;

/// One stream of output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) kind: Kind,
    pub(super) source: Arc<AsyncFd<OwnedFd>>,
    pub(super) sink: Sink,
    pub(super) bounds: Bounds,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) report: Report,
}

impl Output {
    /// Relays until the end, whatever that is, and reports it.
    pub(super) async fn run(self) {
        let Self { kind, source, sink, bounds, phase, report } = self;
        let transfer = if kind == Kind::Pipe { Transfer::Splice } else { Transfer::copy() };
        let ending = Ending::new(bounds);
        let mut relay =
            Relay { watch: None, source: &source, sink, transfer, kind, ending, phase, blocked: Blocked::No };
        let how = relay.run().await;
        if how == How::End {
            relay.exit_is_recorded(bounds.idle).await;
        }
        let left = relay.hand_over().await;
        let lost = left + relay.ending.owing() + relay.transfer.kept();
        let delivered = relay.ending.moved() - left.min(relay.ending.moved());
        drop(relay);
        report.ended(Outcome { delivered, lost, cut: u32::from(how == How::Cut) });
        if how != How::End {
            tokio::spawn(discard(source));
        }
    }
}

/// What keeps a relay from reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    /// Nothing does.
    No,
    /// Somebody has to look.
    Unknown,
    /// The sink is full.
    Full,
    /// Nobody has the terminal open.
    HungUp,
}

/// The state of a relay.
#[derive(Debug)]
struct Relay<'a> {
    /// Of the sink, once it was full.
    watch: Option<AsyncFd<OwnedFd>>,
    source: &'a AsyncFd<OwnedFd>,
    sink: Sink,
    transfer: Transfer,
    kind: Kind,
    ending: Ending,
    phase: watch::Receiver<Phase>,
    blocked: Blocked,
}

impl Relay<'_> {
    async fn run(&mut self) -> How {
        loop {
            let Self { phase, ending, source, sink, transfer, watch, blocked, .. } = self;
            let deadline = ending.deadline();
            let turn = tokio::select! {
                biased;
                changed = phase.changed() => match changed {
                    Ok(()) => self.phase_changed(),
                    Err(_) => Some(How::Closed),
                },
                turn = next_turn(*blocked, (source, sink.as_fd()), watch.as_ref(), transfer) => self.took(turn),
                () = until(deadline) => Some(How::Cut),
            };
            if let Some(how) = turn {
                return how;
            }
        }
    }

    fn phase_changed(&mut self) -> Option<How> {
        let phase = *self.phase.borrow_and_update();
        if phase == Phase::Closed {
            self.exited();
            return Some(How::Closed);
        }
        if phase != Phase::Running {
            self.exited();
        }
        None
    }

    /// The leader has ended: what is queued now is owed.
    fn exited(&mut self) {
        let queued = match self.kind {
            Kind::Pipe => fifo::queued(self.source.get_ref()),
            Kind::Terminal => TERMINAL_OWES,
        };
        let now = Instant::now();
        self.ending.exited(queued.saturating_add(self.transfer.kept()), now);
        match (self.blocked, self.kind) {
            (Blocked::Full, _) => self.full(),
            // What is on its way through a terminal shows only to who reads.
            (_, Kind::Terminal) => self.blocked = Blocked::Unknown,
            (_, Kind::Pipe) => {}
        }
    }

    fn took(&mut self, turn: Turn) -> Option<How> {
        let before = std::mem::replace(&mut self.blocked, Blocked::No);
        match turn {
            Turn::Moved(count) => self.ending.went_out(count, Instant::now()),
            Turn::Empty => self.ending.emptied(Instant::now()),
            Turn::Full => {
                self.blocked = before;
                self.full();
            }
            Turn::HungUp if !self.ending.has_exited() => self.blocked = Blocked::HungUp,
            Turn::End | Turn::HungUp => {
                self.ending.emptied(Instant::now());
                return Some(How::End);
            }
            Turn::Broken(errno) => {
                log::warn!("a reader of output is gone: {errno}");
                return Some(How::Broken);
            }
        }
        None
    }

    /// Bytes that are owed find room at once, however slow the reader is; for others the sink is waited for.
    fn full(&mut self) {
        let first = self.blocked != Blocked::Full;
        self.blocked = Blocked::Full;
        if self.ending.owing() > 0
            && fifo::make_room(self.sink.as_fd(), self.source.get_ref().as_fd()).is_ok()
        {
            self.blocked = Blocked::No;
            return;
        }
        if first && self.watch.is_none() {
            let watch = self.sink.as_fd().try_clone_to_owned();
            match watch.and_then(|fd| watched(fd, Interest::WRITABLE)) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => log::warn!("watch a full stream: {error}; it is looked at from time to time"),
            }
        }
    }

    /// A client that sees the end of the output may ask for the exit at once: it should be known by then.
    async fn exit_is_recorded(&mut self, limit: Duration) {
        let recorded = self.phase.wait_for(|phase| *phase != Phase::Running);
        let _ = tokio::time::timeout(limit, recorded).await;
    }

    /// Waits until a reader has the fifo open or has taken everything; says how many bytes nobody took.
    async fn hand_over(&mut self) -> u64 {
        let Sink::Fifo(outlet) = &mut self.sink else { return 0 };
        let mut pause = Duration::from_millis(5);
        loop {
            if outlet.reader() == Reader::Present {
                return 0;
            }
            let left = fifo::queued(&*outlet);
            let phase = *self.phase.borrow_and_update();
            let somebody_came = self.ending.moved() > 0;
            if phase == Phase::Closed || (left == 0 && (somebody_came || phase == Phase::Deleting)) {
                return left;
            }
            pause = (pause * 2).min(Duration::from_secs(1));
            let again = sleep_until((Instant::now() + pause).into());
            tokio::select! {
                changed = self.phase.changed() => if changed.is_err() { return left },
                () = again => {}
            }
        }
    }
}

/// Waits for the side that is in the way, then moves what can be moved. Nothing is lost when the wait is given up.
async fn next_turn(
    blocked: Blocked,
    (source, sink): (&AsyncFd<OwnedFd>, BorrowedFd<'_>),
    watch: Option<&AsyncFd<OwnedFd>>,
    transfer: &mut Transfer,
) -> Turn {
    let from = source.get_ref().as_fd();
    match (blocked, watch) {
        (Blocked::No, _) => match source.readable().await {
            Ok(mut guard) => {
                let turn = transfer.turn(from, sink);
                if matches!(turn, Turn::Empty | Turn::HungUp) {
                    guard.clear_ready();
                }
                turn
            }
            Err(_) => Turn::Broken(rustix::io::Errno::BADF),
        },
        (Blocked::Full, Some(watch)) => match watch.writable().await {
            Ok(mut guard) => {
                let turn = transfer.turn(from, sink);
                if turn == Turn::Full {
                    guard.clear_ready();
                }
                turn
            }
            Err(_) => Turn::Broken(rustix::io::Errno::BADF),
        },
        (Blocked::Unknown, _) => transfer.turn(from, sink),
        (Blocked::HungUp, _) | (Blocked::Full, None) => {
            tokio::time::sleep(HUNG_UP).await;
            transfer.turn(from, sink)
        }
    }
}
