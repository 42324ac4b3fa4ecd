//! The log: lines into a fifo that containerd reads, if it does.
//!
//! **Invariant:** a write never waits and never kills: the fifo is held open for reading too, and what does not fit is
//! dropped and counted.

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Longest line in bytes: below `PIPE_BUF`, so that lines of several writers are never mixed.
const LONGEST: usize = 1900;

static LOGGER: Logger = Logger { fifo: OnceLock::new(), dropped: AtomicU64::new(0) };

struct Logger {
    fifo: OnceLock<OwnedFd>,
    dropped: AtomicU64,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What somebody should look at.
    Usual,
    /// Every operation, too.
    Debug,
}

/// Sends the log to the fifo `log` of the bundle. Without one there is no log: it is no reason not to serve.
pub fn open(bundle: &Path, detail: Detail) {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if let Ok(fifo) = rustix::fs::openat(CWD, bundle.join("log"), flags, Mode::empty()) {
        let _ = LOGGER.fifo.set(fifo);
    }
    let level = if detail == Detail::Debug { LevelFilter::Debug } else { LevelFilter::Info };
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

/// Sends the log to the standard error, which the caller of a subcommand reads.
pub fn to_standard_error() {
    if let Ok(error) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3) {
        let _ = LOGGER.fifo.set(error);
    }
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// How many lines found no room.
#[must_use]
pub fn dropped() -> u64 {
    LOGGER.dropped.load(Ordering::Relaxed)
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What the libraries below say at other levels is for their own developers.
        metadata.level() <= Level::Info || !metadata.target().starts_with("ttrpc")
    }

    fn log(&self, record: &Record<'_>) {
        let Some(fifo) = self.fifo.get().filter(|_| self.enabled(record.metadata())) else { return };
        let line = line(record.level(), &record.args().to_string());
        if rustix::io::write(fifo, line.as_bytes()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Compat: the `key=value` form of containerd's own log, which it copies these lines into.
fn line(level: Level, text: &str) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    };
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut text = text.to_owned();
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    format!("time={}.{:03} level={level} msg={text:?}\n", seconds.as_secs(), seconds.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_below_pipe_buf() {
        let text = line(Level::Warn, &format!("two\nlines {}", "ä".repeat(4000)));
        assert_eq!(text.lines().count(), 1);
        assert!(text.len() <= 4096, "{}", text.len());
        assert!(text.contains("level=warning msg=\"two\\nlines"));
    }
}
