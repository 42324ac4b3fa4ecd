//! Finds which joint of a container node is stuck: snapshot -> graph of who waits for whom -> rules -> remedies.
//!
//! **Invariant:** links nothing of the runtime and asks no daemon, but the kernel. Collecting never judges, rules
//! never read; every read of the live system has a deadline.

mod error;
pub mod explain;
pub mod snapshot;

pub use error::Error;
pub use snapshot::Snapshot;
