//! `openat(2)` for the child side.

use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens an existing file for writing, as [`at`] does.
///
/// # Errors
/// The errno of openat(2).
pub fn for_writing(directory: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    at(directory, path, OFlags::WRONLY)
}

/// Opens an existing file, close-on-exec and never as a controlling terminal.
///
/// As rustix's `openat`, but without its panic for a descriptor of -1, which the kernel never gives.
///
/// # Errors
/// The errno of openat(2).
pub fn at(directory: BorrowedFd<'_>, path: &CStr, how: OFlags) -> Result<OwnedFd, Errno> {
    let flags = (how | OFlags::CLOEXEC | OFlags::NOCTTY).bits();
    // SAFETY: `path` is a C string, and no memory is written.
    let result = unsafe { libc::syscall(libc::SYS_openat, directory.as_raw_fd(), path.as_ptr(), flags, 0) };
    let number = crate::check(result)?;
    // SAFETY: the kernel gave the descriptor to this process a moment ago, and nobody else knows it.
    unsafe { owned(number) }
}

/// Takes a descriptor that the kernel has just given. The conversion shows the compiler that it is not -1.
///
/// # Safety
/// `number` is an open descriptor that nobody else owns.
pub(crate) unsafe fn owned(number: usize) -> Result<OwnedFd, Errno> {
    let number = RawFd::try_from(number).map_err(|_| Errno::BADF)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
