//! What the tree of groups says: its mount, and the levels above a group.

use std::path::Path;

use proc::kv::{self, Amount};
use rustix::io::Errno;

use crate::file;

/// The outermost group above, where the hierarchy is mounted.
pub(super) fn top(path: &Path) -> Option<&Path> {
    path.ancestors().filter(|level| level.join("cgroup.procs").exists()).last()
}

/// The mount that forbids changes.
pub(crate) fn read_only(path: &Path, errno: Errno) -> Option<String> {
    (errno == Errno::ROFS).then_some(())?;
    Some(format!("{} is mounted read-only", top(path)?.display()))
}

/// Why a group could not be made.
pub(crate) fn not_made(path: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::AGAIN => too_many(path),
        errno => read_only(path, errno),
    }
}

/// The nearest level above whose limit on groups is reached.
///
/// Source: `cgroup_check_hierarchy_limits` in kernel/cgroup/cgroup.c.
fn too_many(path: &Path) -> Option<String> {
    path.ancestors().skip(1).zip(1_u64..).find_map(|(level, depth)| {
        let below = kv::lookup(&file::try_read(&level.join("cgroup.stat")).ok()?, "nr_descendants")?;
        let is_reached = |name: &str, count: u64| {
            let text = file::try_read(&level.join(name)).ok()?;
            let limit = text.parse::<Amount>().ok()?.number()?;
            (count > limit).then(|| format!("{name} of {} is {limit}", level.display()))
        };
        is_reached("cgroup.max.descendants", below + 1).or_else(|| is_reached("cgroup.max.depth", depth))
    })
}

/// Whether the group has processes of its own, which forbids it to limit nested groups.
pub(crate) fn has_own_processes(group: &Path) -> bool {
    internal_processes(group).is_some()
}

/// Source: the kernel's admin-guide/cgroup-v2, "No Internal Process Constraint". The root is exempt.
pub(super) fn internal_processes(group: &Path) -> Option<String> {
    let is_root = !group.join("cgroup.events").exists();
    let count = file::try_read(&group.join("cgroup.procs")).ok()?.lines().count();
    (!is_root && count > 0).then(|| {
        format!("it has {count} processes of its own, and cgroup v2 limits nested groups only below a group without")
    })
}
