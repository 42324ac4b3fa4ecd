//! The service manager's `NOTIFY_SOCKET`, carried into a container and back.
//!
//! ```text
//! service manager            sluice                     container
//!   |                          | <------ READY=1 ---------|   on /run/notify/notify.sock
//!   | <------ READY=1 ---------|
//!   | <------ MAINPID=n -------|   the pid as the host sees it
//!   | <------ BARRIER=1 + fd --|   and wait until the manager closed the descriptor
//! ```
//!
//! Source: sd_notify(3). Compat: runc, notify_socket.go: of what the container sends, only `READY=` goes through.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::config::{Config, Mount};

/// The directory inside the container that the host's [`directory`] is bound to.
pub const CONTAINER_DIRECTORY: &str = "/run/notify";
/// What `NOTIFY_SOCKET` is inside the container.
pub const CONTAINER_SOCKET: &str = "/run/notify/notify.sock";

/// The name of the socket's directory below the container's state.
const DIRECTORY: &str = "notify";

/// Messages of the container that are taken in one go; a container that never stops sending must not keep its runtime
/// from signals and from the end of init. Fewer than a queue holds (`net.unix.max_dgram_qlen`, 10 where nobody raised it).
const BATCH: usize = 8;

/// How long `start` waits before it says that it does.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the service manager may take to read what came before, in seconds.
const BARRIER_PATIENCE_S: i64 = 30;

/// What can go wrong on the way between a container and the service manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket for the container cannot be made.
    #[error("make the notify socket {socket}", socket = socket.display())]
    Make {
        /// Its path on the host.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The service manager's socket cannot be reached.
    #[error("connect to NOTIFY_SOCKET {socket}", socket = socket.display())]
    Connect {
        /// Its address.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The service manager did not take a message.
    #[error("send {message:?} to NOTIFY_SOCKET")]
    Send {
        /// The message.
        message: String,
        /// Why.
        source: std::io::Error,
    },
    /// The container's socket cannot be read.
    #[error("read the notify socket of the container")]
    Read(#[source] std::io::Error),
}

/// Where the container's socket lives on the host: a directory of its own below the container's state.
#[must_use]
pub fn directory(state: &Path) -> PathBuf {
    state.join(DIRECTORY)
}

/// Shows the socket's directory to the container: a bind mount, and `NOTIFY_SOCKET` in the environment of its init.
///
/// The directory is made, the socket comes with [`NotifySocket::bind`].
///
/// # Errors
/// [`Error::Make`].
pub fn offer(config: &mut Config, state: &Path) -> Result<(), Error> {
    let source = directory(state);
    make_directory(&source).map_err(|error| Error::Make { socket: source.clone(), source: error })?;
    config.mounts.push(Mount {
        destination: PathBuf::from(CONTAINER_DIRECTORY),
        kind: "bind".into(),
        source: source.to_string_lossy().into_owned(),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(String::from).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut config.process {
        process.env.retain(|variable| !variable.starts_with("NOTIFY_SOCKET="));
        process.env.push(format!("NOTIFY_SOCKET={CONTAINER_SOCKET}"));
    }
    Ok(())
}

/// A socket for the container and a connection to the service manager.
#[derive(Debug)]
pub struct NotifySocket {
    container: UnixDatagram,
    manager: UnixDatagram,
}

impl NotifySocket {
    /// Binds the container's socket in its directory below `state`, and connects to the manager at `host`.
    ///
    /// # Errors
    /// [`Error::Make`], [`Error::Connect`].
    pub fn bind(state: &Path, host: &Path) -> Result<Self, Error> {
        let manager = connect(host).map_err(|source| Error::Connect { socket: host.into(), source })?;
        let socket = directory(state).join("notify.sock");
        let container = listen(&socket).map_err(|source| Error::Make { socket, source })?;
        Ok(Self { container, manager })
    }

    /// Reads what the container sent; when it is ready, says so to the manager with `main_pid`.
    ///
    /// Gives whether it was ready; after that there is nothing more to do. Takes a few messages at most: the descriptor
    /// stays readable while there are more.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Send`].
    pub fn forward(&self, main_pid: i32) -> Result<bool, Error> {
        let mut message = [0_u8; 4096];
        for _ in 0..BATCH {
            let length = match self.container.recv(&mut message) {
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(Error::Read(error)),
            };
            if let Some(ready) = ready_line(&message[..length]) {
                self.report(ready, main_pid)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn report(&self, ready: &[u8], main_pid: i32) -> Result<(), Error> {
        self.send(ready)?;
        self.send(format!("MAINPID={main_pid}").as_bytes())?;
        self.barrier()
    }

    fn send(&self, message: &[u8]) -> Result<(), Error> {
        let text = || String::from_utf8_lossy(message).into_owned();
        self.manager.send(message).map(drop).map_err(|source| Error::Send { message: text(), source })
    }

    /// Source: sd_notify_barrier(3): the manager closes the descriptor once it has read all messages before it.
    fn barrier(&self) -> Result<(), Error> {
        let failed = |source: Errno| Error::Send { message: "BARRIER=1".into(), source: source.into() };
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
        send_with_descriptor(self.manager.as_fd(), b"BARRIER=1", theirs).map_err(failed)?;
        let mut polled = [PollFd::new(&ours, PollFlags::HUP)];
        let patience = Timespec { tv_sec: BARRIER_PATIENCE_S, tv_nsec: 0 };
        match rustix::event::poll(&mut polled, Some(&patience)) {
            Ok(0) => log::warn!("the service manager did not answer BARRIER=1 within {BARRIER_PATIENCE_S} s"),
            Ok(_) => {}
            Err(errno) => return Err(failed(errno)),
        }
        Ok(())
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.container.as_fd()
    }
}

/// Waits until the container said that it is ready, or `pidfd` says that its init is dead.
///
/// # Errors
/// As [`NotifySocket::forward`].
pub fn wait_until_ready(socket: &NotifySocket, pidfd: BorrowedFd<'_>, main_pid: i32) -> Result<(), Error> {
    let mut told = Instant::now();
    loop {
        let mut polled = [PollFd::new(socket, PollFlags::IN), PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        let left = Timespec::try_from(SILENCE.saturating_sub(told.elapsed())).ok();
        match rustix::event::poll(&mut polled, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Read(errno.into())),
        }
        if told.elapsed() >= SILENCE {
            log::info!("start: waiting for READY=1 of the container");
            told = Instant::now();
        }
        let dead = polled[1].revents().contains(PollFlags::IN);
        if socket.forward(main_pid)? || dead {
            return Ok(());
        }
    }
}

/// `theirs` is closed here once it is sent.
fn send_with_descriptor(manager: BorrowedFd<'_>, message: &[u8], theirs: OwnedFd) -> Result<(), Errno> {
    let descriptors = [theirs.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    rustix::net::sendmsg(manager, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// A path, or `@` and an abstract name.
fn connect(host: &Path) -> std::io::Result<UnixDatagram> {
    let manager = UnixDatagram::unbound()?;
    manager.set_write_timeout(Some(Duration::from_secs(10)))?;
    match host.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => manager.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => manager.connect(host)?,
    }
    Ok(manager)
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
}

/// Anybody in the container may write to it: its root can be any user of the host.
fn listen(socket: &Path) -> std::io::Result<UnixDatagram> {
    if let Some(directory) = socket.parent() {
        make_directory(directory)?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let container = UnixDatagram::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o777))?;
    container.set_nonblocking(true)?;
    Ok(container)
}

fn ready_line(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_goes_through_with_the_pid_and_a_barrier() {
        let place = tempfile::tempdir().expect("a directory");
        let host = place.path().join("host.sock");
        let manager = UnixDatagram::bind(&host).expect("the manager's socket");
        let socket = NotifySocket::bind(place.path(), &host).expect("bound");
        let container = UnixDatagram::unbound().expect("a socket");
        container.connect(place.path().join("notify/notify.sock")).expect("connected");
        assert!(!socket.forward(1).expect("nothing there"));
        container.send(b"STATUS=warming up").expect("sent");
        assert!(!socket.forward(1).expect("not ready"));
        container.send(b"STATUS=x\nREADY=1\n").expect("sent");
        // Reading without room for descriptors closes the barrier's, which is the answer to it.
        let reader = std::thread::spawn(move || {
            let mut texts = Vec::new();
            while texts.len() < 3 {
                let mut text = [0_u8; 64];
                let length = manager.recv(&mut text).expect("a message");
                texts.push(String::from_utf8_lossy(&text[..length]).into_owned());
            }
            texts
        });
        assert!(socket.forward(42).expect("ready"));
        assert_eq!(reader.join().expect("read"), ["READY=1", "MAINPID=42", "BARRIER=1"]);
    }

    #[test]
    fn a_container_that_never_stops_sending_does_not_hold_the_runtime() {
        let place = tempfile::tempdir().expect("a directory");
        let host = place.path().join("host.sock");
        let _manager = UnixDatagram::bind(&host).expect("the manager's socket");
        let socket = NotifySocket::bind(place.path(), &host).expect("bound");
        let container = UnixDatagram::unbound().expect("a socket");
        container.connect(place.path().join("notify/notify.sock")).expect("connected");
        container.set_nonblocking(true).expect("no wait");
        let sent = (0..=BATCH).take_while(|_| container.send(b"STATUS=busy").is_ok()).count();
        assert!(sent > BATCH, "the queue takes {sent} messages only");
        assert!(!socket.forward(1).expect("not ready"));
        let mut message = [0_u8; 64];
        let left = socket.container.recv(&mut message).map(|length| message[..length].to_vec());
        assert_eq!(left.expect("one is left for the next round"), b"STATUS=busy");
    }

    #[test]
    fn the_container_is_shown_the_directory_and_told_the_socket() {
        let place = tempfile::tempdir().expect("a directory");
        let mut config =
            Config::parse(br#"{"process":{"env":["NOTIFY_SOCKET=/host","A=1"]}}"#).expect("valid");
        offer(&mut config, place.path()).expect("offered");
        assert_eq!(config.process.expect("a process").env, ["A=1", "NOTIFY_SOCKET=/run/notify/notify.sock"]);
        assert_eq!(Path::new(&config.mounts[0].source), place.path().join("notify"));
        assert!(place.path().join("notify").is_dir());
    }

    #[test]
    fn a_manager_that_is_gone_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let error = NotifySocket::bind(place.path(), Path::new("/no/manager")).expect_err("refused");
        assert_eq!(error.to_string(), "connect to NOTIFY_SOCKET /no/manager");
    }
}
