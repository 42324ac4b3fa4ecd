//! Attributes of processes: files below `/proc/PID` that the kernel acts on when they are written.

use proc::Procfs;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// An attribute, to be written later; `path` is that below `/proc`, such as `self/attr/exec`.
///
/// # Errors
/// The errno of open(2).
pub(crate) fn open(proc: &Procfs, path: impl Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(proc.as_fd(), path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Writes an attribute at once: the kernel takes the text of one write(2) as the whole value.
///
/// # Errors
/// The errno of open(2) or write(2).
pub(crate) fn write(proc: &Procfs, path: impl Arg, text: &str) -> Result<(), Errno> {
    let file = open(proc, path)?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}
