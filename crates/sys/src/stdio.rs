//! The three standard streams without the standard library.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Standard input, output and error of this process.
///
/// A process started without one of them must open `/dev/null` in its place first, else a later descriptor takes
/// the number.
#[must_use]
pub fn streams() -> [BorrowedFd<'static>; 3] {
    // SAFETY: 0 is never -1; a closed number makes calls answer EBADF, which is memory safe.
    let input = unsafe { BorrowedFd::borrow_raw(0) };
    // SAFETY: as above.
    let output = unsafe { BorrowedFd::borrow_raw(1) };
    // SAFETY: as above.
    let error = unsafe { BorrowedFd::borrow_raw(2) };
    [input, output, error]
}

/// Whether a descriptor of this number is open.
#[must_use]
pub fn is_open(number: u32) -> bool {
    // SAFETY: F_GETFD takes no pointer and changes nothing.
    let result = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_GETFD, 0) };
    result >= 0
}

/// Puts `/dev/null` in the place of every standard stream that is closed.
///
/// # Errors
/// The errno of the open.
pub fn fill() -> Result<(), Errno> {
    for number in 0..3 {
        if !is_open(number) {
            // The lowest free number is taken, and all below are in use.
            let null: OwnedFd = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty())?;
            core::mem::forget(null);
        }
    }
    Ok(())
}

/// Takes over a descriptor that this program was started with: one that is open and not close-on-exec, which it is from
/// now on. So nobody gets it twice.
#[must_use]
pub fn inherited(number: i32) -> Option<OwnedFd> {
    if number < 3 {
        return None;
    }
    // SAFETY: F_GETFD takes no pointer and changes nothing.
    let flags = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_GETFD, 0) };
    if flags != 0 {
        return None;
    }
    // SAFETY: F_SETFD takes no pointer and changes the table of descriptors only.
    let set = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: it is open, and whoever opens one here makes it close-on-exec, so it is nobody's yet.
    (set == 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes `number` another name of `fd`, one that stays open over `execve`. Whatever had that number is closed, so this
/// is for a child that is about to execute its program.
///
/// # Errors
/// The errno of dup3(2); `EINVAL` when both are the same number.
pub fn duplicate_to(fd: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    // SAFETY: dup3 takes no pointer; it changes the table of descriptors only.
    crate::check(unsafe { libc::syscall(libc::SYS_dup3, fd.as_raw_fd(), number, 0) }).map(drop)
}
