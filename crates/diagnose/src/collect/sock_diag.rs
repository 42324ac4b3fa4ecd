//! Unix sockets with their peers and queues, from the kernel's socket diagnosis.
//!
//! Source: sock_diag(7), include/uapi/linux/unix_diag.h.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::snapshot::UnixSocket;
use crate::snapshot::socket::SocketState;

/// `SOCK_DIAG_BY_FAMILY`, of requests and answers.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH`.
const DUMP_REQUEST: u16 = 0x301;
/// `UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN`.
const SHOW: u32 = 0x01 | 0x04 | 0x10;
/// Attributes: `UNIX_DIAG_NAME`, `UNIX_DIAG_PEER`, `UNIX_DIAG_RQLEN`.
const NAME: u16 = 0;
const PEER: u16 = 2;
const QUEUES: u16 = 4;
/// Sizes of `struct nlmsghdr` and `struct unix_diag_msg`.
const HEADER: usize = 16;
const MESSAGE: usize = 16;

/// Asks for every unix socket of the network namespace.
///
/// # Errors
/// The kernel's errno; `ENOENT` when it has no `unix_diag`.
pub(super) fn unix_sockets() -> Result<Vec<UnixSocket>, Errno> {
    ask(u32::MAX)
}

/// Asks for the listening ones alone.
///
/// # Errors
/// As [`unix_sockets`].
pub(super) fn listening() -> Result<Vec<UnixSocket>, Errno> {
    // Source: include/net/tcp_states.h, `TCP_LISTEN` is 10.
    ask(1 << 10)
}

fn ask(states: u32) -> Result<Vec<UnixSocket>, Errno> {
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    send(&socket, &request(states), SendFlags::empty())?;
    let mut sockets = Vec::new();
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        let (count, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let (found, end) = parse(&buffer[..count]);
        sockets.extend(found);
        match end {
            End::More => {}
            End::Done => return Ok(sockets),
            End::Refused(errno) => return Err(errno),
        }
    }
}

/// `struct nlmsghdr` and `struct unix_diag_req`.
fn request(states: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend_from_slice(&40_u32.to_ne_bytes());
    bytes.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&DUMP_REQUEST.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    // Family AF_UNIX, protocol, padding; then the states, any inode, what to show, no cookie.
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes.extend_from_slice(&states.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(&SHOW.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// What follows a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// More of them.
    More,
    /// Nothing.
    Done,
    /// The kernel gave up.
    Refused(Errno),
}

/// Reads one datagram of answers. Whatever is not in the documented form is left out.
#[must_use]
pub fn parse(mut bytes: &[u8]) -> (Vec<UnixSocket>, End) {
    let mut sockets = Vec::new();
    while let Some((length, kind)) = u32_at(bytes, 0).zip(u16_at(bytes, 4)) {
        let length = length as usize;
        if length < HEADER || length > bytes.len() {
            break;
        }
        let body = &bytes[HEADER..length];
        match kind {
            DONE => return (sockets, End::Done),
            ERROR => {
                let negative = u32_at(body, 0).map_or(0, |number| number.cast_signed());
                let number = u16::try_from(negative.unsigned_abs()).unwrap_or_default();
                return (sockets, End::Refused(sys::errno_from(number)));
            }
            BY_FAMILY => sockets.extend(socket(body)),
            _ => {}
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    (sockets, End::More)
}

/// `struct unix_diag_msg` with its attributes.
fn socket(body: &[u8]) -> Option<UnixSocket> {
    let state = *body.get(2)?;
    let mut socket = UnixSocket { inode: u32_at(body, 4)?.into(), ..UnixSocket::default() };
    // Source: include/net/tcp_states.h; the states that unix sockets take.
    socket.state = match state {
        1 => SocketState::Connected,
        10 => SocketState::Listening,
        4..=9 | 11 => SocketState::Closing,
        _ => SocketState::Unconnected,
    };
    let mut rest = body.get(MESSAGE..)?;
    while let Some((length, kind)) = u16_at(rest, 0).zip(u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        match kind {
            NAME => socket.path = Some(path(value)),
            PEER => socket.peer = u32_at(value, 0).map(u64::from).filter(|inode| *inode != 0),
            QUEUES => (socket.receive_queue, socket.send_queue) = (u32_at(value, 0), u32_at(value, 4)),
            _ => {}
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Some(socket)
}

/// A path, or an abstract name with `@` for each zero byte.
fn path(bytes: &[u8]) -> String {
    let bytes =
        if bytes.first() == Some(&0) { bytes } else { bytes.split(|it| *it == 0).next().unwrap_or(bytes) };
    String::from_utf8_lossy(bytes).replace('\0', "@")
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::linux::fs::MetadataExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;

    fn inode(fd: impl std::os::fd::AsFd) -> u64 {
        std::fs::File::from(fd.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().st_ino()
    }

    #[test]
    fn both_ends_of_a_connection_find_each_other() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("door.sock");
        let door = UnixListener::bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        std::io::Write::write_all(&mut client, b"12345").unwrap();
        let before = unix_sockets().unwrap();
        let waiting = before.iter().find(|socket| socket.inode == inode(&door)).unwrap();
        assert_eq!((waiting.state, waiting.receive_queue), (SocketState::Listening, Some(1)));
        assert_eq!(waiting.path.as_deref(), path.to_str());

        let (server, _) = door.accept().unwrap();
        let after = unix_sockets().unwrap();
        let end = after.iter().find(|socket| socket.inode == inode(&server)).unwrap();
        assert_eq!((end.state, end.peer), (SocketState::Connected, Some(inode(&client))));
        assert!(end.receive_queue >= Some(5), "{end:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
