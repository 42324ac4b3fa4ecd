//! `run`: create, start, and in the foreground wait for the end and delete.

use std::path::Path;

use launch::{Ended, Process};

use crate::create::{self, CreateRequest, Created};
use crate::delete::{self, Force};
use crate::foreground::{Foreground, Subreaper, Supervised};
use crate::notify_socket::{self, NotifySocket};
use crate::{ContainerId, Result, Store, start};

/// What becomes of a container that has ended in the foreground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is deleted.
    No,
    /// Its state stays until `delete`.
    Yes,
}

/// Creates and starts a container, and leaves it.
///
/// # Errors
/// As create and start; a container that cannot be started is deleted.
pub fn detached(store: &Store, request: &CreateRequest) -> Result<()> {
    let created = create::create(store, request)?;
    let notify = begin(store, request)?;
    if let Some(socket) = notify {
        notify_socket::wait_until_ready(&socket, std::os::fd::AsFd::as_fd(&created.pidfd), created.pid)?;
    }
    Ok(())
}

/// Creates and starts a container, waits for its end and says how it ended.
///
/// # Errors
/// As create, start and [`Foreground::supervise`]; a container that cannot be started is deleted.
pub fn foreground(store: &Store, request: &CreateRequest, keep: Keep, subreaper: Subreaper) -> Result<Ended> {
    let foreground = Foreground::prepare(subreaper)?;
    let Created { pid, pidfd, console } = create::create(store, request)?;
    let notify = begin(store, request)?;
    let process = Process { pid, pidfd };
    let ended = foreground.supervise(Supervised { process, console, notify })?;
    if keep == Keep::No {
        discard(store, &request.id);
    }
    Ok(ended)
}

/// Starts a created container and, if a service manager is told about, waits until it is ready.
///
/// # Errors
/// As start; the service manager or the container's notify socket cannot be used.
pub fn start_and_notify(store: &Store, id: &ContainerId, manager: Option<&Path>) -> Result<()> {
    let Some(manager) = manager else { return start::start(store, id) };
    let socket = NotifySocket::bind(&store.directory(id), manager)?;
    start::start(store, id)?;
    let _ = socket;
    Ok(())
}

/// The socket is there before the program is, so that no message finds it missing.
fn begin(store: &Store, request: &CreateRequest) -> Result<Option<NotifySocket>> {
    let started = request
        .notify_socket
        .as_deref()
        .map(|manager| NotifySocket::bind(&store.directory(&request.id), manager).map_err(Into::into))
        .transpose()
        .and_then(|notify| start::start(store, &request.id).map(|()| notify));
    if started.is_err() {
        discard(store, &request.id);
    }
    started
}

/// The caller is owed another answer already, so what goes wrong here can only be logged.
fn discard(store: &Store, id: &ContainerId) {
    if let Err(error) = delete::delete(store, id, Force::Yes) {
        log::error!("delete container {}: {}", id.as_str(), chain(&error));
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
