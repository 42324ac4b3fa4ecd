//! `update`: new limits for a container that runs.

use crate::record::Record;
use crate::store::Entry;
use crate::{ContainerId, Error, Status, Store, error, placement, status};
pub use cgroup::Resources;
use cgroup::systemd::{self, Unit};
use cgroup::{Applied, Cgroup, Kind};
use proc::Procfs;

/// Applies the limits that are set in `wanted`; the others stay.
///
/// The kernel's values, systemd's and the state on disk change together: when one of them cannot be changed, the others
/// get their former values back. Device rules stay as `create` made them, whatever `wanted` says.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotRunning`] (also while it is being created: `create` alone writes its state then),
/// [`Error::NoCgroup`], [`Error::Update`], [`Error::WriteState`], [`Error::Busy`].
pub fn update(store: &Store, id: &ContainerId, wanted: &Resources) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(id)?;
    apply(&proc, id, &entry, &without_devices(wanted)).map_err(|error| entry.unless_deleted(error))
}

/// A caller that sends all of `linux.resources` back, as kubelet does through containerd again and again, has not what
/// `create` added to the device rules: applied as they are, they would take `/dev/null` from a running program.
///
/// Compat: runc, `update`: device rules are skipped.
fn without_devices(wanted: &Resources) -> Resources {
    Resources { devices: Vec::new(), ..wanted.clone() }
}

fn apply(proc: &Procfs, id: &ContainerId, entry: &Entry, wanted: &Resources) -> Result<(), Error> {
    let (lock, record) = status::lock(proc, entry, Error::NotRunning { id: id.to_string() })?;
    if status::observe(proc, &record)?.status == Status::Stopped {
        return Err(record.not_running());
    }
    if record.cgroup.is_empty() {
        return Err(Error::NoCgroup { id: record.id, verb: "update" });
    }
    entry.sweep(&lock);
    let cgroup = Cgroup::new(record.cgroup.clone());
    let resources = merged(record.resources.as_ref(), wanted)?;
    let touched = touched(&resources, wanted);
    let applied = cgroup
        .apply(&touched)
        .map_err(|source| Error::Update { outcome: "the former limits are in force", source })?;
    let change = Change { unit: record.unit.as_ref(), kind: cgroup.kind(), applied };
    if let Some(unit) = change.unit
        && let Err(error) = tell_systemd(unit, &cgroup, (&touched, &resources))
    {
        change.undo();
        return Err(error);
    }
    let written = Record { resources: Some(resources), generation: record.generation + 1, ..record.clone() };
    entry.write(&written).inspect_err(|_| change.undo())
}

/// What an update changed so far.
struct Change<'a> {
    /// The unit whose systemd was told.
    unit: Option<&'a Unit>,
    kind: Kind,
    applied: Applied,
}

impl Change<'_> {
    /// systemd goes first, since it writes its files anew when it is told of limits.
    fn undo(self) {
        if let Some(unit) = self.unit
            && let Err(cause) = placement::tell(unit, &systemd::former(self.kind, &self.applied))
        {
            log::error!("systemd may keep a new limit of unit {}: {}", unit.name, error::chain(&cause));
        }
        for error in self.applied.undo() {
            log::error!("a new limit is kept, since the former one cannot be written back: {error}");
        }
    }
}

/// systemd writes all files of a controller anew when it is told of one limit, so what it does not know, or knows less
/// exactly, is written once more.
fn tell_systemd(unit: &Unit, cgroup: &Cgroup, (new, all): (&Resources, &Resources)) -> Result<(), Error> {
    placement::tell(unit, &systemd::limits(cgroup.kind(), new).map_err(Error::Cgroup)?)?;
    let mut all = without_devices(all);
    if let Some(memory) = &mut all.memory {
        // It was checked with the first write.
        memory.check_before_update = None;
    }
    let written = cgroup.apply(&all);
    written.map(drop).map_err(|source| Error::Update { outcome: "the former limits are in force", source })
}

/// Of all limits the groups of fields that `wanted` speaks of: the kernel's files of one group depend on each other (on
/// v2 swap means nothing without memory, a period nothing without its quota).
fn touched(all: &Resources, wanted: &Resources) -> Resources {
    Resources {
        memory: wanted.memory.as_ref().and(all.memory.clone()),
        cpu: wanted.cpu.as_ref().and(all.cpu.clone()),
        ..wanted.clone()
    }
}

/// The former limits with the wanted ones over them, field by field.
fn merged(former: Option<&Resources>, wanted: &Resources) -> Result<Resources, Error> {
    let Some(former) = former else { return Ok(wanted.clone()) };
    let mut tree = serde_json::to_value(former).map_err(Error::EncodeState)?;
    lay_over(&mut tree, serde_json::to_value(wanted).map_err(Error::EncodeState)?);
    serde_json::from_value(tree).map_err(Error::EncodeState)
}

fn lay_over(former: &mut serde_json::Value, wanted: serde_json::Value) {
    use serde_json::Value;
    match (former, wanted) {
        (Value::Object(former), Value::Object(wanted)) => {
            for (name, value) in wanted {
                lay_over(former.entry(name).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (former, wanted) => *former = wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_wanted_anew_stay() {
        let parse = |text| serde_json::from_str::<Resources>(text).unwrap();
        let former = parse(r#"{"memory":{"limit":4096,"swap":8192},"pids":{"limit":7}}"#);
        let wanted = parse(r#"{"memory":{"limit":1024}}"#);
        let expected = parse(r#"{"memory":{"limit":1024,"swap":8192},"pids":{"limit":7}}"#);
        assert_eq!(merged(Some(&former), &wanted).unwrap(), expected);
        assert_eq!(merged(None, &wanted).unwrap(), wanted);
    }

    #[test]
    fn device_rules_are_those_of_create() {
        let parse = |text| serde_json::from_str::<Resources>(text).unwrap();
        let former =
            parse(r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":3}],"pids":{"limit":7}}"#);
        let wanted = without_devices(&parse(r#"{"devices":[{"allow":false}],"pids":{"limit":8}}"#));
        let merged = merged(Some(&former), &wanted).unwrap();
        assert_eq!((&merged.devices, &merged.pids), (&former.devices, &wanted.pids));
        assert!(touched(&merged, &wanted).devices.is_empty());
    }
}
