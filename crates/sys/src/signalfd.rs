//! Signals as something to read and to poll, and signals to a pidfd by number.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

const SIGSET_SIZE: usize = 8;

/// A descriptor that delivers the signals of `mask` (bit n-1 = signal n), which should be blocked as well; it is
/// close-on-exec and does not block.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn open(mask: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the mask is 8 bytes, as its size says, and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const mask,
            SIGSET_SIZE,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    };
    let fd = crate::check(result)?;
    let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The number of the next pending signal; `None` when there is none.
///
/// # Errors
/// The errno of read(2), except `EAGAIN`.
pub fn next(signals: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    let mut record = [0_u8; core::mem::size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(signals, &mut record) {
        // Source: signalfd(2): `ssi_signo` is the first field, 32 bits.
        Ok(_) => Ok(Some(i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Sends signal `number`, real-time ones included, to the process of a pidfd; 0 only checks.
///
/// # Errors
/// `ESRCH`: it is gone. `EINVAL`: no such signal. `EPERM`.
pub fn send(pidfd: impl AsFd, number: i32) -> Result<(), Errno> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: a null siginfo is allowed and means the same as kill(2).
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd, number, core::ptr::null::<libc::siginfo_t>(), 0)
    };
    crate::check(result).map(drop)
}
