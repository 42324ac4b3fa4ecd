//! The service manager's end of `NOTIFY_SOCKET`.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::hang::GUARD;

/// A datagram socket as systemd offers it to a service.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds the socket at `path`.
    ///
    /// # Panics
    /// When the path cannot be bound.
    #[must_use]
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(*GUARD)).unwrap();
        Self { socket, path: path.to_owned() }
    }

    /// Value for `NOTIFY_SOCKET`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes within the hang guard.
    #[must_use]
    #[track_caller]
    pub fn receive(&self) -> String {
        let mut bytes = [0_u8; 4096];
        let length = self.socket.recv(&mut bytes).expect("a notification within the hang guard");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}
