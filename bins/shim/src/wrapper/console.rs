//! The socket through which a runtime hands over the master of a terminal.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A socket that waits for one descriptor; it goes with the value.
#[derive(Debug)]
pub struct ConsoleSocket {
    path: PathBuf,
    listener: OwnedFd,
}

impl ConsoleSocket {
    /// Listens in a directory that only root may enter.
    ///
    /// # Errors
    /// `ENAMETOOLONG` for a path above 107 bytes; what the kernel refused.
    pub fn bind(path: &Path) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(path)?)?;
        let socket = Self { path: path.to_owned(), listener };
        rustix::net::listen(&socket.listener, 1)?;
        Ok(socket)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the descriptor, at most `limit`.
    ///
    /// # Errors
    /// `ETIMEDOUT`; `EBADMSG` for a message without a descriptor.
    pub fn receive(&self, limit: Duration) -> Result<OwnedFd, Errno> {
        let deadline = Instant::now() + limit;
        wait(&self.listener, deadline)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = rustix::net::accept_with(&self.listener, flags)?;
        wait(&connection, deadline)?;
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        rustix::net::recvmsg(&connection, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let found = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        found.ok_or(Errno::BADMSG)
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = rustix::fs::unlink(&self.path);
    }
}

fn wait(socket: &OwnedFd, deadline: Instant) -> Result<(), Errno> {
    loop {
        let left = launch::process::timespec(deadline.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_descriptor_comes_through_and_the_socket_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.sock");
        let socket = ConsoleSocket::bind(&path).unwrap();
        let sent = tempfile::tempfile().unwrap();
        container::console::send(&path, "pts", sent.as_fd()).unwrap();
        let received = socket.receive(Duration::from_secs(20)).unwrap();
        let inode = |fd: &dyn Fn() -> rustix::io::Result<rustix::fs::Stat>| fd().unwrap().st_ino;
        assert_eq!(inode(&|| rustix::fs::fstat(&received)), inode(&|| rustix::fs::fstat(&sent)));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn nobody_who_comes_is_an_end_too() {
        let folder = tempfile::tempdir().unwrap();
        let socket = ConsoleSocket::bind(&folder.path().join("s")).unwrap();
        assert_eq!(socket.receive(Duration::from_millis(1)).unwrap_err(), Errno::TIMEDOUT);
    }
}
