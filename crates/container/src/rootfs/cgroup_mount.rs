//! The mount of type `cgroup`: the container's view of its own groups, in the host's layout.
//!
//! | host | own cgroup namespace | shown at the destination |
//! |---|---|---|
//! | v2 | yes | `cgroup2`; where that is not permitted a bind of the container's group |
//! | v2 | no | a bind of the whole hierarchy |
//! | v1, hybrid | yes | a tmpfs, in it each v1 hierarchy mounted anew |
//! | v1, hybrid | no | a tmpfs, in it the container's directory of each v1 hierarchy |
//!
//! Compat: the unified part of a hybrid layout is not shown, as by runc.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use proc::Root;
use proc::cgroup_file::Entry;
use proc::mountinfo::Mount as HostMount;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attr;

use super::attributes::apply_to_bind;
use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::options::{Bind, Options};
use super::target::{Kind, Target, attach};
use super::{Prepared, bind, mounts};
use crate::config::{Mount, NamespaceType};

/// Where the hierarchies are on the host.
const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// Source: linux/magic.h, `CGROUP2_SUPER_MAGIC`.
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// One v1 hierarchy of the host and the process's group in it.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    /// The last name of the mount point, for example `cpu,cpuacct`.
    name: PathBuf,
    /// The process's directory, seen from the host.
    directory: PathBuf,
    /// For example `cpu,cpuacct` or `name=systemd`.
    controllers: Vec<String>,
}

impl Prepared<'_> {
    pub(super) fn mount_cgroup(&self, place: &Place, entry: &Mount, options: &Options) -> Result<(), Error> {
        let target = Target::open(self.proc, &self.root, place, Kind::Directory)?;
        if is_unified() {
            let tree = self.mount_v2(place, entry, options, &target)?;
            return self.finish(place, &tree, options);
        }
        self.mount_v1(place, options, &target)
    }

    fn mount_v2(
        &self,
        place: &Place,
        entry: &Mount,
        options: &Options,
        target: &Target,
    ) -> Result<OwnedFd, Error> {
        // Kernel: outside of a cgroup namespace a new mount changes the options of the host's, and so takes
        // nsdelegate and memory_recursiveprot from all containers.
        if self.has_cgroup_namespace() {
            match mounts::show(place, &target.fd, &FileSystem::new("cgroup2", &entry.source, options)) {
                Err(Error::FileSystem { source: Errno::PERM | Errno::BUSY, .. }) => {}
                shown => return shown,
            }
        }
        let own = self.cgroup_directory.as_deref().filter(|_| self.has_cgroup_namespace());
        let tree = bind::open_copy(place, own.unwrap_or(Path::new(MOUNT_POINT)), Bind::One)?;
        self.attach_bind(place, &tree, &target.fd, options)?;
        Ok(tree)
    }

    /// Compat: the tmpfs stays writable in the mount's flags, as with runc; the hierarchies in it become read-only.
    fn mount_v1(&self, place: &Place, options: &Options, target: &Target) -> Result<(), Error> {
        let mut frame = Options::parse(&["mode=755".to_owned()]);
        frame.change.set = Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_NODEV | Attr::MOUNT_ATTR_NOEXEC;
        if !self.config.linux.mount_label.is_empty() {
            frame.data.push(format!("context=\"{}\"", self.config.linux.mount_label));
        }
        let tree = mounts::show(place, &target.fd, &FileSystem::new("tmpfs", "tmpfs", &frame))?;
        self.finish(place, &tree, options)?;
        let inside = Root::from(tree);
        let hierarchies = hierarchies(&self.proc.own_cgroup_mounts()?, &self.proc.own_cgroups()?);
        for hierarchy in &hierarchies {
            self.mount_hierarchy(place, &inside, hierarchy, options)?;
        }
        hierarchies.iter().try_for_each(|hierarchy| link_controllers(place, &inside, hierarchy))
    }

    fn mount_hierarchy(
        &self,
        place: &Place,
        inside: &Root,
        hierarchy: &Hierarchy,
        options: &Options,
    ) -> Result<(), Error> {
        let directory = inside.mkdir_all(&hierarchy.name, Mode::from_raw_mode(0o755));
        let directory = directory.map_err(|error| place.unreachable_path(error))?;
        if self.has_cgroup_namespace() {
            return mount_anew(place, &directory, hierarchy, options);
        }
        let tree = bind::open_copy(place, &hierarchy.directory, Bind::Tree)?;
        self.attach_bind(place, &tree, &directory, options)?;
        self.finish(place, &tree, options)
    }

    fn attach_bind(
        &self,
        place: &Place,
        tree: &OwnedFd,
        target: &OwnedFd,
        options: &Options,
    ) -> Result<(), Error> {
        attach(tree.as_fd(), target.as_fd()).map_err(place.failed("attach the cgroup"))?;
        apply_to_bind(self.proc, tree.as_fd(), options.change)
            .map_err(place.failed("change the flags of the cgroup's mount"))
    }

    fn has_cgroup_namespace(&self) -> bool {
        self.config.linux.namespace(NamespaceType::Cgroup).is_some()
    }
}

fn is_unified() -> bool {
    rustix::fs::statfs(MOUNT_POINT).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(CGROUP2_SUPER_MAGIC))
}

/// Kernel: in a cgroup namespace the root of a new v1 mount is the namespace's root.
fn mount_anew(
    place: &Place,
    target: &OwnedFd,
    hierarchy: &Hierarchy,
    options: &Options,
) -> Result<(), Error> {
    let plain = Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_NODEV | Attr::MOUNT_ATTR_NOEXEC;
    let named = hierarchy.controllers.first().and_then(|first| first.strip_prefix("name="));
    let new = FileSystem {
        kind: "cgroup",
        source: named.unwrap_or("cgroup"),
        superblock: &[],
        data: &hierarchy.controllers,
        attributes: plain | options.change.set.intersection(Attr::MOUNT_ATTR_RDONLY),
    };
    mounts::show(place, target, &new).map(drop)
}

/// `cpu -> cpu,cpuacct`: programs look for each controller by its own name.
fn link_controllers(place: &Place, inside: &Root, hierarchy: &Hierarchy) -> Result<(), Error> {
    let name = hierarchy.name.as_os_str();
    for controller in name.to_string_lossy().split(',').filter(|controller| OsStr::new(controller) != name) {
        match inside.symlink(name, Path::new(controller)) {
            Err(error) if error.errno() != Some(Errno::EXIST) => return Err(place.unreachable_path(error)),
            _ => {}
        }
    }
    Ok(())
}

/// The v1 hierarchies that the process is in, in the order of their mounts; a second mount of one is left out.
fn hierarchies(mounts: &[HostMount], groups: &[Entry]) -> Vec<Hierarchy> {
    let mut seen: Vec<Hierarchy> = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.fs_type == "cgroup") {
        let own = groups.iter().find(|group| {
            !group.is_unified() && group.controllers.iter().all(|name| mount.super_options.contains(name))
        });
        let Some(own) = own else { continue };
        let Some(name) = mount.mount_point.file_name() else { continue };
        if seen.iter().any(|known| known.controllers == own.controllers) {
            continue;
        }
        seen.push(Hierarchy {
            name: PathBuf::from(name),
            directory: mount.mount_point.join(below(&own.path, &mount.root)),
            controllers: own.controllers.clone(),
        });
    }
    seen
}

/// The part of the group's path that lies below what the mount shows.
fn below<'a>(path: &'a Path, root: &Path) -> &'a Path {
    path.strip_prefix(root).or_else(|_| path.strip_prefix("/")).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /pod /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 31 0:29 / /mnt/cpu rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
36 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn each_v1_hierarchy_is_found_once_with_the_own_directory() {
        let mounts = proc::mountinfo::parse(MOUNTS);
        let groups =
            proc::cgroup_file::parse("4:cpu,cpuacct:/c1\n3:pids:/pod/c1\n2:name=systemd:/c1\n0::/c1\n");
        let found = hierarchies(&mounts, &groups);
        let directories: Vec<_> =
            found.iter().map(|hierarchy| hierarchy.directory.to_str().unwrap()).collect();
        let expected =
            ["/sys/fs/cgroup/cpu,cpuacct/c1", "/sys/fs/cgroup/pids/c1", "/sys/fs/cgroup/systemd/c1"];
        assert_eq!(directories, expected);
        assert_eq!(found[2].controllers, ["name=systemd"]);
    }
}
