//! Which hierarchies this host has, and where the calling process is in them.

use std::path::{Component, Path, PathBuf};

use proc::Procfs;
use proc::cgroup_file::Entry;
use proc::mountinfo::Mount;

use crate::{Error, Result};

/// Options of a v1 superblock that are not controllers. Source: `cgroup1_show_options` in kernel/cgroup/cgroup-v1.c.
const NOT_CONTROLLERS: [&str; 9] =
    ["rw", "ro", "none", "noprefix", "xattr", "cpuset_v2_mode", "clone_children", "favordynmods", "all"];

/// How limits are set on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Controllers are in v1 hierarchies, also when a v2 tree is mounted beside them (hybrid).
    V1,
    /// Everything is in one v2 tree.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Controllers as mounted, or one `name=...`; empty for v2.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Which group of the hierarchy the mount shows as its root.
    pub root: PathBuf,
    /// The calling process's group, relative to `root`, without a leading `/`.
    pub own: PathBuf,
}

/// The hierarchies of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    v1: Vec<Hierarchy>,
    unified: Option<Hierarchy>,
}

impl Layout {
    /// Reads the layout of this host as the calling process sees it.
    ///
    /// # Errors
    /// When `/proc` cannot be read, or no hierarchy is mounted.
    pub fn discover() -> Result<Self> {
        Self::of(&Procfs::host().map_err(Error::Discover)?)
    }

    /// Reads the layout from `self/mountinfo` and `self/cgroup` of a procfs, which may be a saved tree.
    ///
    /// # Errors
    /// When one of the two cannot be read, or no hierarchy is mounted.
    pub fn of(procfs: &Procfs) -> Result<Self> {
        let mounts = procfs.own_cgroup_mounts().map_err(Error::Discover)?;
        let own = procfs.own_cgroups().map_err(Error::Discover)?;
        Self::from_tables(&mounts, &own).ok_or(Error::NoHierarchy)
    }

    fn from_tables(mounts: &[Mount], own: &[Entry]) -> Option<Self> {
        let mut layout = Self::default();
        for mount in mounts {
            match mount.fs_type.as_str() {
                "cgroup" => layout.add_v1(mount, own),
                "cgroup2" => layout.add_unified(mount, own),
                _ => {}
            }
        }
        (!layout.v1.is_empty() || layout.unified.is_some()).then_some(layout)
    }

    fn add_v1(&mut self, mount: &Mount, own: &[Entry]) {
        let is_controller = |option: &&String| {
            !NOT_CONTROLLERS.contains(&option.as_str()) && !option.starts_with("release_agent=")
        };
        let mut controllers: Vec<String> =
            mount.super_options.iter().filter(is_controller).cloned().collect();
        // A named hierarchy with controllers is known by its controllers.
        if controllers.len() > 1 {
            controllers.retain(|name| !name.starts_with("name="));
        }
        let Some(first) = controllers.first() else { return };
        let entry = own.iter().find(|entry| entry.controllers.contains(first));
        let known = self.v1.iter().position(|hierarchy| hierarchy.controllers == controllers);
        let found = Hierarchy::new(controllers, mount, entry);
        match known {
            None => self.v1.push(found),
            Some(at) if found.is_preferred_to(&self.v1[at]) => self.v1[at] = found,
            Some(_) => {}
        }
    }

    fn add_unified(&mut self, mount: &Mount, own: &[Entry]) {
        let entry = own.iter().find(|entry| entry.is_unified());
        let found = Hierarchy::new(Vec::new(), mount, entry);
        if self.unified.as_ref().is_none_or(|known| found.is_preferred_to(known)) {
            self.unified = Some(found);
        }
    }

    /// Whether limits go to v1 hierarchies or to the v2 tree.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.v1.iter().any(Hierarchy::has_controllers) { Kind::V1 } else { Kind::V2 }
    }

    /// Whether there is nothing but v2 (a named v1 hierarchy does not count).
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.kind() == Kind::V2
    }

    /// The v1 hierarchies in the order of the mount table.
    #[must_use]
    pub fn v1(&self) -> &[Hierarchy] {
        &self.v1
    }

    /// The v2 tree, with or without controllers.
    #[must_use]
    pub fn unified(&self) -> Option<&Hierarchy> {
        self.unified.as_ref()
    }
}

impl Hierarchy {
    fn new(controllers: Vec<String>, mount: &Mount, own: Option<&Entry>) -> Self {
        let (mount_point, root) = (mount.mount_point.clone(), mount.root.clone());
        let mut hierarchy = Self { controllers, mount_point, root, own: PathBuf::new() };
        hierarchy.own = own.map(|entry| hierarchy.below(&entry.path)).unwrap_or_default();
        hierarchy
    }

    /// A path of `/proc/PID/cgroup` relative to the mount point.
    pub(crate) fn below(&self, path: &Path) -> PathBuf {
        // Inside of a container without cgroup namespace the path is the host's, the mount shows a part of it.
        let below =
            path.strip_prefix(&self.root).or_else(|_| path.strip_prefix("/")).unwrap_or(Path::new(""));
        // A group outside of the cgroup namespace reads `/../..` and cannot be named.
        let is_inside = below.components().all(|part| matches!(part, Component::Normal(_)));
        if is_inside { below.to_owned() } else { PathBuf::new() }
    }

    /// Among several mounts of one hierarchy, the customary place wins, else the first.
    fn is_preferred_to(&self, other: &Self) -> bool {
        let customary = |hierarchy: &Self| hierarchy.mount_point.starts_with("/sys/fs/cgroup");
        customary(self) && !customary(other)
    }

    fn has_controllers(&self) -> bool {
        self.controllers.iter().any(|name| !name.starts_with("name="))
    }

    /// The name under which its path is kept: controllers joined by commas.
    #[must_use]
    pub fn key(&self) -> String {
        self.controllers.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/usr/lib/systemd/systemd-cgroups-agent,name=systemd
35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
36 31 0:30 /a /mnt/memory rw - cgroup cgroup rw,memory
";
    const HYBRID_OWN: &str = "3:cpuacct,cpu:/c\n2:memory:/m/n\n1:name=systemd:/s\n0::/u\n";

    pub(crate) fn layout(mounts: &str, own: &str) -> Layout {
        Layout::from_tables(&proc::mountinfo::parse(mounts), &proc::cgroup_file::parse(own)).unwrap()
    }

    #[test]
    fn a_hybrid_host_sets_limits_in_v1() {
        let layout = layout(HYBRID, HYBRID_OWN);
        assert_eq!(layout.kind(), Kind::V1);
        let keys: Vec<String> = layout.v1().iter().map(Hierarchy::key).collect();
        assert_eq!(keys, ["cpu,cpuacct", "memory", "name=systemd"]);
        let own: Vec<&Path> = layout.v1().iter().map(|hierarchy| hierarchy.own.as_path()).collect();
        assert_eq!(own, [Path::new("c"), Path::new("m/n"), Path::new("s")]);
        assert_eq!(layout.unified().unwrap().own, Path::new("u"));
        assert_eq!(layout.v1()[1].mount_point, Path::new("/sys/fs/cgroup/memory"));
    }

    #[test]
    fn a_named_v1_hierarchy_alone_does_not_make_a_host_v1() {
        let mounts =
            "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n2 1 0:2 / /s rw - cgroup cgroup rw,name=x\n";
        assert!(layout(mounts, "0::/\n").is_unified());
    }

    #[test]
    fn a_mount_that_shows_a_part_of_the_hierarchy_shortens_the_own_path() {
        let mounts = "1 0 0:1 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(layout(mounts, "2:memory:/docker/x/y\n").v1()[0].own, Path::new("y"));
    }

    #[test]
    fn no_hierarchy_is_no_layout() {
        assert_eq!(Layout::from_tables(&proc::mountinfo::parse("1 0 0:1 / / rw - tmpfs t rw\n"), &[]), None);
    }
}
