//! `resume`: a paused container goes on.

use crate::record::Record;
use crate::store::Entry;
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
    // Before the lock too, which a `create` keeps to its end.
    paused(&proc, &entry)?;
    // Else a pause and a resume could undo each other's work while both wait for theirs to be done.
    let _lock = entry.lock(pause::LIMIT)?;
    let record = paused(&proc, &entry)?;
    Cgroup::new(record.cgroup).thaw(pause::LIMIT).map_err(|error| entry.unless_deleted(Error::Cgroup(error)))
}

fn paused(proc: &Procfs, entry: &Entry) -> Result<Record, Error> {
    let record = entry.read()?;
    match status::observe(proc, &record)?.status {
        Status::Paused => Ok(record),
        _ => Err(Error::NotPaused),
    }
}
