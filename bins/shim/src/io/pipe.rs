//! The pipes between a process and us, and the null device in their place.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Error;

/// Who owns the pipes that a process gets: with a user namespace it may have to open them again by
/// `/proc/self/fd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id on the host.
    pub uid: u32,
    /// Group id on the host.
    pub gid: u32,
}

/// Makes a pipe; gives the end that is read and the end that is written.
///
/// # Errors
/// [`Error::Make`].
pub(super) fn pair(owner: Owner) -> Result<(OwnedFd, OwnedFd), Error> {
    let failed = |step| move |source| Error::Make { step, source };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("make a pipe"))?;
    if owner != Owner::default() {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::fchown(&reader, Some(uid), Some(gid)).map_err(failed("give a pipe to its owner"))?;
    }
    Ok((reader, writer))
}

/// Makes our own end non-blocking; the process's end is another open file and stays as it is.
///
/// # Errors
/// [`Error::Make`].
pub(super) fn nonblocking(ours: &OwnedFd) -> Result<(), Error> {
    rustix::io::ioctl_fionbio(ours, true)
        .map_err(|source| Error::Make { step: "make our end non-blocking", source })
}

/// Opens the null device; with `O_RDWR`, as a process may have been given either end.
///
/// # Errors
/// [`Error::Open`].
pub(super) fn null() -> Result<OwnedFd, Error> {
    let path = "/dev/null";
    rustix::fs::openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::Open { path: path.into(), source })
}
