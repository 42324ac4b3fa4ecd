//! One descriptor sent over an `AF_UNIX` socket, for the child side.

use core::mem::size_of;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// The control message: one `SCM_RIGHTS` with one descriptor, padded to the alignment of the next.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
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
    let header = libc::cmsghdr {
        cmsg_len: size_of::<libc::cmsghdr>() + size_of::<libc::c_int>(),
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    let mut control = Control { header, descriptor: descriptor.as_raw_fd(), _padding: 0 };
    let mut byte = data;
    let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = libc::msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut vector,
        msg_iovlen: 1,
        msg_control: (&raw mut control).cast(),
        msg_controllen: size_of::<Control>(),
        msg_flags: 0,
    };
    // SAFETY: the message points at a byte and a control message on this stack, with their lengths.
    let result = unsafe {
        libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    crate::check(result).map(drop)
}
