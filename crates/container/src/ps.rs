//! `ps`: the processes of a container.

use crate::{ContainerId, Error, Store};
use cgroup::Cgroup;

/// The pids of all processes in the container's cgroup and the groups below it, as the host numbers them, sorted.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Cgroup`].
pub fn pids(store: &Store, id: &ContainerId) -> Result<Vec<i32>, Error> {
    let record = store.entry(id)?.read()?;
    let cgroup = Cgroup::new(record.cgroup);
    if !cgroup.exists() {
        return Ok(Vec::new());
    }
    let mut pids = cgroup.all_pids().map_err(Error::Cgroup)?;
    pids.sort_unstable();
    Ok(pids)
}
