//! The OCI life cycle, one file per verb.
//!
//! **Invariant:** the only crate that turns `config.json` into kernel calls. It is synchronous, waits only under a
//! deadline or while it logs whom it waits for, and leaves the calling thread and process as it found them. What
//! is on disk has one owner, [`store`].

pub mod cause;
pub mod config;
pub mod create;
pub mod delete;
mod error;
pub mod exec;
pub mod hooks;
pub mod id;
mod identity;
mod init;
mod keyring;
pub mod kill;
pub mod list;
mod network;
pub mod pause;
pub mod program;
pub mod ps;
pub mod record;
pub mod resume;
pub mod start;
pub mod state;
pub mod status;
pub mod store;
pub mod update;

pub use error::Error;
pub use id::ContainerId;
pub use status::Status;
pub use store::Store;
