//! User, group and supplementary group ids of the calling thread alone.
//!
//! glibc's functions of the same names signal all threads of the process; these do not, so that a fork child can
//! use them.

use rustix::io::Errno;

/// `setresuid(uid, uid, uid)`.
///
/// # Errors
/// `EINVAL`: the id is not mapped in this user namespace; `EPERM`; `EAGAIN`.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// `setresgid(gid, gid, gid)`.
///
/// # Errors
/// `EINVAL`: the id is not mapped in this user namespace; `EPERM`.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Replaces the supplementary groups.
///
/// # Errors
/// `EPERM`: also when `/proc/PID/setgroups` of the user namespace says `deny`; `EINVAL`: an id is not mapped.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: pointer and length describe one slice of gid_t, which is u32 on every Linux.
    crate::check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}
