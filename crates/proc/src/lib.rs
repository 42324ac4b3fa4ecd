//! Reads `/proc`, mountinfo and control-group text into plain structs, and looks paths up safely below a root.
//!
//! **Invariant**: nothing here changes the system except the three functions of [`root`] that say so in their
//! name, and every parser is a pure function of text that returns (never panics) whatever the bytes are.

pub mod cgroup_file;
mod error;
pub mod group;
pub mod kv;
pub mod mountinfo;
pub mod passwd;
pub mod pid;
pub mod procfs;
pub mod psi;
pub mod root;

pub use error::{Error, Result};
pub use procfs::Procfs;
pub use root::Root;
