//! User and group id mappings: of a new user namespace, and of id-mapped mounts.

mod delegated;
mod ranges;

pub use ranges::IdMap;

use crate::config::{Config, IdMapping, Mount, Namespace, NamespaceType};
use crate::create::IdMapped;
use crate::{Error, attribute, rootfs};
use proc::Procfs;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::OpenTreeFlags;
use std::path::Path;
use sys::clone::{Clone3, Parent, Side, new};
use sys::mount_setattr::{Attributes, Depth, mount_setattr};

/// Which ids a list maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

impl Kind {
    /// The file below `/proc/PID`.
    fn file(self) -> &'static str {
        if self == Kind::User { "uid_map" } else { "gid_map" }
    }

    /// The place in `config.json`.
    fn field(self) -> &'static str {
        if self == Kind::User { "uidMappings" } else { "gidMappings" }
    }

    /// The program that maps delegated ids.
    fn helper(self) -> &'static str {
        if self == Kind::User { "newuidmap" } else { "newgidmap" }
    }

    /// The file of the ids that are delegated to users.
    fn delegations(self) -> &'static str {
        if self == Kind::User { "/etc/subuid" } else { "/etc/subgid" }
    }

    /// The id of this process, which it may map without help.
    fn own_id(self) -> u32 {
        match self {
            Kind::User => rustix::process::geteuid().as_raw(),
            Kind::Group => rustix::process::getegid().as_raw(),
        }
    }
}

/// Writes the mappings of a process in a new user namespace. Nothing happens without mappings.
///
/// Kernel: a writer without capabilities may map its own id only, and since 3.19 must give `setgroups` up first.
///
/// # Errors
/// [`Error::File`] with the file below `/proc`; what a helper said.
pub(crate) fn write(proc: &Procfs, pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), Error> {
    if uids.is_empty() && gids.is_empty() {
        return Ok(());
    }
    for (kind, mappings) in [(Kind::Group, gids), (Kind::User, uids)] {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root && !is_own(mappings, kind.own_id()) {
            delegated::write(kind, pid, mappings)?;
            continue;
        }
        if !is_root && kind == Kind::Group {
            write_file(proc, pid, "setgroups", "deny")?;
        }
        write_file(proc, pid, kind.file(), &text(mappings))?;
    }
    Ok(())
}

/// Whether nothing but this one id is mapped.
fn is_own(mappings: &[IdMapping], own: u32) -> bool {
    matches!(mappings, [one] if one.host_id == own && one.size == 1)
}

fn text(mappings: &[IdMapping]) -> String {
    let line = |one: &IdMapping| format!("{} {} {}\n", one.container_id, one.host_id, one.size);
    mappings.iter().map(line).collect()
}

fn write_file(proc: &Procfs, pid: i32, name: &str, text: &str) -> Result<(), Error> {
    let path = format!("{pid}/{name}");
    attribute::write(proc, &path, text).map_err(|source| Error::File {
        step: "write the id mappings to",
        path: Path::new("/proc").join(path),
        source,
    })
}

/// Detached copies of the bind mounts that ask for a mapping of ids, with that mapping.
///
/// Kernel: `MOUNT_ATTR_IDMAP` came with 5.12.
///
/// # Errors
/// [`Error::IdMappedMount`] with the mount's pointer.
pub(crate) fn mounts(proc: &Procfs, config: &Config, bundle: &Path) -> Result<IdMapped, Error> {
    let mut mapped = IdMapped::new();
    // The mounts of a container mostly have the same mappings: a namespace is made where they change.
    let mut last: Option<(&Mount, OwnedFd)> = None;
    for (index, mount) in config.mounts.iter().enumerate() {
        let Some(depth) = rootfs::wants_id_mapping(mount) else { continue };
        let (_, namespace) = match last.take().filter(|(other, _)| maps_alike(other, mount)) {
            Some(same) => last.insert(same),
            None => last.insert((mount, namespace_of(proc, config, mount)?)),
        };
        let source = bundle.join(&mount.source);
        let depths = Depths { copied: rootfs::bind_depth(mount), mapped: depth };
        let tree = mapped_copy(&source, namespace.as_fd(), depths);
        let tree = tree.map_err(|cause| Error::IdMappedMount {
            pointer: format!("config.json/mounts/{index}"),
            path: source.clone(),
            source: cause,
        })?;
        mapped.insert(index, tree);
    }
    Ok(mapped)
}

fn maps_alike(one: &Mount, other: &Mount) -> bool {
    one.uid_mappings == other.uid_mappings && one.gid_mappings == other.gid_mappings
}

/// The user namespace whose mappings a mount gets: its own, else those of the container.
fn namespace_of(proc: &Procfs, config: &Config, mount: &Mount) -> Result<OwnedFd, Error> {
    let container = &config.linux;
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        return user_namespace(proc, &mount.uid_mappings, &mount.gid_mappings);
    }
    let Some(path) = container.namespace(NamespaceType::User).and_then(Namespace::path) else {
        return user_namespace(proc, &container.uid_mappings, &container.gid_mappings);
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|source| Error::File {
        step: "open the user namespace of an id-mapped mount",
        path: path.to_owned(),
        source,
    })
}

/// How much of what is mounted somewhere a copy takes, and how much of the copy is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depths {
    /// What is copied.
    pub copied: Depth,
    /// What of that is mapped.
    pub mapped: Depth,
}

/// A detached copy of the mount at `source` that shows its owners as `namespace` maps them: id 0 on the disk as the id
/// that 0 of the user namespace is on the host.
///
/// Kernel: `MOUNT_ATTR_IDMAP` came with 5.12, and to each file system at a time of its own.
///
/// # Errors
/// `ENOSYS` before 5.12; `EINVAL`: the file system cannot; `EPERM`: the mount is mapped already.
pub fn mapped_copy(source: &Path, namespace: BorrowedFd<'_>, depths: Depths) -> rustix::io::Result<OwnedFd> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if depths.copied == Depth::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(CWD, source, flags)?;
    let user_namespace = u64::from(namespace.as_raw_fd().unsigned_abs());
    let attributes = Attributes { set: MOUNT_ATTR_IDMAP, user_namespace, ..Attributes::default() };
    mount_setattr(tree.as_fd(), c"", depths.mapped, &attributes)?;
    Ok(tree)
}

/// A user namespace with these mappings, held by its file only: its one process is gone when this returns.
///
/// # Errors
/// [`Error::Step`]: the namespace is refused; [`Error::File`]: its mappings are.
pub fn user_namespace(proc: &Procfs, uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
    let step = |step| move |source| Error::Step { step, source };
    let (wait, release) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(step("make a pipe"))?;
    let how = Clone3 { namespaces: new::USER, cgroup: None, parent: Parent::Caller };
    match sys::clone::clone3(&how).map_err(step("make a user namespace for an id-mapped mount"))? {
        Side::Child => {
            drop(release);
            let _ = rustix::io::read(&wait, &mut [0_u8; 1]);
            sys::clone::exit(0)
        }
        Side::Parent { pid, pidfd } => {
            let written = write(proc, pid, uids, gids);
            let path = format!("{pid}/ns/user");
            let file =
                rustix::fs::openat(proc.as_fd(), path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            drop((wait, release));
            let process = launch::Process { pid, pidfd };
            let _ = launch::process::wait_dead(process.pidfd.as_fd(), std::time::Duration::from_secs(2));
            let _ = launch::process::ended(&process, launch::process::Reap::Yes);
            written?;
            file.map_err(step("open the user namespace of an id-mapped mount"))
        }
    }
}

/// Whether the container's user namespace is made by this runtime, which then must write its mappings.
pub(crate) fn is_ours(config: &Config) -> bool {
    config.linux.makes_new(NamespaceType::User)
}
