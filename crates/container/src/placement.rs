//! Which groups a container gets, and who makes them: we ourselves, or systemd.
//!
//! With systemd the groups are those of a unit. Init, which is born outside, is moved in by systemd: a caller without
//! rights in its own group could not do that itself. The unit and its groups are in the record as soon as systemd says
//! that it made them, and not before: until then a unit of that name is somebody else's, for `delete` too. When `create`
//! dies in between, init ends, and a scope without processes ends by itself; a slice stays, empty.

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
        if let Some(path) = cgroups_path.filter(|path| names_a_scope(path)) {
            log::warn!(
                "linux/cgroupsPath {path:?} names a slice and a scope, but systemd is not asked to make groups: that is the \
                 name of a directory then; whoever wrote it uses the systemd driver (SystemdCgroup, --systemd-cgroup)"
            );
        }
        let paths = cgroup::resolve(layout, cgroups_path, id.as_str()).map_err(Error::Cgroup)?;
        return Ok(Placement { paths, systemd: None });
    };
    let unit = Unit::parse(cgroups_path, id.as_str(), *owner, bus.clone()).map_err(refused)?;
    let mut manager = Manager::connect(bus, systemd::LIMIT).map_err(refused)?;
    let top = manager.control_group().map_err(refused)?;
    let paths = unit.paths(layout, &top);
    Ok(Placement { paths, systemd: Some(Systemd { unit, manager }) })
}

/// Whether a path is written in the form `SLICE:PREFIX:NAME`, which the systemd driver takes.
fn names_a_scope(path: &str) -> bool {
    let mut parts = path.split(':');
    parts.next().is_some_and(|slice| slice.ends_with(".slice")) && parts.count() == 2
}

impl Systemd {
    /// Lets systemd make the unit with init in it.
    ///
    /// # Errors
    /// [`Error::Cgroup`], [`Error::UnitElsewhere`].
    pub(crate) fn start(
        &mut self,
        proc: &Procfs,
        (record, cgroup, resources): (&Record, &Cgroup, &Resources),
        pid: i32,
    ) -> Result<(), Error> {
        let mut properties = systemd::membership(&self.unit, &format!("sluice container {}", record.id), pid);
        properties.extend(systemd::limits(cgroup.kind(), resources).map_err(Error::Cgroup)?);
        properties.extend(systemd::annotated(&record.annotations).map_err(refused)?);
        let is_there = || is_member(proc, pid, &self.unit);
        self.manager.start(&self.unit, &properties, &is_there).map_err(refused)?;
        if cgroup.exists() && (self.unit.is_slice() || is_member(proc, pid, &self.unit)) {
            return Ok(());
        }
        Err(Error::UnitElsewhere { unit: self.unit.name.clone(), path: cgroup.paths().main().to_owned() })
    }

    /// Whether the unit may be there because of this container; one that was there before is somebody else's.
    pub(crate) fn has_begun(&self) -> bool {
        self.manager.has_begun()
    }
}

/// Makes the groups that systemd does not know (on v1), and moves init into them and into that of a slice.
///
/// # Errors
/// [`Error::Cgroup`].
pub(crate) fn fill(proc: &Procfs, cgroup: &Cgroup, pid: i32) -> Result<(), Error> {
    cgroup.create().map_err(Error::Cgroup)?;
    let layout = Layout::of(proc).map_err(Error::Cgroup)?;
    let present = Paths::of_process(&layout, &proc.cgroups(pid).map_err(Error::Proc)?);
    cgroup.adopt(pid, &present).map_err(Error::Cgroup)
}

fn is_member(proc: &Procfs, pid: i32, unit: &Unit) -> bool {
    let groups = proc.cgroups(pid).unwrap_or_default();
    groups.iter().any(|group| group.path.file_name() == Some(unit.name.as_ref()))
}

/// Tells systemd of limits that were written, so that it does not take them back.
///
/// # Errors
/// [`Error::Cgroup`].
pub(crate) fn tell(unit: &Unit, properties: &[systemd::Property]) -> Result<(), Error> {
    if properties.is_empty() {
        return Ok(());
    }
    connect(unit, systemd::LIMIT)?.set_properties(unit, properties).map_err(refused)
}

/// Lets systemd forget a container's unit. Its processes and groups are gone, so that it would end by itself: whatever
/// hinders that is only worth a warning.
pub(crate) fn forget(record: &Record) {
    let Some(unit) = &record.unit else { return };
    let stopped = connect(unit, STOP_LIMIT).and_then(|mut manager| manager.stop(unit).map_err(refused));
    if let Err(cause) = stopped {
        log::warn!("unit {} is left to systemd: {}", unit.name, error::chain(&cause));
    }
}

fn connect(unit: &Unit, limit: Duration) -> Result<Manager, Error> {
    Manager::connect(&unit.bus, limit).map_err(refused)
}

fn refused(error: systemd::Error) -> Error {
    Error::Cgroup(error.into())
}
