//! Joining and leaving namespaces.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// `setns(2)`: joins the namespaces named by `flags` ([`crate::clone::new`]) of a pidfd, or the one namespace
/// behind a file of `/proc/PID/ns` (`flags` 0 then means any kind).
///
/// Kernel: a pidfd is taken since 5.8.
///
/// # Errors
/// `ESRCH`: the process is gone; `EPERM`; `EINVAL`: the wrong kind, or the caller has several threads.
pub fn join(target: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_setns, target.as_raw_fd(), flags as libc::c_int) })
        .map(drop)
}

/// The kind of a namespace by its file, one bit of [`crate::clone::new`], wherever the file is mounted.
///
/// Kernel: `NS_GET_NSTYPE` came with 4.11.
///
/// # Errors
/// `ENOTTY`: the file is no namespace.
pub fn kind(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    // Source: include/uapi/linux/nsfs.h.
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request takes no pointer.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) };
    crate::check(libc::c_long::from(kind)).map(|kind| kind as u64)
}

/// `unshare(2)` for namespaces only; descriptor and filesystem tables stay as they are.
///
/// # Errors
/// `EPERM`, `ENOSPC` (a limit of `/proc/sys/user/max_*_namespaces`), `EUSERS`.
pub fn unshare(flags: u64) -> Result<(), Errno> {
    // SAFETY: no pointer is passed; the flags of `clone::new` do not split tables that safe code relies on.
    crate::check(unsafe { libc::syscall(libc::SYS_unshare, flags as libc::c_int) }).map(drop)
}
