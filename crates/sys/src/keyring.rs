//! Session keyrings (`keyctl(2)`).

use core::ffi::CStr;
use rustix::io::Errno;

const KEYCTL_GET_KEYRING_ID: libc::c_int = 0;
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
const KEYCTL_SETPERM: libc::c_int = 5;
const KEYCTL_DESCRIBE: libc::c_int = 6;

/// The session keyring of the calling process, as a special key number.
pub const SESSION: i32 = -3;

/// Joins the session keyring called `name`, or makes it when there is none that may be searched; gives its serial.
///
/// # Errors
/// `EDQUOT`: the user's key quota is used up; `ENOSYS`: a kernel without keyrings; `EPERM` under some filters.
pub fn join_session(name: &CStr) -> Result<i32, Errno> {
    // SAFETY: `name` is a C string that outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    crate::check(result).map(|serial| serial as i32)
}

/// The serial of a special keyring such as [`SESSION`]; nothing is created.
///
/// # Errors
/// `ENOKEY`: there is none.
pub fn serial_of(special: i32) -> Result<i32, Errno> {
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, special, 0) };
    crate::check(result).map(|serial| serial as i32)
}

/// Sets the permission mask of a key.
///
/// # Errors
/// `EACCES`, `ENOKEY`.
pub fn set_permissions(serial: i32, mask: u32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    crate::check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SETPERM, serial, mask) }).map(drop)
}

/// Writes the description `type;uid;gid;perm;name` into `buffer` and gives its whole length with the final zero.
///
/// # Errors
/// `EACCES`, `ENOKEY`.
pub fn describe(serial: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: pointer and length describe one writable slice.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_DESCRIBE, serial, buffer.as_mut_ptr(), buffer.len())
    };
    crate::check(result)
}
