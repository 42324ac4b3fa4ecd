//! The OCI life cycle, one file per verb.

pub mod config;
pub mod console;
pub mod features;
pub mod foreground;
pub mod notify_socket;
pub mod run;
pub mod spec;
mod stub;

pub use stub::{
    ContainerId, Error, Result, Store, create, delete, events, exec, kill, list, pause, ps, resume, start,
    state, update,
};
