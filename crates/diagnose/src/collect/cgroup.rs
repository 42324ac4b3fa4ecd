//! Control groups: the directories of each hierarchy, and the files of one group.

use super::folder::Folder;
use super::piece::Piece;
use super::worker::Visit;
use crate::snapshot::cgroup::{Cpu, Freezer, FreezerState, Memory, MemoryEvents, Pids, UNIFIED};
use crate::snapshot::{Cgroup, Mount, Unseen, Why};
use proc::kv;

/// Most groups of one hierarchy.
const MOST: usize = 50_000;

/// v1 controllers whose files are read.
const CONTROLLERS: &[&str] = &["memory", "pids", "freezer", "cpu"];

/// A mounted hierarchy: its name, and its directory below the root without a leading `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) name: String,
    pub(super) directory: String,
}

/// The hierarchies among the mounts. `options` of a v1 mount hold its controllers.
pub(super) fn hierarchies(mounts: &[Mount]) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts {
        let name = match mount.fs_type.as_str() {
            "cgroup2" => UNIFIED.to_owned(),
            "cgroup" => controllers(&mount.options),
            _ => continue,
        };
        let used = name == UNIFIED || CONTROLLERS.iter().any(|it| name.split(',').any(|part| part == *it));
        if used && !found.iter().any(|known| known.name == name) {
            let directory = mount.mount_point.trim_start_matches('/').to_owned();
            found.push(Hierarchy { name, directory });
        }
    }
    found
}

/// The controllers among mount options, in the order of the kernel, which is that of `/proc/PID/cgroup`.
fn controllers(options: &str) -> String {
    const OTHER: &[&str] =
        &["rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "xattr", "clone_children"];
    let names =
        options.split(',').filter(|word| !OTHER.contains(word) && !word.starts_with("release_agent="));
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    names.join(",")
}

/// Every directory of a hierarchy, ancestors first; the unit is the directory of its root.
pub(super) fn tree(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    let mut names = vec![visit.unit.to_owned()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        if root.is_leaf(&name) {
            continue;
        }
        let entries = root.folder(&name).and_then(|folder| folder.entries()).unwrap_or_default();
        names.extend(entries.iter().filter(|it| it.is_folder).map(|it| format!("{name}/{}", it.name)));
        if names.len() > MOST {
            let unseen = Unseen {
                what: format!("groups of /{}", visit.unit),
                why: Why::TooMuch { taken: MOST as u64 },
            };
            names.truncate(MOST);
            return vec![Piece::Names(names), Piece::Unseen(unseen)];
        }
    }
    vec![Piece::Names(names)]
}

/// Reads the files of one group; the unit is its directory.
pub(super) fn read(root: &Folder, hierarchies: &[Hierarchy], visit: &Visit<'_>) -> Vec<Piece> {
    let holds = |it: &&Hierarchy| {
        visit.unit.strip_prefix(&it.directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = hierarchies.iter().filter(holds).max_by_key(|it| it.directory.len());
    let (Some(hierarchy), Ok(folder)) = (found, root.folder(visit.unit)) else { return Vec::new() };
    let path = &visit.unit[hierarchy.directory.len()..];
    let files = Files { folder, visit };
    let mut group = Cgroup {
        hierarchy: hierarchy.name.clone(),
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        directory: format!("/{}", visit.unit),
        ..Cgroup::default()
    };
    if hierarchy.name == UNIFIED {
        files.unified(&mut group);
    } else {
        files.v1(&hierarchy.name, &mut group);
    }
    vec![Piece::Cgroup(Box::new(group))]
}

struct Files<'a> {
    folder: Folder,
    visit: &'a Visit<'a>,
}

impl Files<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.visit.about("file");
        self.folder.record(name).ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        number(&self.text(name)?)
    }

    fn unified(&self, group: &mut Cgroup) {
        let events = self.text("cgroup.events");
        group.populated = events.as_deref().and_then(|text| kv::lookup(text, "populated")).map(|it| it == 1);
        group.pids = self.pids();
        group.memory = self.memory();
        group.cpu = self.cpu();
        let asked = self.number("cgroup.freeze");
        group.freezer = events.map(|events| Freezer {
            state: frozen(kv::lookup(&events, "frozen"), asked),
            by_itself: asked == Some(1),
        });
    }

    fn v1(&self, hierarchy: &str, group: &mut Cgroup) {
        let has = |name: &str| hierarchy.split(',').any(|part| part == name);
        if has("pids") {
            group.pids = self.pids();
        }
        if has("memory") {
            group.memory = self.memory_v1();
        }
        if has("freezer") {
            group.freezer = self.freezer_v1();
        }
        if has("cpu") {
            group.cpu = self.cpu_v1();
        }
    }

    fn pids(&self) -> Option<Pids> {
        let current = self.number("pids.current")?;
        let refused = self.text("pids.events").and_then(|text| kv::lookup(&text, "max"));
        Some(Pids { current: Some(current), max: self.number("pids.max"), refused })
    }

    fn memory(&self) -> Option<Memory> {
        let current = self.number("memory.current")?;
        Some(Memory {
            current: Some(current),
            max: self.number("memory.max"),
            high: self.number("memory.high"),
            swap_max: self.number("memory.swap.max"),
            oom_group: self.number("memory.oom.group").map(|it| it == 1),
            events: memory_events(&self.text("memory.events").unwrap_or_default()),
            local_events: memory_events(&self.text("memory.events.local").unwrap_or_default()),
            ..Memory::default()
        })
    }

    fn memory_v1(&self) -> Option<Memory> {
        let current = self.number("memory.usage_in_bytes")?;
        let control = self.text("memory.oom_control").unwrap_or_default();
        let flag = |key| kv::lookup(&control, key).map(|it| it == 1);
        Some(Memory {
            current: Some(current),
            max: self.number("memory.limit_in_bytes").filter(|it| *it < UNLIMITED),
            swap_max: self.number("memory.memsw.limit_in_bytes").filter(|it| *it < UNLIMITED),
            failcnt: self.number("memory.failcnt"),
            oom_kill_disable: flag("oom_kill_disable"),
            under_oom: flag("under_oom"),
            events: MemoryEvents { oom_kill: kv::lookup(&control, "oom_kill"), ..MemoryEvents::default() },
            ..Memory::default()
        })
    }

    fn freezer_v1(&self) -> Option<Freezer> {
        let state = match self.text("freezer.state")?.trim() {
            "FROZEN" => FreezerState::Frozen,
            "FREEZING" => FreezerState::Freezing,
            _ => FreezerState::Thawed,
        };
        Some(Freezer { state, by_itself: self.number("freezer.self_freezing") == Some(1) })
    }

    fn cpu(&self) -> Option<Cpu> {
        let stat = self.text("cpu.stat")?;
        let (quota_us, period_us) = cpu_max(&self.text("cpu.max").unwrap_or_default());
        let usage_us = kv::lookup(&stat, "usage_usec");
        let (periods, throttled) = (kv::lookup(&stat, "nr_periods"), kv::lookup(&stat, "nr_throttled"));
        Some(Cpu { quota_us, period_us, periods, throttled, usage_us })
    }

    fn cpu_v1(&self) -> Option<Cpu> {
        let stat = self.text("cpu.stat")?;
        // -1 is no limit, and no number.
        let quota_us = self.number("cpu.cfs_quota_us");
        let period_us = self.number("cpu.cfs_period_us");
        let (periods, throttled) = (kv::lookup(&stat, "nr_periods"), kv::lookup(&stat, "nr_throttled"));
        let usage_us = self.number("cpuacct.usage").map(|nanoseconds| nanoseconds / 1000);
        Some(Cpu { quota_us, period_us, periods, throttled, usage_us })
    }
}

/// v1 says "no limit" with the largest multiple of the page size.
const UNLIMITED: u64 = 1 << 62;

fn number(text: &str) -> Option<u64> {
    text.trim().parse::<kv::Amount>().ok()?.number()
}

fn frozen(is_frozen: Option<u64>, wanted: Option<u64>) -> FreezerState {
    match (is_frozen, wanted) {
        (Some(1), _) => FreezerState::Frozen,
        (_, Some(1)) => FreezerState::Freezing,
        _ => FreezerState::Thawed,
    }
}

/// Counters of `memory.events` and `memory.oom_control`.
#[must_use]
pub fn memory_events(text: &str) -> MemoryEvents {
    MemoryEvents {
        high: kv::lookup(text, "high"),
        max: kv::lookup(text, "max"),
        oom: kv::lookup(text, "oom"),
        oom_kill: kv::lookup(text, "oom_kill"),
        oom_group_kill: kv::lookup(text, "oom_group_kill"),
    }
}

/// Quota and period of `cpu.max` in microseconds: `max 100000` or `50000 100000`.
#[must_use]
pub fn cpu_max(text: &str) -> (Option<u64>, Option<u64>) {
    let mut words = text.split_ascii_whitespace().map(number);
    (words.next().flatten(), words.next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(fs_type: &str, mount_point: &str, options: &str) -> Mount {
        let (fs_type, mount_point) = (fs_type.to_owned(), mount_point.to_owned());
        Mount { fs_type, mount_point, options: options.to_owned(), ..Mount::default() }
    }

    #[test]
    fn a_hierarchy_is_named_as_processes_name_it() {
        let mounts = [
            mount("cgroup2", "/sys/fs/cgroup/unified", "rw,nosuid"),
            mount("cgroup", "/sys/fs/cgroup/cpu,cpuacct", "rw,nosuid,rw,cpu,cpuacct"),
            mount("cgroup", "/sys/fs/cgroup/systemd", "rw,xattr,name=systemd"),
            mount("cgroup", "/sys/fs/cgroup/pids", "rw,pids"),
            mount("tmpfs", "/sys/fs/cgroup", "rw"),
        ];
        let names: Vec<String> = hierarchies(&mounts).into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["unified", "cpu,cpuacct", "pids"]);
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(cpu_max("max 100000\n"), (None, Some(100_000)));
        assert_eq!(cpu_max("50000 100000\n"), (Some(50_000), Some(100_000)));
        assert_eq!((number("max\n"), number("-1\n"), number("20\n")), (None, None, Some(20)));
    }
}
