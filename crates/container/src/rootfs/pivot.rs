//! The change of root: `pivot_root`, or the move and chroot that an initramfs needs.

use std::os::fd::AsFd;
use std::path::Path;

use proc::{Procfs, Root};
use rustix::fs::CWD;
use rustix::io::{Errno, Result};
use rustix::mount::{
    MountPropagationFlags as Propagation, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};

use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::options::Options;
use super::{bind, mounts, open_directory};

/// How the process comes to see the root as `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRoot {
    /// `pivot_root(2)`: the host's mounts are gone afterwards.
    Pivot,
    /// `--no-pivot`: the root is moved over `/`. Weaker; for hosts that run from their initramfs.
    Move,
}

/// Makes `root`, a mount at `path`, the process's `/` and working directory.
pub(super) fn change_root(
    proc: &Procfs,
    root: &Root,
    path: &Path,
    how: ChangeRoot,
) -> std::result::Result<(), Error> {
    let place = Place::new("config.json/root/path", path);
    match how {
        ChangeRoot::Pivot => pivot(root).map_err(place.failed("pivot_root (--no-pivot is for an initramfs)")),
        ChangeRoot::Move => {
            hide_kernel_file_systems(proc, path, &place)?;
            move_over(root).map_err(place.failed("move the root over /"))
        }
    }
}

/// `pivot_root(".", ".")` stacks the old root on the new one, so that no directory for it is needed.
///
/// Source: pivot_root(2), "NOTES".
fn pivot(root: &Root) -> Result<()> {
    let old = open_directory(Path::new("/"))?;
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    // Where "." is now is not documented; the old root is what has to go.
    rustix::process::fchdir(&old)?;
    // As a slave the unmount stays here. Not private: a private copy would pin mounts that the host gives up.
    mount_change(".", Propagation::DOWNSTREAM | Propagation::REC)?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

fn move_over(root: &Root) -> Result<()> {
    move_mount(root.as_fd(), "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(root)?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")
}

/// Without `pivot_root` the host's procfs and sysfs stay in the namespace, and with them the permission to mount
/// fresh ones, unmasked: so they are unmounted, or covered where that is not permitted.
///
/// Compat: runc, rootfs_linux.go, `msMoveRoot`.
fn hide_kernel_file_systems(proc: &Procfs, root: &Path, place: &Place) -> std::result::Result<(), Error> {
    for mount in proc.own_mounts()? {
        let full = mount.root == Path::new("/") && matches!(mount.fs_type.as_str(), "proc" | "sysfs");
        if full && !mount.mount_point.starts_with(root) {
            hide(&mount.mount_point, place)?;
        }
    }
    Ok(())
}

fn hide(path: &Path, place: &Place) -> std::result::Result<(), Error> {
    match mount_change(path, Propagation::DOWNSTREAM | Propagation::REC) {
        // It lay below one that is gone already.
        Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
        changed => changed.map_err(place.failed("change the propagation of a mount of the host"))?,
    }
    match unmount(path, UnmountFlags::DETACH) {
        Err(Errno::INVAL | Errno::PERM) => {
            let target = bind::open(place, path)?;
            let options = Options::parse(&[]);
            mounts::show(place, &target, &FileSystem::new("tmpfs", "tmpfs", &options)).map(drop)
        }
        unmounted => unmounted.map_err(place.failed("unmount a mount of the host")),
    }
}
