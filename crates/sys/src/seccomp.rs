//! Loading of a ready-made seccomp filter.

use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: the call gives a descriptor on which notifications arrive.
pub const NEW_LISTENER: u32 = 1 << 3;

/// One instruction of classic BPF, `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump distance when true.
    pub jt: u8,
    /// Jump distance when false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    filter: *const Instruction,
}

/// Installs `filter` on the calling thread with `SECCOMP_FILTER_FLAG_*` bits; gives the listener when
/// [`NEW_LISTENER`] is among them.
///
/// # Errors
/// `EINVAL`: the filter is empty, too long or not valid; `EACCES`: neither `no_new_privs` nor `CAP_SYS_ADMIN`;
/// `EBUSY`: there is a listener already.
pub fn load(filter: &[Instruction], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    let length = u16::try_from(filter.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, filter: filter.as_ptr() };
    // SAFETY: the program says pointer and length of one slice, which the kernel copies.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let value = crate::check(result)?;
    if flags & NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the result is a fresh descriptor that nobody else owns.
    unsafe { crate::open::owned(value) }.map(Some)
}
