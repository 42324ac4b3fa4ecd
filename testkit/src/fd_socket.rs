//! Receives the descriptor that a runtime sends over `--console-socket` or `--pidfd-socket`.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::hang::GUARD;
use crate::process::wait_readable;

/// A listening unix socket for one descriptor.
#[derive(Debug)]
pub struct FdSocket {
    listener: OwnedFd,
    path: PathBuf,
}

/// What came over the socket.
#[derive(Debug)]
pub struct Received {
    /// The descriptor.
    pub fd: OwnedFd,
    /// The bytes sent with it: the name of the terminal.
    pub name: String,
}

impl FdSocket {
    /// Listens on `path`.
    ///
    /// # Panics
    /// When the path cannot be bound.
    #[must_use]
    pub fn bind(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { listener: listener.into(), path: path.to_owned() }
    }

    /// Path to hand to the runtime.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts one connection and takes the one descriptor sent on it.
    ///
    /// # Panics
    /// When none comes within the hang guard.
    #[must_use]
    #[track_caller]
    pub fn receive(&self) -> Received {
        assert!(wait_readable(&self.listener, *GUARD), "hang guard: nobody connects");
        let stream = rustix::net::accept(&self.listener).unwrap();
        assert!(wait_readable(&stream, *GUARD), "hang guard: nothing sent");
        let mut bytes = [0_u8; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message =
            recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
                .unwrap();
        let mut fds: Vec<OwnedFd> = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights);
            }
        }
        assert_eq!(fds.len(), 1, "one descriptor is sent");
        let name = String::from_utf8_lossy(&bytes[..message.bytes]).into_owned();
        Received { fd: fds.remove(0), name }
    }
}
