//! `run`: create, start, and in the foreground wait for the end and delete.

use std::os::fd::AsFd;
use std::path::Path;

use launch::{Ended, Process};

use crate::create::{self, CreateRequest, Created, Known};
use crate::delete::{self, Force};
use crate::foreground::{Foreground, Subreaper, Supervised};
use crate::notify_socket::{self, NotifySocket};
use crate::store::Entry;
use crate::{ContainerId, Error, Store, start, status};

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
pub fn detached(store: &Store, request: &CreateRequest) -> Result<(), Error> {
    let (created, mut known) = create::create_known(store, request)?;
    let notify = begin(store, request, &mut known)?;
    if let Some(socket) = notify {
        notify_socket::wait_until_ready(&socket, created.pidfd.as_fd(), created.pid)?;
    }
    Ok(())
}

/// Creates and starts a container, waits for its end and says how it ended.
///
/// # Errors
/// As create, start and [`Foreground::supervise`]; a container that cannot be started is deleted.
pub fn foreground(
    store: &Store,
    request: &CreateRequest,
    keep: Keep,
    subreaper: Subreaper,
) -> Result<Ended, Error> {
    let (Created { pid, pidfd, console }, mut known) = create::create_known(store, request)?;
    // Only now: create may wait for hooks of unknown length, which Ctrl-C must be able to end.
    let foreground = Foreground::prepare(subreaper).inspect_err(|_| discard(store, &mut known))?;
    let notify = begin(store, request, &mut known)?;
    let process = Process { pid, pidfd };
    let ended = foreground.supervise(Supervised { process, console, notify });
    if keep == Keep::No || ended.is_err() {
        discard(store, &mut known);
    }
    Ok(ended?)
}

/// Starts a created container and, if a service manager is told about, waits until it is ready.
///
/// # Errors
/// As start; the service manager or the container's notify socket cannot be used.
pub fn start_and_notify(store: &Store, id: &ContainerId, manager: Option<&Path>) -> Result<(), Error> {
    let Some(manager) = manager else { return start::start(store, id) };
    let entry = store.entry(id)?;
    if !notify_socket::directory(entry.path()).is_dir() {
        log::debug!("NOTIFY_SOCKET is ignored: container {id} was created without it");
        return start::start(store, id);
    }
    let socket = NotifySocket::bind(entry.path(), manager)?;
    let proc = proc::Procfs::host().map_err(Error::Proc)?;
    let init = status::observe(&proc, &entry.read()?)?.init;
    start::start(store, id)?;
    match init {
        Some(init) => Ok(notify_socket::wait_until_ready(&socket, init.pidfd.as_fd(), init.pid)?),
        None => Ok(()),
    }
}

/// The socket is there before the program is, so that no message finds it missing.
fn begin(store: &Store, request: &CreateRequest, known: &mut Known) -> Result<Option<NotifySocket>, Error> {
    let notify = bind(request, &known.entry);
    let started = notify.and_then(|notify| {
        start::start_seen(&known.proc, &known.entry, &mut known.seen)?;
        Ok(notify)
    });
    if started.is_err() {
        discard(store, known);
    }
    started
}

fn bind(request: &CreateRequest, entry: &Entry) -> Result<Option<NotifySocket>, Error> {
    let Some(manager) = &request.notify_socket else { return Ok(None) };
    Ok(Some(NotifySocket::bind(entry.path(), manager)?))
}

/// The caller is owed another answer already, so what goes wrong here can only be logged.
fn discard(store: &Store, known: &mut Known) {
    if let Err(error) = delete::delete_seen(store, known, Force::Yes) {
        log::error!("delete container {}: {}", known.entry.id(), crate::chain(&error));
    }
}
