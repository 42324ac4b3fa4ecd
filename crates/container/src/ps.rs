//! `ps`: the processes of a container.

use crate::{ContainerId, Error, Store, members, status};
use cgroup::Cgroup;
use proc::Procfs;

/// The pids of all processes in the container's cgroup and the groups below it, as the host numbers them, sorted; those
/// in its pid namespace, when it has no cgroup.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Cgroup`]; [`Error::NoCgroup`] without either.
pub fn pids(store: &Store, id: &ContainerId) -> Result<Vec<i32>, Error> {
    let record = store.entry(id)?.read()?;
    if record.cgroup.is_empty() {
        let proc = Procfs::host().map_err(Error::Proc)?;
        let init = status::observe(&proc, &record)?.init;
        return init
            .map_or(Ok(Vec::new()), |init| members::pids(&proc, &record, &init, "list the processes of"));
    }
    let cgroup = Cgroup::new(record.cgroup);
    if !cgroup.exists() {
        return Ok(Vec::new());
    }
    let mut pids = cgroup.all_pids().map_err(Error::Cgroup)?;
    pids.sort_unstable();
    Ok(pids)
}
