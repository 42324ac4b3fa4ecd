//! `update`: new limits for a container that runs.

use crate::{ContainerId, Error, Status, Store, status};
use cgroup::{Cgroup, Resources};
use proc::Procfs;
use std::time::Duration;

/// How long another command may keep the container.
const BUSY: Duration = Duration::from_secs(10);

/// Applies the limits that are set in `wanted`; the others stay.
///
/// The kernel's values and the state on disk change together: when the state cannot be written, the former values are
/// written back.
///
/// # Errors
/// [`Error::NotRunning`], [`Error::Update`], [`Error::WriteState`], [`Error::Busy`].
pub fn update(store: &Store, id: &ContainerId, wanted: &Resources) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    let lock = entry.lock(BUSY)?;
    entry.sweep(&lock);
    let mut record = entry.read()?;
    if status::observe(&proc, &record)?.status == Status::Stopped {
        return Err(Error::NotRunning);
    }
    let cgroup = Cgroup::new(record.cgroup.clone());
    let applied = cgroup
        .apply(wanted)
        .map_err(|source| Error::Update { outcome: "the former limits are in force", source })?;
    let mut resources = record.resources.take().unwrap_or_default();
    resources.merge(wanted);
    record.resources = Some(resources);
    record.generation += 1;
    entry.write(&record).inspect_err(|_| {
        for error in applied.undo() {
            log::error!("a new limit is kept, since the former one cannot be written back: {error}");
        }
    })
}
