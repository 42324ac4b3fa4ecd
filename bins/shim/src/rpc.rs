//! One file per RPC of the task service.

pub(crate) mod checkpoint;
pub(crate) mod close_io;
pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod exec;
pub(crate) mod kill;
pub(crate) mod pause;
pub(crate) mod pids;
pub(crate) mod resize_pty;
pub(crate) mod resume;
pub(crate) mod shutdown;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod update;
pub(crate) mod wait;
