//! What would be right, read from the system after a write was refused or a file was missing.

mod expected;
mod tree;

use std::path::Path;

use rustix::io::Errno;

use crate::apply::Step;
use crate::{Error, Kind, Paths, Write, file};

pub(crate) use tree::{has_own_processes, not_made, read_only};

/// Why a control file refused a value, where it can be known.
pub(crate) fn refused(step: &Step, errno: Errno) -> Option<String> {
    read_only(&step.path, errno)
        .or_else(|| expected::not_writable(&step.path))
        .or_else(|| by_group(step, errno))
        .or_else(|| expected::value(step, errno))
}

/// What the group and the system say about it.
fn by_group(step: &Step, errno: Errno) -> Option<String> {
    let name = step.path.file_name()?.to_str()?;
    let group = step.path.parent()?;
    let own = |file: &str| shown(group, file);
    let above = |file: &str| shown(group.parent()?, file);
    match (name, errno) {
        ("memory.limit_in_bytes" | "memory.max", Errno::BUSY) => Some(format!(
            "{}, and the kernel could not reclaim enough",
            own("memory.usage_in_bytes").or_else(|| own("memory.current"))?
        )),
        ("memory.memsw.limit_in_bytes", Errno::BUSY) => own("memory.memsw.usage_in_bytes"),
        ("memory.limit_in_bytes", Errno::INVAL) => {
            Some(format!("{}, and must not be lower than this", own("memory.memsw.limit_in_bytes")?))
        }
        ("memory.memsw.limit_in_bytes", Errno::INVAL) => {
            Some(format!("{}, and this must not be lower", own("memory.limit_in_bytes")?))
        }
        ("cpuset.cpus" | "cpuset.mems", Errno::ACCESS) => {
            Some(format!("the group above has {}", above(name)?))
        }
        ("cpuset.cpus" | "cpuset.mems", Errno::BUSY | Errno::NOSPC) => {
            Some("the group has processes, which need at least one processor and memory node".to_owned())
        }
        ("cpuset.cpus", Errno::INVAL | Errno::RANGE) => {
            online("/sys/devices/system/cpu/online", "processors")
        }
        ("cpuset.mems", Errno::INVAL | Errno::RANGE) => {
            online("/sys/devices/system/node/online", "memory nodes")
        }
        ("cpu.cfs_quota_us" | "cpu.cfs_period_us" | "cpu.cfs_burst_us", Errno::INVAL) => bandwidth(group),
        ("cpu.max" | "cpu.max.burst", Errno::INVAL) => Some(format!("{}; {BANDWIDTH}", own("cpu.max")?)),
        ("cpu.rt_runtime_us" | "cpu.rt_period_us", Errno::INVAL | Errno::BUSY) => {
            Some(format!("the group above has {}", above("cpu.rt_runtime_us")?))
        }
        ("devices.allow", Errno::PERM) => Some("the group above does not allow this device".to_owned()),
        ("devices.allow" | "devices.deny", Errno::INVAL) => {
            Some("the group has groups nested in it".to_owned())
        }
        (_, Errno::NODEV) if is_block(name) => Some("there is no block device of this number".to_owned()),
        ("memory.swappiness" | "memory.oom_control", Errno::INVAL) => None,
        ("cgroup.subtree_control", Errno::BUSY) => tree::internal_processes(group),
        ("rdma.max", Errno::NODEV) if group.exists() => {
            Some("there is no RDMA device of this name".to_owned())
        }
        (_, Errno::NOENT | Errno::NODEV) if !group.exists() => Some("the group is gone".to_owned()),
        _ => None,
    }
}

const BANDWIDTH: &str = "a quota is at least 1000, a period 1000 to 1000000, a burst at most the quota, and quota / period at most that of the group above";

fn bandwidth(group: &Path) -> Option<String> {
    let level = |group: &Path| {
        let values = ["cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"];
        let shown: Vec<String> = values.iter().filter_map(|file| shown(group, file)).collect();
        shown.join(", ")
    };
    Some(format!("{}; above: {}; {BANDWIDTH}", level(group), level(group.parent()?)))
}

fn is_block(name: &str) -> bool {
    name.starts_with("blkio.") || name.starts_with("io.")
}

fn online(path: &str, what: &str) -> Option<String> {
    Some(format!("{what} online: {}", file::try_read(Path::new(path)).ok()?.trim()))
}

/// `FILE is VALUE` of a readable file in the group.
fn shown(group: &Path, file: &str) -> Option<String> {
    let text = file::try_read(&group.join(file)).ok()?;
    Some(format!("{file} is {:?}", text.trim()).replace('"', ""))
}

/// The error for a write whose file the group does not have.
pub(crate) fn missing(paths: &Paths, directory: Option<&Path>, write: Write) -> Error {
    if let Some(directory) = directory.filter(|group| has(group, "cgroup.controllers", &write.controller)) {
        let there = expected::files(directory, &write.controller).unwrap_or_default();
        let purpose = format!("to write {:?} to{there}", write.value);
        return Error::NoFile { path: directory.join(&write.file), field: write.field, purpose };
    }
    let hint = no_controller(paths, directory, &write);
    Error::NoController { field: write.field, controller: write.controller, hint }
}

/// Why the group does not have the controller.
fn no_controller(paths: &Paths, directory: Option<&Path>, write: &Write) -> Option<String> {
    let Some(directory) = directory else { return Some(no_hierarchy(paths, &write.controller)) };
    if !directory.exists() {
        return Some(format!("{} is gone", directory.display()));
    }
    let lacks = || format!("{} has no {}", directory.display(), write.file);
    if paths.kind() == Kind::V1 {
        return Some(lacks());
    }
    Some(not_enabled(directory, &write.controller).or_else(|| unknown(directory)).unwrap_or_else(lacks))
}

/// No level has the controller: those that the kernel has.
fn unknown(directory: &Path) -> Option<String> {
    let top = tree::top(directory)?;
    let there = file::try_read(&top.join("cgroup.controllers")).ok()?;
    Some(format!("there are {}", there.split_ascii_whitespace().collect::<Vec<_>>().join(", ")))
}

fn no_hierarchy(paths: &Paths, controller: &str) -> String {
    let unified = paths
        .unified
        .as_deref()
        .and_then(|path| path.ancestors().find(|level| has(level, "cgroup.controllers", controller)));
    match unified {
        Some(level) => format!(
            "limits are set in cgroup v1 on this host, but it is in the v2 tree at {}",
            level.display()
        ),
        None => "no mounted hierarchy has it".to_owned(),
    }
}

/// The level that has the controller but does not hand it down.
fn not_enabled(directory: &Path, controller: &str) -> Option<String> {
    if has(directory, "cgroup.controllers", controller) {
        return None;
    }
    let level = directory.ancestors().skip(1).find(|level| has(level, "cgroup.controllers", controller))?;
    let reason = tree::internal_processes(level).map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{}/cgroup.subtree_control does not enable it{reason}", level.display()))
}

fn has(group: &Path, file: &str, word: &str) -> bool {
    file::try_read(&group.join(file)).is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = top.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        top
    }

    #[test]
    fn a_controller_that_is_not_handed_down_is_traced_to_its_level() {
        let top = tree(&[
            ("cgroup.controllers", "cpu memory pids"),
            ("a/cgroup.controllers", "cpu memory"),
            ("a/cgroup.events", "populated 1\n"),
            ("a/cgroup.procs", "17\n18\n"),
            ("a/b/cgroup.controllers", ""),
        ]);
        let directory = top.path().join("a/b");
        let paths = Paths { unified: Some(directory.clone()), v1: BTreeMap::new() };
        let write = Write::new("memory", "memory.max", 1, "memory/limit");
        let text = no_controller(&paths, Some(&directory), &write).unwrap();
        let level = top.path().join("a");
        assert_eq!(
            text,
            format!(
                "{}/cgroup.subtree_control does not enable it: it has 2 processes of its own, \
                 and cgroup v2 limits nested groups only below a group without",
                level.display()
            )
        );
        let write = Write::new("pids", "pids.max", 1, "pids/limit");
        let text = no_controller(&paths, Some(&directory), &write).unwrap();
        assert_eq!(text, format!("{}/cgroup.subtree_control does not enable it", top.path().display()));
    }

    #[test]
    fn a_limit_below_the_usage_is_told_with_the_usage() {
        let top = tree(&[("memory.usage_in_bytes", "5000\n")]);
        let step = Step {
            path: top.path().join("memory.limit_in_bytes"),
            value: "1".into(),
            order: crate::Order::Linked,
        };
        let text = refused(&step, Errno::BUSY).unwrap();
        assert_eq!(text, "memory.usage_in_bytes is 5000, and the kernel could not reclaim enough");
    }
}
