//! Control group hierarchies of the host, and the groups of one lab in all of them.
//!
//! **Invariant**: only groups below a lab's own name are written to, killed or removed.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::hang::eventually;
use crate::process;

/// One mounted hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Names such as `memory`, `cpu`, `name=systemd`; empty for cgroup v2.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// True for cgroup v2.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Directory of an absolute group name.
    #[must_use]
    pub fn directory(&self, group: &str) -> PathBuf {
        self.mount_point.join(group.trim_start_matches('/'))
    }
}

/// All hierarchies in the order of `/proc/self/mountinfo`.
///
/// # Panics
/// When mountinfo cannot be read.
#[must_use]
pub fn all() -> Vec<Hierarchy> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mount_point = PathBuf::from(mount.split(' ').nth(4)?);
    let mut fields = filesystem.split(' ');
    let kind = fields.next()?;
    let options = fields.nth(1)?;
    let controllers = match kind {
        "cgroup2" => Vec::new(),
        "cgroup" => {
            options.split(',').filter(|name| !matches!(*name, "rw" | "ro")).map(str::to_owned).collect()
        }
        _ => return None,
    };
    mount_point.starts_with("/sys/fs/cgroup").then_some(Hierarchy { mount_point, controllers })
}

/// v1 hierarchies that `/proc/self/cgroup` names but nobody mounted.
///
/// # Panics
/// When `/proc/self/cgroup` cannot be read.
#[must_use]
pub fn unmounted() -> Vec<String> {
    let mounted: Vec<String> = all().into_iter().flat_map(|hierarchy| hierarchy.controllers).collect();
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    let names = text.lines().filter_map(|line| line.split(':').nth(1)).flat_map(|names| names.split(','));
    names
        .filter(|name| !name.is_empty() && !mounted.iter().any(|known| known == name))
        .map(str::to_owned)
        .collect()
}

/// The directory of `group` in the hierarchy that holds `controller`: v1 first, else the unified one.
///
/// # Panics
/// When there is neither.
#[must_use]
#[track_caller]
pub fn directory(controller: &str, group: &str) -> PathBuf {
    let hierarchies = all();
    let own =
        hierarchies.iter().find(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller));
    let found = own.or_else(|| hierarchies.iter().find(|hierarchy| hierarchy.is_unified()));
    found.unwrap_or_else(|| panic!("no cgroup hierarchy for {controller}")).directory(group)
}

/// True when the host has this controller as a v1 hierarchy.
#[must_use]
pub fn is_v1(controller: &str) -> bool {
    all().iter().any(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller))
}

/// Writes a control file by one `write(2)`, as the kernel wants it.
///
/// # Panics
/// When the write is refused.
#[track_caller]
pub fn write(path: &Path, value: &str) {
    let file = fs::File::options().write(true).open(path).map_err(|error| error.to_string());
    let written =
        file.and_then(|file| rustix::io::write(&file, value.as_bytes()).map_err(|error| error.to_string()));
    written.unwrap_or_else(|error| panic!("write {value:?} to {}: {error}", path.display()));
}

/// The group of a process in the hierarchy that holds `controller`, as `/proc/PID/cgroup` names it.
///
/// # Panics
/// When the text has no such line.
#[must_use]
#[track_caller]
pub fn group_in(text: &str, controller: &str) -> String {
    let fields = text.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
    let v1 = is_v1(controller);
    let wanted =
        |names: &str| if v1 { names.split(',').any(|name| name == controller) } else { names.is_empty() };
    let found = fields.into_iter().find(|fields| fields.len() == 3 && wanted(fields[1]));
    found.unwrap_or_else(|| panic!("no line for {controller} in:\n{text}"))[2].to_owned()
}

/// The directories of `group` that exist, over all hierarchies.
#[must_use]
pub fn existing(group: &str) -> Vec<PathBuf> {
    all().iter().map(|hierarchy| hierarchy.directory(group)).filter(|path| path.is_dir()).collect()
}

/// `directory` and all groups below it, parents first.
#[must_use]
pub fn subtree(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut at = 0;
    while let Some(directory) = found.get(at) {
        let children: Vec<PathBuf> = fs::read_dir(directory).map_or_else(
            |_| Vec::new(),
            |entries| {
                entries
                    .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                    .filter(|path| path.is_dir())
                    .collect()
            },
        );
        found.extend(children);
        at += 1;
    }
    found
}

/// Pids in `group` and below it, over all hierarchies.
#[must_use]
pub fn pids(group: &str) -> Vec<i32> {
    let mut pids: Vec<i32> = existing(group).iter().flat_map(|directory| pids_below(directory)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn pids_below(directory: &Path) -> Vec<i32> {
    let texts = subtree(directory).into_iter().map(|path| fs::read_to_string(path.join("cgroup.procs")));
    texts
        .flat_map(|text| {
            text.unwrap_or_default().lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// Ends every process in `group`.
///
/// Frozen groups are thawed and the OOM killer is switched on again, or SIGKILL would not be delivered.
///
/// # Panics
/// When a process does not die within the hang guard.
pub(crate) fn kill(group: &str) {
    let own = ["/sluice-test-", "/sluice_test_"].iter().any(|prefix| group.starts_with(prefix));
    assert!(own, "not a group of ours: {group}");
    for directory in existing(group).iter().flat_map(|directory| subtree(directory)) {
        for (file, value) in
            [("freezer.state", "THAWED"), ("cgroup.freeze", "0"), ("memory.oom_control", "0")]
        {
            let path = directory.join(file);
            if path.exists() {
                let _best_effort = fs::write(path, value);
            }
        }
    }
    eventually(&format!("processes of {group} to die"), || {
        let pids = pids(group);
        pids.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
        pids.is_empty()
    });
}

/// Ends every process in `group` and removes the group from all hierarchies.
///
/// # Panics
/// When a process does not die or a directory does not go within the hang guard.
pub fn destroy(group: &str) {
    kill(group);
    eventually(&format!("{group} to be removed"), || {
        let directories: Vec<PathBuf> =
            existing(group).iter().flat_map(|directory| subtree(directory)).collect();
        directories.iter().rev().for_each(|directory| drop(fs::remove_dir(directory)));
        directories.is_empty()
    });
}
