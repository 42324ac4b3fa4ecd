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
    let record = store.entry(id)?.read()?;
    if status::observe(&proc, &record)?.status != Status::Paused {
        return Err(Error::NotPaused);
    }
    Cgroup::new(record.cgroup).thaw(pause::LIMIT).map_err(Error::Cgroup)
}
