//! Terminals of containers: made on the container's own devpts, handed over through an `AF_UNIX` socket.

use std::ffi::CString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sockopt,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::config::ConsoleSize;

/// How long a receiver may take to accept a connection and to make room for one message.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can go wrong with a terminal or with a socket that descriptors are sent through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The container's root has no usable `dev/pts/ptmx`.
    #[error("open /dev/pts/ptmx of the container")]
    OpenPtmx(#[source] Errno),
    /// What is at `dev/pts/ptmx` is not the multiplexer of a devpts.
    #[error("/dev/pts/ptmx of the container is not on a devpts file system: mount one on /dev/pts")]
    NotDevpts,
    /// One step of making the terminal was refused.
    #[error("make a terminal: {step}")]
    Terminal {
        /// The step.
        step: &'static str,
        /// Why.
        source: Errno,
    },
    /// Nobody takes descriptors at the socket's path.
    #[error("connect to {socket}", socket = socket.display())]
    Connect {
        /// The path.
        socket: PathBuf,
        /// Why; `EAGAIN`: nobody accepted within ten seconds.
        source: Errno,
    },
    /// The descriptor could not be sent.
    #[error("send {name:?} to {socket}", socket = socket.display())]
    Send {
        /// The path.
        socket: PathBuf,
        /// The message that goes with the descriptor.
        name: String,
        /// Why; `EAGAIN`: nobody read within ten seconds.
        source: Errno,
    },
}

/// A pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// The end of whoever shows the terminal.
    pub master: OwnedFd,
    /// The end of the program.
    pub peer: OwnedFd,
    /// The peer's path inside the container, such as `/dev/pts/0`.
    pub name: CString,
}

/// Makes a terminal on the devpts of the container whose root `root` is.
///
/// The look-up never leaves the root, and the peer is opened through the master, not by its path: what a container
/// puts into `/dev` cannot make this a terminal of somebody else.
///
/// # Errors
/// [`Error::OpenPtmx`], [`Error::NotDevpts`], [`Error::Terminal`].
pub fn open(root: BorrowedFd<'_>) -> Result<Pty, Error> {
    let master = open_ptmx(root)?;
    let terminal = |step| move |source| Error::Terminal { step, source };
    rustix::pty::unlockpt(&master).map_err(terminal("unlock it"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(terminal("open its peer"))?;
    let name = rustix::pty::ptsname(&master, Vec::new()).map_err(terminal("find its name"))?;
    Ok(Pty { master, peer, name })
}

/// Two steps: what the path names is looked at before a device is opened.
fn open_ptmx(root: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let place =
        rustix::fs::openat2(root, "dev/pts/ptmx", flags, Mode::empty(), inside).map_err(Error::OpenPtmx)?;
    let stat = rustix::fs::fstat(&place).map_err(Error::OpenPtmx)?;
    let system = rustix::fs::fstatfs(&place).map_err(Error::OpenPtmx)?.f_type;
    // Source: include/uapi/linux/magic.h, DEVPTS_SUPER_MAGIC.
    const DEVPTS_SUPER_MAGIC: rustix::fs::FsWord = 0x1cd1;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || system != DEVPTS_SUPER_MAGIC {
        return Err(Error::NotDevpts);
    }
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master =
        rustix::fs::openat2(root, "dev/pts/ptmx", flags, Mode::empty(), inside).map_err(Error::OpenPtmx)?;
    let opened = rustix::fs::fstat(&master).map_err(Error::OpenPtmx)?;
    let same = opened.st_dev == stat.st_dev && opened.st_ino == stat.st_ino;
    if same { Ok(master) } else { Err(Error::NotDevpts) }
}

impl Pty {
    /// Gives the terminal its first size; nothing happens for a size of 0 by 0.
    ///
    /// # Errors
    /// [`Error::Terminal`].
    pub fn resize(&self, size: ConsoleSize) -> Result<(), Error> {
        if size.height == 0 && size.width == 0 {
            return Ok(());
        }
        let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size)
            .map_err(|source| Error::Terminal { step: "set its size", source })
    }

    /// Sends the master through the socket at `socket`, with the peer's name as the message.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Send`].
    pub fn send(&self, socket: &Path) -> Result<(), Error> {
        send(socket, &self.name.to_string_lossy(), self.master.as_fd())
    }
}

/// Connects to an `AF_UNIX` stream socket and sends one descriptor with `name` as the message; waits ten seconds at
/// most for the receiver.
///
/// Compat: runc's `--console-socket` (the terminal's name) and `--pidfd-socket` (the pidfd).
///
/// # Errors
/// [`Error::Connect`], [`Error::Send`].
pub fn send(socket: &Path, name: &str, descriptor: BorrowedFd<'_>) -> Result<(), Error> {
    let connection = connect(socket).map_err(|source| Error::Connect { socket: socket.into(), source })?;
    let failed = |source| Error::Send { socket: socket.into(), name: name.into(), source };
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(failed(Errno::NOBUFS));
    }
    let message = [IoSlice::new(name.as_bytes())];
    rustix::net::sendmsg(&connection, &message, &mut control, SendFlags::NOSIGNAL).map_err(failed)?;
    Ok(())
}

/// Kernel: the send timeout of an `AF_UNIX` stream socket bounds connect(2) as well, which otherwise sleeps while
/// the listener's queue is full (net/unix/af_unix.c, `unix_stream_connect`).
fn connect(socket: &Path) -> Result<OwnedFd, Errno> {
    let connection =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&connection, sockopt::Timeout::Send, Some(PATIENCE))?;
    match SocketAddrUnix::new(socket) {
        Ok(address) => rustix::net::connect(&connection, &address)?,
        Err(Errno::NAMETOOLONG) => connect_from_parent(&connection, socket)?,
        Err(errno) => return Err(errno),
    }
    Ok(connection)
}

/// A socket's address holds 108 bytes of path; a longer path is reached through a descriptor of its directory.
fn connect_from_parent(connection: &OwnedFd, socket: &Path) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(Errno::NAMETOOLONG);
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat(CWD, parent, flags, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
    rustix::net::connect(connection, &SocketAddrUnix::new(&short)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

    use super::*;

    fn host_root() -> OwnedFd {
        rustix::fs::openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("the root")
    }

    fn receive(listener: &UnixListener) -> (String, Vec<OwnedFd>) {
        let (stream, _) = listener.accept().expect("a connection");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0_u8; 4096];
        let mut into = [std::io::IoSliceMut::new(&mut text)];
        let got =
            rustix::net::recvmsg(&stream, &mut into, &mut control, RecvFlags::empty()).expect("a message");
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let descriptors = descriptors.collect();
        (String::from_utf8_lossy(&text[..got.bytes]).into_owned(), descriptors)
    }

    #[test]
    fn a_descriptor_arrives_with_its_name_also_over_a_long_path() {
        for directory in ["short", &"long".repeat(30)] {
            let place = tempfile::tempdir().expect("a directory");
            let directory = place.path().join(directory);
            std::fs::create_dir(&directory).expect("a directory");
            let near = place.path().join("near");
            let listener = UnixListener::bind(&near).expect("a listener");
            let socket = directory.join("socket");
            std::fs::rename(&near, &socket).expect("the socket in its place");
            let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
            send(&socket, "/dev/pts/7", reader.as_fd()).expect("sent");
            let (name, descriptors) = receive(&listener);
            assert_eq!((name.as_str(), descriptors.len()), ("/dev/pts/7", 1));
        }
    }

    #[test]
    fn a_terminal_of_the_host_has_a_name_and_a_size() {
        let pty = open(host_root().as_fd()).expect("a terminal");
        assert!(pty.name.to_string_lossy().starts_with("/dev/pts/"));
        pty.resize(ConsoleSize { height: 12, width: 34 }).expect("resized");
        let size = rustix::termios::tcgetwinsize(&pty.peer).expect("its size");
        assert_eq!((size.ws_row, size.ws_col), (12, 34));
    }

    #[test]
    fn a_planted_ptmx_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("dev/pts")).expect("dev/pts");
        let fd = rustix::fs::openat(CWD, root.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .expect("root");
        assert!(matches!(open(fd.as_fd()), Err(Error::OpenPtmx(Errno::NOENT))));
        std::os::unix::fs::symlink("/dev/null", root.path().join("dev/pts/ptmx")).expect("a link");
        assert!(matches!(open(fd.as_fd()), Err(Error::OpenPtmx(_))));
        rustix::fs::unlinkat(&fd, "dev/pts/ptmx", rustix::fs::AtFlags::empty()).expect("removed");
        rustix::fs::mknodat(&fd, "dev/pts/ptmx", FileType::Fifo, Mode::from_raw_mode(0o666), 0)
            .expect("a fifo");
        assert!(matches!(open(fd.as_fd()), Err(Error::NotDevpts)));
    }

    #[test]
    fn a_socket_without_a_listener_is_named() {
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
        let error = send(Path::new("/no/such/socket"), "x", reader.as_fd()).expect_err("refused");
        assert_eq!(error.to_string(), "connect to /no/such/socket");
    }
}
