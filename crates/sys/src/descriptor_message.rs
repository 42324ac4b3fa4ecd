//! One descriptor sent over an `AF_UNIX` socket, for the child side.

use core::mem::{offset_of, size_of};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// `struct user_msghdr` as the kernel has it; a C library's `msghdr` may have smaller lengths and padding.
///
/// Source: include/linux/socket.h.
#[repr(C)]
struct Message {
    name: *const libc::c_void,
    name_length: libc::c_int,
    vector: *const libc::iovec,
    vector_length: usize,
    control: *const Control,
    control_length: usize,
    flags: libc::c_uint,
}

/// The control message: `struct cmsghdr`, one descriptor of `SCM_RIGHTS`, padded to the alignment of the next.
///
/// Source: include/linux/socket.h.
#[repr(C)]
struct Control {
    length: usize,
    level: libc::c_int,
    kind: libc::c_int,
    descriptor: libc::c_int,
    _padding: libc::c_int,
}

/// Sends one byte of data and one descriptor; never raises SIGPIPE.
///
/// As rustix's `sendmsg`, but without the panics of a control buffer of any length.
///
/// Source: unix(7), cmsg(3).
///
/// # Errors
/// The errno of sendmsg(2).
pub fn send(socket: BorrowedFd<'_>, data: u8, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let control = Control {
        length: offset_of!(Control, descriptor) + size_of::<libc::c_int>(),
        level: libc::SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        descriptor: descriptor.as_raw_fd(),
        _padding: 0,
    };
    let mut byte = data;
    let vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = Message {
        name: core::ptr::null(),
        name_length: 0,
        vector: &raw const vector,
        vector_length: 1,
        control: &raw const control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    // SAFETY: the message points at a byte and a control message on this stack, with their lengths.
    let result = unsafe {
        libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    crate::check(result).map(drop)
}
