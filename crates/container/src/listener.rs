//! The listener of a seccomp filter with a NOTIFY action: handed to the agent named in the profile.
//!
//! Source: runtime-spec, config-linux.md, "The container process state".

use crate::record::Record;
use crate::{Error, Status};
use launch::{Launched, Patience};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg,
    socket_with,
};
use serde_json::json;
use std::mem::MaybeUninit;

/// Sends the listener with the process's state to the agent's socket.
///
/// # Errors
/// [`Error::File`] with the socket's path.
pub(crate) fn hand_over(
    record: &Record,
    (pid, status): (i32, Status),
    listener: BorrowedFd<'_>,
) -> Result<(), Error> {
    let Some(filter) = &record.filter else { return Ok(()) };
    let Some(path) = &filter.listener_path else {
        return Err(Error::Unsupported {
            pointer: "config.json/linux/seccomp/listenerPath".into(),
            reason: "missing, but an action is SCMP_ACT_NOTIFY".into(),
        });
    };
    let state = json!({
        "ociVersion": record.oci_version,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": filter.listener_metadata,
        "state": {
            "ociVersion": record.oci_version,
            "id": record.id,
            "status": status.as_str(),
            "pid": record.init.map_or(pid, |init| init.pid),
            "bundle": record.bundle,
            "annotations": record.annotations,
        },
    });
    send(path, &state.to_string(), listener).map_err(|source| Error::File {
        step: "send the seccomp listener to",
        path: path.clone(),
        source,
    })
}

fn send(path: &std::path::Path, state: &str, listener: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let patience = Some(std::time::Duration::from_secs(10));
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Send, patience)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let descriptors = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&socket, &[IoSlice::new(state.as_bytes())], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Takes a listener that the child sent, or `None` when it ended without sending one or the caller's patience did.
///
/// # Errors
/// [`Error::Step`].
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    child: &mut Launched,
    patience: Patience<'_>,
) -> Result<Option<OwnedFd>, Error> {
    let wrap = |source| Error::Step { step: "receive the seccomp listener", source };
    if !child.hears(socket, patience).map_err(wrap)? {
        return Ok(None);
    }
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC).map_err(wrap)?;
    Ok(control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    }))
}
