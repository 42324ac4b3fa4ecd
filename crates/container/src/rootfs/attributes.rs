//! Changes the flags and the propagation of one mount, named by a descriptor of its root.
//!
//! Kernel: `mount_setattr` came with 5.12, `MOUNT_ATTR_NOSYMFOLLOW` with 5.14. Before, `mount(2)` does the same for one
//! mount at a time, through `/proc/self/fd/N` of the host's procfs; there is no fallback for a whole tree.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use proc::Procfs;
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags as Stat};
use rustix::io::{Errno, Result};
use rustix::mount::{MountAttrFlags as Attr, MountFlags, MountPropagationFlags as Propagation};
use sys::mount_setattr::{Attributes, Depth, mount_setattr};

use super::options::Change;

/// Applies `change` to the mount, and with [`Depth::Tree`] to everything below it.
pub(super) fn apply(proc: &Procfs, mount: BorrowedFd<'_>, depth: Depth, change: Change) -> Result<()> {
    let attributes = Attributes {
        set: u64::from(change.set.bits()),
        clear: u64::from(change.clear.bits()),
        ..Attributes::default()
    };
    match mount_setattr(mount, c"", depth, &attributes) {
        Err(errno) if depth == Depth::One && is_too_young(errno, change) => remount(proc, mount, change),
        answer => answer,
    }
}

fn is_too_young(errno: Errno, change: Change) -> bool {
    let late = change.set.union(change.clear).contains(Attr::MOUNT_ATTR_NOSYMFOLLOW);
    errno == Errno::NOSYS || (errno == Errno::INVAL && late)
}

/// Compat: a bind mount with any flag gets exactly the flags asked for (runc 1.4, rootfs_linux.go); only where the
/// kernel has locked flags (a user namespace) are those kept that nobody asked to clear.
pub(super) fn apply_to_bind(proc: &Procfs, mount: BorrowedFd<'_>, change: Change) -> Result<()> {
    if change.is_none() {
        return Ok(());
    }
    match apply(proc, mount, Depth::One, change.exactly()) {
        Err(Errno::PERM) => apply(proc, mount, Depth::One, change),
        answer => answer,
    }
}

/// Changes the propagation; `REC` among the flags means the whole tree.
pub(super) fn propagate(proc: &Procfs, mount: BorrowedFd<'_>, flags: Propagation) -> Result<()> {
    let depth = if flags.contains(Propagation::REC) { Depth::Tree } else { Depth::One };
    let propagation = u64::from(flags.difference(Propagation::REC).bits());
    let attributes = Attributes { propagation, ..Attributes::default() };
    match mount_setattr(mount, c"", depth, &attributes) {
        Err(Errno::NOSYS) => through_path(proc, mount, |path| rustix::mount::mount_change(path, flags)),
        answer => answer,
    }
}

/// Every kind of access time is spelled out: a remount that names none keeps the present one, or falls back to
/// `relatime` when it names `nodiratime`.
fn remount(proc: &Procfs, mount: BorrowedFd<'_>, change: Change) -> Result<()> {
    let wanted = present(mount)?.difference(change.clear).union(change.set);
    let mut flags = mount_flags(wanted) | MountFlags::BIND;
    if !wanted.intersects(Attr::MOUNT_ATTR__ATIME) {
        flags |= MountFlags::RELATIME;
    }
    through_path(proc, mount, |path| rustix::mount::mount_remount(path, flags, ""))
}

/// `ST_NOSYMFOLLOW`. Source: include/linux/statfs.h.
const NOSYMFOLLOW: Stat = Stat::from_bits_retain(0x2000);

/// The flags of the mount as they are now.
fn present(mount: BorrowedFd<'_>) -> Result<Attr> {
    let flags = rustix::fs::fstatvfs(mount)?.f_flag;
    let table = [
        (Stat::RDONLY, Attr::MOUNT_ATTR_RDONLY),
        (Stat::NOSUID, Attr::MOUNT_ATTR_NOSUID),
        (Stat::NODEV, Attr::MOUNT_ATTR_NODEV),
        (Stat::NOEXEC, Attr::MOUNT_ATTR_NOEXEC),
        (Stat::NOATIME, Attr::MOUNT_ATTR_NOATIME),
        (Stat::NODIRATIME, Attr::MOUNT_ATTR_NODIRATIME),
        (NOSYMFOLLOW, Attr::MOUNT_ATTR_NOSYMFOLLOW),
    ];
    let mut present: Attr =
        table.iter().filter(|(stat, _)| flags.contains(*stat)).map(|(_, attr)| *attr).collect();
    if !flags.intersects(Stat::NOATIME | Stat::RELATIME) {
        present.insert(Attr::MOUNT_ATTR_STRICTATIME);
    }
    Ok(present)
}

/// The same flags in the form of `mount(2)`.
pub(super) fn mount_flags(attributes: Attr) -> MountFlags {
    let table = [
        (Attr::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (Attr::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (Attr::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (Attr::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        (Attr::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
        (Attr::MOUNT_ATTR_STRICTATIME, MountFlags::STRICTATIME),
        (Attr::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
        (Attr::MOUNT_ATTR_NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
    ];
    table.iter().filter(|(attr, _)| attributes.contains(*attr)).map(|(_, flag)| *flag).collect()
}

/// Gives `act` a path that means exactly this descriptor, for calls that take nothing else.
///
/// The path is relative to the host's procfs, which becomes the working directory for the length of the call: the
/// procfs at `/proc` may be the container's by now.
pub(super) fn through_path<T>(
    proc: &Procfs,
    target: BorrowedFd<'_>,
    act: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let back = rustix::fs::openat(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::fchdir(proc.as_fd())?;
    let answer = act(&PathBuf::from(format!("self/fd/{}", target.as_raw_fd())));
    rustix::process::fchdir(back)?;
    answer
}
