//! One file per verb: its options, and the call into the library.

pub(crate) mod diagnose;
pub(crate) mod explain;
pub(crate) mod goroutines;
pub(crate) mod heal;
pub(crate) mod snapshot;
pub(crate) mod watch;
