//! Input on its way from a fifo to a process's pipe or terminal.
//!
//! A client that goes away is no end of file: that comes when `CloseIO` has let go of our own writer and the client's
//! is gone too, or when the streams are closed. A process that reads no more is none either: its client waits, as with a
//! process that is slow.
//!
//! Compat: `ctr` hands every signal to the process; a SIGPIPE of its own, from a fifo without a reader, would kill it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::phase::Phase;
use super::transfer::{Transfer, Turn};

/// Standard input of a process.
#[derive(Debug)]
pub(super) struct Input {
    /// The fifo.
    pub(super) source: AsyncFd<OwnedFd>,
    /// The pipe to the process, or its terminal.
    pub(super) sink: Arc<AsyncFd<OwnedFd>>,
    /// How bytes get there.
    pub(super) transfer: Transfer,
    /// How far the process is.
    pub(super) phase: watch::Receiver<Phase>,
}

impl Input {
    /// Relays until the end of the input, or until the process reads no more.
    pub(super) async fn run(mut self) {
        let Self { source, sink, transfer, phase } = &mut self;
        let closed = phase.wait_for(|phase| *phase == Phase::Closed);
        tokio::select! {
            biased;
            _ = closed => {}
            () = relay(source, sink, transfer) => {}
        }
    }
}

async fn relay(source: &AsyncFd<OwnedFd>, sink: &AsyncFd<OwnedFd>, transfer: &mut Transfer) {
    let mut full = false;
    loop {
        let waited = if full { sink.writable().await } else { source.readable().await };
        let Ok(mut guard) = waited else { return };
        match transfer.turn(source.get_ref().as_fd(), sink.get_ref().as_fd()) {
            Turn::Moved(_) => full = false,
            turn @ (Turn::Empty | Turn::Full) => {
                if (turn == Turn::Full) == full {
                    guard.clear_ready();
                }
                full = turn == Turn::Full;
            }
            Turn::End | Turn::HungUp => return,
            Turn::Broken(errno) => {
                log::debug!("a process reads no more input: {errno}");
                return std::future::pending().await;
            }
        }
    }
}
