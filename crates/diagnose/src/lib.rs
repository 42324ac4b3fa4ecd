//! Finds which joint of a container node is stuck: snapshot -> graph of who waits for whom -> rules -> remedies.
//!
//! **Invariant:** links nothing of the runtime and asks no daemon, but the kernel. Collecting never judges, rules
//! never read; every read of the live system has a deadline.

pub mod collect;
pub mod diagnose;
pub mod diagnosis;
mod error;
pub mod explain;
pub mod finding;
pub mod goroutines;
pub mod graph;
pub mod harmless;
pub mod heal;
pub mod listing;
pub mod new_file;
pub mod redact;
pub mod remedy;
pub mod report;
pub mod rules;
pub mod saved;
pub mod snapshot;
pub mod time;
pub mod version;
pub mod view;
pub mod watch;

pub use collect::{Source, collect};
pub use error::{Error, Result, with_causes};
pub use snapshot::Snapshot;
