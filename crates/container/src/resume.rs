//! `resume`: a paused container goes on.

use crate::{ContainerId, Error, Status, Store, pause, status};
use cgroup::Cgroup;
use proc::Procfs;

/// Thaws a container.
///
/// # Errors
/// [`Error::NotPaused`], [`Error::Cgroup`].
pub fn resume(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    // Else a pause and a resume could undo each other's work while both wait for theirs to be done.
    let (_lock, record) = status::lock(&proc, &entry, Error::NotPaused)?;
    if status::observe(&proc, &record)?.status != Status::Paused {
        return Err(Error::NotPaused);
    }
    Cgroup::new(record.cgroup).thaw(pause::LIMIT).map_err(|error| entry.unless_deleted(Error::Cgroup(error)))
}
