//! Pipes and fifos with both of their ends.

use serde::{Deserialize, Serialize};

/// One pipe or fifo that some process has open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pipe {
    /// Inode, by which descriptors find it.
    pub inode: u64,
    /// Path of a fifo; `None` for a nameless pipe.
    pub path: Option<String>,
    /// Bytes that are written and not yet read (`FIONREAD`); `None` when nobody could be asked.
    pub bytes: Option<u64>,
    /// Room in bytes (`F_GETPIPE_SZ`). A write waits when a whole page is not free, so a pipe can be full for its
    /// writer somewhat below this.
    pub capacity: Option<u64>,
    /// Descriptors that write to it.
    pub writers: Vec<End>,
    /// Descriptors that read from it. A reader that is also the only writer will never see the end of it.
    pub readers: Vec<End>,
}

/// One descriptor of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct End {
    /// The process.
    pub pid: i32,
    /// The number of the descriptor in it.
    pub fd: i32,
}
