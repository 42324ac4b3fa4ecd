//! The switches of `prctl(2)` that a process sets on its way into a container.

use rustix::io::Errno;

fn prctl(option: libc::c_int, argument: libc::c_ulong) -> Result<usize, Errno> {
    // SAFETY: every option used in this file takes plain numbers.
    crate::check(unsafe { libc::syscall(libc::SYS_prctl, option, argument, 0_u64, 0_u64, 0_u64) })
}

/// Makes the process undumpable: nobody in the container may trace it or open its `/proc` entries.
///
/// # Errors
/// None known.
pub fn set_undumpable() -> Result<(), Errno> {
    prctl(libc::PR_SET_DUMPABLE, 0).map(drop)
}

/// No later `execve` may gain privileges.
///
/// # Errors
/// None known.
pub fn set_no_new_privs() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Whether permitted capabilities survive the next change of the user id.
///
/// # Errors
/// `EPERM` when the securebits lock it.
pub fn set_keep_capabilities(keep: KeepCapabilities) -> Result<(), Errno> {
    prctl(libc::PR_SET_KEEPCAPS, (keep == KeepCapabilities::Yes).into()).map(drop)
}

/// Two words for [`set_keep_capabilities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepCapabilities {
    /// Keep them.
    Yes,
    /// The kernel's default.
    No,
}

/// The signal this process gets when its parent thread dies; 0 = none.
///
/// # Errors
/// `EINVAL`: not a signal.
pub fn set_parent_death_signal(signal: u32) -> Result<(), Errno> {
    prctl(libc::PR_SET_PDEATHSIG, signal.into()).map(drop)
}

/// Orphaned descendants become this process's children.
///
/// # Errors
/// None known.
pub fn set_child_subreaper() -> Result<(), Errno> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

/// Sets the process's execution domain, `personality(2)`.
///
/// # Errors
/// None known.
pub fn set_personality(persona: u64) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_personality, persona) }).map(drop)
}
