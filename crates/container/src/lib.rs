//! The OCI life cycle, one file per verb.
//!
//! **Invariant:** the only crate that turns `config.json` into kernel calls. It is synchronous, waits only under a
//! deadline or while it logs whom it waits for, and leaves the calling thread and process as it found them. What
//! is on disk has one owner, [`store`].

mod attribute;
mod bounded;
pub mod capability;
pub mod cause;
pub mod config;
pub mod console;
mod conversation;
pub mod create;
pub mod delete;
mod devices;
mod error;
pub mod events;
mod evidence;
pub mod exec;
pub mod features;
pub mod foreground;
pub mod held;
pub mod hooks;
pub mod id;
pub mod id_map;
mod init;
pub mod kill;
mod last_mile;
pub mod list;
mod listener;
mod members;
mod network;
pub mod notify_socket;
pub mod pause;
mod personality;
mod pid_file;
pub mod placement;
pub mod program;
pub mod ps;
pub mod record;
pub mod resume;
pub mod rootfs;
pub mod rootless;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod status;
pub mod store;
pub mod update;

pub use error::{Error, chain};
/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub use id::ContainerId;
pub use id_map::IdMap;
pub use rootless::Rootless;
pub use status::Status;
pub use store::Store;

/// Makes sure that this process runs from a file that no container can write (CVE-2019-5736); executes itself once more
/// with these arguments and this environment when it does not.
///
/// # Errors
/// [`Error::Launch`] with the step that was refused.
pub fn protect(arguments: &[std::ffi::CString], environment: &[std::ffi::CString]) -> Result<(), Error> {
    launch::sealed::ensure(arguments, environment).map_err(Error::Launch)
}

/// As [`protect`], for a program that begins at `sys::program!`: it can be the first thing that is done.
///
/// # Errors
/// [`Error::Launch`] with the step that was refused.
pub fn protect_first(given: &sys::start::Given) -> Result<(), Error> {
    launch::sealed::ensure_first(given).map_err(Error::Launch)
}

/// Undoes an inherited ignoring of `SIGCHLD`, under which the kernel takes every child away before it can be waited
/// for.
pub fn own_children() {
    const SIGCHLD: i32 = 17;
    if let Err(errno) = sys::signal::set_default(SIGCHLD) {
        log::warn!("give SIGCHLD its default action: {errno}");
    }
}
