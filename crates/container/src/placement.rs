//! Which groups a container gets, and who makes them: we ourselves, or systemd.
//!
//! With systemd the groups are those of a unit. Its name is in the record before systemd hears of it, and init, which
//! is born outside, is moved in by systemd: a caller without rights in its own group could not do that itself.

use crate::record::Record;
use crate::{ContainerId, Error, error};
use cgroup::systemd::{self, Manager, Unit};
pub use cgroup::systemd::{Address, Owner};
use cgroup::{Cgroup, Layout, Paths, Resources};
use proc::Procfs;
use std::time::Duration;

/// Who makes a container's groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// We do, in the file system.
    Cgroupfs,
    /// systemd does (`--systemd-cgroup`).
    Systemd {
        /// Which systemd.
        owner: Owner,
        /// Where it is reached.
        bus: Address,
    },
}

/// How long a unit may take to go: without processes it has nothing to wait for.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The groups of a container that is being created.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) paths: Paths,
    pub(crate) systemd: Option<Systemd>,
}

/// A unit that systemd is asked for, and the conversation in which it is asked.
#[derive(Debug)]
pub(crate) struct Systemd {
    pub(crate) unit: Unit,
    manager: Manager,
}

/// Finds the groups for a new container; makes nothing.
///
/// # Errors
/// [`Error::Cgroup`]: a path that names no group or unit, or a systemd that cannot be reached.
pub(crate) fn find(
    driver: &Driver,
    layout: &Layout,
    cgroups_path: Option<&str>,
    id: &ContainerId,
) -> Result<Placement, Error> {
    let Driver::Systemd { owner, bus } = driver else {
        let paths = cgroup::resolve(layout, cgroups_path, id.as_str()).map_err(Error::Cgroup)?;
        return Ok(Placement { paths, systemd: None });
    };
    let wrap = |error: systemd::Error| Error::Cgroup(error.into());
    let unit = Unit::parse(cgroups_path, id.as_str(), *owner, bus.clone()).map_err(wrap)?;
    let mut manager = Manager::connect(bus, systemd::LIMIT).map_err(wrap)?;
    let top = manager.control_group().map_err(wrap)?;
    let paths = unit.paths(layout, &top);
    Ok(Placement { paths, systemd: Some(Systemd { unit, manager }) })
}

impl Systemd {
    /// Lets systemd make the unit with init in it, then makes the groups that systemd does not know (on v1) and moves
    /// init into them too.
    ///
    /// # Errors
    /// [`Error::Cgroup`], [`Error::UnitElsewhere`].
    pub(crate) fn place(
        &mut self,
        proc: &Procfs,
        (record, resources): (&Record, &Resources),
        pid: i32,
    ) -> Result<(), Error> {
        let cgroup = Cgroup::new(record.cgroup.clone());
        let mut properties = systemd::membership(&self.unit, &format!("sluice container {}", record.id), pid);
        properties.extend(limits(&cgroup, resources)?);
        let annotated =
            systemd::annotated(&record.annotations).map_err(|error| Error::Cgroup(error.into()))?;
        properties.extend(annotated);
        let is_there = || is_member(proc, pid, &self.unit);
        self.manager
            .start(&self.unit, &properties, &is_there)
            .map_err(|error| Error::Cgroup(error.into()))?;
        let main = cgroup.paths().main();
        if !self.unit.is_slice() && !is_member(proc, pid, &self.unit) || !main.is_dir() {
            return Err(Error::UnitElsewhere { unit: self.unit.name.clone(), path: main.to_owned() });
        }
        cgroup.create().map_err(Error::Cgroup)?;
        let layout = Layout::of(proc).map_err(Error::Cgroup)?;
        let present = Paths::of_process(&layout, &proc.cgroups(pid).map_err(Error::Proc)?);
        cgroup.adopt(pid, &present).map_err(Error::Cgroup)
    }

    /// Whether the unit may be there because of this container; one that was there before is somebody else's.
    pub(crate) fn has_begun(&self) -> bool {
        self.manager.has_begun()
    }
}

fn limits(cgroup: &Cgroup, resources: &Resources) -> Result<Vec<systemd::Property>, Error> {
    systemd::limits(cgroup.kind(), resources).map_err(Error::Cgroup)
}

fn is_member(proc: &Procfs, pid: i32, unit: &Unit) -> bool {
    let groups = proc.cgroups(pid).unwrap_or_default();
    groups.iter().any(|group| group.path.file_name() == Some(unit.name.as_ref()))
}

/// Tells systemd of limits that were written, so that it does not take them back.
///
/// # Errors
/// [`Error::Cgroup`].
pub(crate) fn tell(unit: &Unit, cgroup: &Cgroup, resources: &Resources) -> Result<(), Error> {
    let properties = limits(cgroup, resources)?;
    if properties.is_empty() {
        return Ok(());
    }
    let mut manager = connect(unit, systemd::LIMIT)?;
    manager.set_properties(unit, &properties).map_err(|error| Error::Cgroup(error.into()))
}

/// Lets systemd forget a container's unit. Its processes and groups are gone, so that it would end by itself: whatever
/// hinders that is only worth a warning.
pub(crate) fn forget(record: &Record) {
    let Some(unit) = &record.unit else { return };
    let stopped = connect(unit, STOP_LIMIT)
        .and_then(|mut manager| manager.stop(unit).map_err(|error| Error::Cgroup(error.into())));
    if let Err(cause) = stopped {
        log::warn!("unit {} is left to systemd: {}", unit.name, error::chain(&cause));
    }
}

fn connect(unit: &Unit, limit: Duration) -> Result<Manager, Error> {
    Manager::connect(&unit.bus, limit).map_err(|error| Error::Cgroup(error.into()))
}
