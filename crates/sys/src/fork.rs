//! `fork(2)` for a child that only reads and reports, and never runs another program.

use rustix::io::Errno;
use rustix::process::Pid;

/// Which of the two processes this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The child; it ends with [`crate::clone::exit`].
    Child,
    /// The parent.
    Parent(Pid),
}

/// Makes a child that has a copy of everything.
///
/// It is the C library's `fork` and not the bare system call, because that one leaves the allocator usable in the child
/// of a process with several threads (glibc, and musl since 1.2.2). Other locks are as they were: the child keeps away
/// from standard streams and from whatever a thread of the parent may have locked.
///
/// # Errors
/// `EAGAIN`: a limit of processes; `ENOMEM`.
pub fn fork() -> Result<Fork, Errno> {
    // SAFETY: takes nothing. The child runs on the memory that this thread had, of which it is the only user.
    let result = unsafe { libc::fork() };
    if result < 0 {
        return Err(crate::last_error());
    }
    Ok(Pid::from_raw(result).map_or(Fork::Child, Fork::Parent))
}
