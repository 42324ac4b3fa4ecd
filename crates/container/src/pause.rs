//! `pause`: every process of a container stands still.

use crate::{ContainerId, Error, Status, Store, status};
use cgroup::Cgroup;
use proc::Procfs;
use std::time::Duration;

/// How long the kernel may take to stop or release all processes.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Freezes a container; if that is not done within ten seconds it is thawed again.
///
/// # Errors
/// [`Error::NotRunning`] unless it is running or created, [`Error::NoCgroup`], [`Error::Cgroup`].
pub fn pause(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    // Else a pause and a resume could undo each other's work while both wait for theirs to be done.
    let (_lock, record) = status::lock(&proc, &entry, Error::NotRunning { id: id.to_string() })?;
    match status::observe(&proc, &record)?.status {
        Status::Running | Status::Created => {}
        _ => return Err(record.not_running()),
    }
    if record.cgroup.is_empty() {
        return Err(Error::NoCgroup { id: record.id, verb: "pause" });
    }
    Cgroup::new(record.cgroup).freeze(LIMIT).map_err(|error| entry.unless_deleted(Error::Cgroup(error)))
}
