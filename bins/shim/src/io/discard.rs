//! Reading into nothing what survivors of a process go on writing, so that no SIGPIPE kills them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// How long to rest after each round: a survivor that writes without end is slowed down to a pipe full per round, and
/// costs a hundred rounds per second at most.
const REST: Duration = Duration::from_millis(10);

/// The most that is read in a round, in bytes.
const ROUND: usize = 64 << 10;

static STREAMS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// How many streams are read into nothing now, and how many bytes were so far, for the dump.
#[must_use]
pub fn discarding() -> (usize, u64) {
    (STREAMS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
}

/// One stream that is counted as long as this lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        STREAMS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads until nobody holds the other end.
pub(super) async fn discard(source: Arc<AsyncFd<OwnedFd>>) {
    let _counted = Counted::new();
    while let Ok(mut guard) = source.readable().await {
        match round(source.get_ref().as_fd()) {
            Round::More => {}
            Round::Empty => guard.clear_ready(),
            Round::Over => return,
        }
        tokio::time::sleep(REST).await;
    }
}

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    More,
    Empty,
    Over,
}

fn round(from: BorrowedFd<'_>) -> Round {
    let mut piece = [0; 16 << 10];
    let mut taken = 0;
    while taken < ROUND {
        match rustix::io::read(from, &mut piece) {
            Ok(0) => return Round::Over,
            Ok(count) => {
                taken += count;
                BYTES.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Round::Empty,
            Err(_) => return Round::Over,
        }
    }
    Round::More
}
