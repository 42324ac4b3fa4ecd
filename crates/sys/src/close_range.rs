//! Closing of descriptors by number.

use rustix::io::Errno;

/// Really closes every descriptor from `first` to `last`, both included.
///
/// For a process that is about to `execve`: descriptors owned elsewhere in the program are closed too.
///
/// Kernel: 5.9.
///
/// # Errors
/// `EINVAL` when `last < first`.
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed; the callers are processes that own nothing any more.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    crate::check(result).map(drop)
}
