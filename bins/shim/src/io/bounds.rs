//! How long what may take.

use std::time::Duration;

/// How long what may take at the end of a process's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// After the leader's exit: how long to wait for one more byte from survivors that hold the pipe.
    pub idle: Duration,
    /// After the leader's exit: how long to wait in all for more from survivors.
    pub total: Duration,
    /// How long `Delete` waits for somebody to open a fifo that holds bytes; a reader that is there gets them in any case.
    pub delete: Duration,
    /// How long a logger may take to be ready, or a file to open.
    pub ready: Duration,
}

impl Default for Bounds {
    /// 200 ms, 2 s; 2 s as the stock shim waits when it deletes an exec; 10 s where the stock shim waits for ever.
    fn default() -> Self {
        Self {
            idle: Duration::from_millis(200),
            total: Duration::from_secs(2),
            delete: Duration::from_secs(2),
            ready: Duration::from_secs(10),
        }
    }
}
