//! What a pidfd tells of a process that is no child.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Source: include/uapi/linux/pidfd.h, `struct pidfd_info` in its first size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`: the field `exit_code` is wanted, or holds something.
const EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`: `_IOWR(0xff, 11, struct pidfd_info)`.
const GET_INFO: libc::Ioctl = (3 << 30) | ((size_of::<Info>() as libc::Ioctl) << 16) | (0xff << 8) | 11;

/// The wait status of a process that has ended and was reaped; `None` before.
///
/// Kernel: 6.15; before, `ENOTTY` or `EINVAL`.
///
/// # Errors
/// As above; `ESRCH`: reaped before the pidfd was opened.
pub fn wait_status(pidfd: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the kernel writes at most the size that is coded in the request, which is that of `Info`.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO, &raw mut info) };
    crate::check(result.into())?;
    Ok((info.mask & EXIT != 0).then_some(info.exit_code))
}
