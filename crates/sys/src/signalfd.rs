//! Signals as something to read and to poll, and signals to a pidfd by number.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

const SIGSET_SIZE: usize = 8;

/// Of one record, in bytes.
const SIZE: usize = core::mem::size_of::<libc::signalfd_siginfo>();

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
    let mut record = [0_u8; SIZE];
    match rustix::io::read(signals, &mut record) {
        Ok(_) => Ok(i32::try_from(number(&record)).ok()),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// All pending signals at once, bit n-1 = signal n; 0 when there are none.
///
/// # Errors
/// The errno of read(2), except `EAGAIN`.
pub fn pending(signals: BorrowedFd<'_>) -> Result<u64, Errno> {
    /// One call is enough for eight.
    const MOST: usize = 8;
    let mut records = [0_u8; MOST * SIZE];
    let mut mask = 0;
    loop {
        let length = match rustix::io::retry_on_intr(|| rustix::io::read(signals, &mut records)) {
            Err(Errno::AGAIN) => 0,
            length => length?,
        };
        for record in records.chunks_exact(SIZE).take(length / SIZE) {
            mask |= number(record).checked_sub(1).and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0);
        }
        if length < records.len() {
            return Ok(mask);
        }
    }
}

/// Source: signalfd(2): `ssi_signo` is the first field, 32 bits.
fn number(record: &[u8]) -> u32 {
    record.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
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
