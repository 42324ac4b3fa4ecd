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
    let record = entry.read()?;
    if status::observe(&proc, &record)?.status != Status::Paused {
        return Err(Error::NotPaused);
    }
    Cgroup::new(record.cgroup).thaw(pause::LIMIT).map_err(|error| entry.unless_deleted(Error::Cgroup(error)))
}
