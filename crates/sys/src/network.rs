//! Network interfaces.

use rustix::fd::AsRawFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `struct ifreq` as SIOCGIFFLAGS and SIOCSIFFLAGS use it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// Sets `IFF_UP` on an interface of the caller's network namespace; other flags stay.
///
/// # Errors
/// `ENODEV`: no such interface; `EPERM`; `ENAMETOOLONG`.
pub fn set_up(name: &[u8]) -> Result<(), Errno> {
    let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    if name.len() >= request.name.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (slot, byte) in request.name.iter_mut().zip(name) {
        *slot = *byte;
    }
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: the ioctl reads and writes one struct ifreq, which the request is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &raw mut request) };
    crate::check(result.into())?;
    request.flags |= libc::IFF_UP as i16;
    // SAFETY: as above; the kernel only reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    crate::check(result.into()).map(drop)
}
