//! Where the groups of one container are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use proc::cgroup_file::Entry;
use serde::{Deserialize, Serialize};

use crate::{Error, Hierarchy, Kind, Layout, Result};

/// Absolute directories of one container's groups. This is what a state file keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paths {
    /// In the v2 tree, with or without controllers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unified: Option<PathBuf>,
    /// In the v1 hierarchies, by their controllers joined with commas (`cpu,cpuacct`, `name=systemd`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub v1: BTreeMap<String, PathBuf>,
}

impl Paths {
    /// Whether limits go to v1 hierarchies or to the v2 tree.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let named = |key: &String| key.starts_with("name=");
        if self.v1.keys().all(named) && self.unified.is_some() { Kind::V2 } else { Kind::V1 }
    }

    /// The v1 directory that has this controller.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&Path> {
        self.v1
            .iter()
            .find(|(key, _)| key.split(',').any(|name| name == controller))
            .map(|(_, path)| path.as_path())
    }

    /// All directories, v1 first.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.v1.values().map(PathBuf::as_path).chain(self.unified.as_deref())
    }

    /// The groups in which a process is, from its `/proc/PID/cgroup`: those of a container's init may be nested
    /// in the container's.
    #[must_use]
    pub fn of_process(layout: &Layout, entries: &[Entry]) -> Self {
        let place = |hierarchy: &Hierarchy| {
            let is_it = |entry: &&Entry| match hierarchy.controllers.first() {
                Some(first) => entry.controllers.contains(first),
                None => entry.is_unified(),
            };
            let entry = entries.iter().find(is_it)?;
            Some(hierarchy.mount_point.join(hierarchy.below(&entry.path)))
        };
        let v1 =
            layout.v1().iter().filter_map(|hierarchy| Some((hierarchy.key(), place(hierarchy)?))).collect();
        Self { unified: layout.unified().and_then(place), v1 }
    }

    /// The same groups, but `path` below them: in all hierarchies, or in those that have one of `controllers`
    /// (joined by commas).
    ///
    /// Compat: runc, `exec --cgroup [CONTROLLERS:]PATH`.
    ///
    /// # Errors
    /// No hierarchy has these controllers, or the path holds a NUL or a newline.
    pub fn nested(&self, controllers: Option<&str>, path: &str) -> Result<Self> {
        if path.contains(['\0', '\n']) {
            return Err(Error::Path { path: path.to_owned(), expected: "must not hold a NUL or a newline" });
        }
        let inner = clean(Path::new(path));
        let Some(controllers) = controllers else {
            let v1 = self.v1.iter().map(|(key, group)| (key.clone(), group.join(&inner))).collect();
            return Ok(Self { unified: self.unified.as_ref().map(|group| group.join(&inner)), v1 });
        };
        let mut nested = self.clone();
        for controller in controllers.split(',') {
            let has = |key: &String| key.split(',').any(|name| name == controller);
            let Some((key, group)) = self.v1.iter().find(|(key, _)| has(key)) else {
                return Err(Error::NoHierarchyOf { controller: controller.to_owned() });
            };
            nested.v1.insert(key.clone(), group.join(&inner));
        }
        Ok(nested)
    }

    /// Whether there is no group at all: a container without one of its own stays in its creator's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The directory that is named in errors about the group as a whole.
    #[must_use]
    pub fn main(&self) -> &Path {
        let v1 = || ["freezer", "memory", "pids", "devices"].iter().find_map(|name| self.v1(name));
        let main = if self.kind() == Kind::V2 { self.unified.as_deref() } else { v1() };
        main.or_else(|| self.all().next()).unwrap_or(Path::new(""))
    }
}

/// Turns `linux.cgroupsPath` into directories.
///
/// An absolute path is below the root of every hierarchy. A relative one is below the caller's own group on
/// v1, and below the parent of the caller's own group on v2, where a group with processes cannot have limited
/// children. None stands for a relative path that is the container's id.
///
/// Compat: runc 1.1 to 1.5 without `--systemd-cgroup`; a `..` never leads above the start, as there.
///
/// # Errors
/// When the path names no group of its own (`/`, `.`), or holds a NUL or a newline.
pub fn resolve(layout: &Layout, cgroups_path: Option<&str>, id: &str) -> Result<Paths> {
    let given = cgroups_path.filter(|path| !path.is_empty()).unwrap_or(id);
    let refuse = |expected| Error::Path { path: given.to_owned(), expected };
    if given.contains(['\0', '\n']) {
        return Err(refuse("must not hold a NUL or a newline"));
    }
    let inner = clean(Path::new(given));
    if inner.as_os_str().is_empty() {
        return Err(refuse("must name a group below the root of the hierarchy"));
    }
    let absolute = given.starts_with('/');
    let place = |hierarchy: &Hierarchy, base: &Path| {
        if absolute {
            hierarchy.mount_point.join(&inner)
        } else {
            hierarchy.mount_point.join(base).join(&inner)
        }
    };
    let v1 =
        layout.v1().iter().map(|hierarchy| (hierarchy.key(), place(hierarchy, &hierarchy.own))).collect();
    let unified = layout.unified().map(|hierarchy| match layout.kind() {
        Kind::V1 => place(hierarchy, &hierarchy.own),
        Kind::V2 => place(hierarchy, hierarchy.own.parent().unwrap_or(Path::new(""))),
    });
    Ok(Paths { unified, v1 })
}

/// Removes `.` and resolves `..` by text, stopping at the start; there are no links in a hierarchy.
fn clean(path: &Path) -> PathBuf {
    let mut names: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            _ => {}
        }
    }
    names.iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hybrid() -> Layout {
        layout(
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "3:cpuacct,cpu:/\n2:memory:/own\n0::/u/v\n",
        )
    }

    fn pure_v2() -> Layout {
        layout("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/user/session\n")
    }

    fn layout(mounts: &str, own: &str) -> Layout {
        let saved = tempfile::tempdir().unwrap();
        std::fs::create_dir(saved.path().join("self")).unwrap();
        for (name, text) in [("self/mountinfo", mounts), ("self/cgroup", own)] {
            #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
            std::fs::write(saved.path().join(name), text).unwrap();
        }
        Layout::of(&proc::Procfs::saved(saved.path()).unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_path_on_v1() {
        let table = [
            (Some("/docker/abc"), "/sys/fs/cgroup/memory/docker/abc", "/sys/fs/cgroup/unified/docker/abc"),
            (Some("a/b"), "/sys/fs/cgroup/memory/own/a/b", "/sys/fs/cgroup/unified/u/v/a/b"),
            (Some("../../a"), "/sys/fs/cgroup/memory/own/a", "/sys/fs/cgroup/unified/u/v/a"),
            (Some("/../a/./b/../c"), "/sys/fs/cgroup/memory/a/c", "/sys/fs/cgroup/unified/a/c"),
            (Some(""), "/sys/fs/cgroup/memory/own/id", "/sys/fs/cgroup/unified/u/v/id"),
            (None, "/sys/fs/cgroup/memory/own/id", "/sys/fs/cgroup/unified/u/v/id"),
        ];
        for (given, memory, unified) in table {
            let paths = resolve(&hybrid(), given, "id").unwrap();
            assert_eq!(paths.v1("memory"), Some(Path::new(memory)), "{given:?}");
            assert_eq!(paths.unified.as_deref(), Some(Path::new(unified)), "{given:?}");
            assert_eq!(paths.kind(), Kind::V1);
            assert_eq!(paths.v1("cpuacct"), paths.v1("cpu"));
        }
    }

    #[test]
    fn a_relative_path_on_v2_is_beside_the_own_group() {
        let unified = |given| resolve(&pure_v2(), given, "id").unwrap().unified.unwrap();
        assert_eq!(unified(None), Path::new("/sys/fs/cgroup/user/id"));
        assert_eq!(unified(Some("x/y")), Path::new("/sys/fs/cgroup/user/x/y"));
        assert_eq!(unified(Some("/x")), Path::new("/sys/fs/cgroup/x"));
    }

    #[test]
    fn a_path_without_a_group_is_refused() {
        for given in ["/", ".", "/..", "a/..", "a\nb"] {
            assert!(matches!(resolve(&hybrid(), Some(given), "id"), Err(Error::Path { .. })), "{given:?}");
        }
    }

    #[test]
    fn the_groups_of_a_process_are_found_in_every_hierarchy() {
        let entries = proc::cgroup_file::parse("3:cpuacct,cpu:/x\n2:memory:/own/y\n0::/z/init\n");
        let paths = Paths::of_process(&hybrid(), &entries);
        assert_eq!(paths.v1("cpu"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/x")));
        assert_eq!(paths.v1("memory"), Some(Path::new("/sys/fs/cgroup/memory/own/y")));
        assert_eq!(paths.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified/z/init")));
    }

    #[test]
    fn a_nested_group_is_taken_everywhere_or_for_some_controllers() {
        let paths = resolve(&hybrid(), Some("/c"), "id").unwrap();
        let all = paths.nested(None, "../sub").unwrap();
        assert!(all.all().all(|path| path.ends_with("c/sub")), "{all:?}");
        let some = paths.nested(Some("cpu"), "sub").unwrap();
        assert!(some.v1("cpuacct").unwrap().ends_with("c/sub") && some.v1("memory").unwrap().ends_with("c"));
        assert!(paths.nested(Some("rdma"), "sub").is_err());
    }

    proptest! {
        #[test]
        fn no_path_leads_above_the_hierarchy(given in "[a./]{0,20}") {
            if let Ok(paths) = resolve(&hybrid(), Some(&given), "id") {
                for path in paths.all() {
                    prop_assert!(path.starts_with("/sys/fs/cgroup"));
                    prop_assert!(!path.components().any(|part| part == Component::ParentDir));
                }
            }
        }
    }
}
