//! Dead children of the calling process.

use rustix::io::Errno;

/// The pid of some child that has ended and was not taken away yet; it stays. `None` when there is none.
///
/// # Errors
/// The errno of waitid(2), except `ECHILD` and `EINTR`.
pub fn next_dead() -> Result<Option<i32>, Errno> {
    let mut info = core::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes one siginfo_t to the place it is given, and a null rusage is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_ALL,
            0,
            info.as_mut_ptr(),
            options,
            core::ptr::null::<libc::rusage>(),
        )
    };
    match crate::check(result) {
        Ok(_) => {}
        Err(Errno::CHILD | Errno::INTR) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    // SAFETY: zero bytes are a valid siginfo_t, and the kernel fills in a valid one.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills in the fields of SIGCHLD, or leaves zero bytes.
    let pid = unsafe { info.si_pid() };
    Ok(Some(pid).filter(|pid| *pid != 0))
}

/// Takes a dead child away.
///
/// # Errors
/// The errno of waitid(2).
pub fn reap(pid: i32) -> Result<(), Errno> {
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: a null siginfo and a null rusage are allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PID,
            pid,
            core::ptr::null::<libc::siginfo_t>(),
            options,
            core::ptr::null::<libc::rusage>(),
        )
    };
    crate::check(result).map(drop)
}
