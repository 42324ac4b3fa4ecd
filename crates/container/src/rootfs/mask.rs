//! `linux.readonlyPaths` and `linux.maskedPaths`, after the change of root.
//!
//! **Invariant:** a file is covered by `/dev/null` only after that was verified to be the null device: an image, or a
//! process that shares the root, may have put something else there.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use proc::{Procfs, Root};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attr;
use sys::mount_setattr::Depth;

use super::attributes::apply;
use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::options::{Bind, Change, Options};
use super::target::{attach, copy, is_directory};
use super::{console, mounts};

/// Makes each path that exists read-only, with everything mounted below it kept as it is.
pub(super) fn make_read_only(proc: &Procfs, root: &Root, paths: &[PathBuf]) -> Result<(), Error> {
    for (index, path) in paths.iter().enumerate() {
        let place = Place::new(format!("config.json/linux/readonlyPaths/{index}"), path);
        let Some(target) = find(root, &place)? else { continue };
        let tree = copy(target.as_fd(), Bind::Tree).map_err(place.failed("copy the mount"))?;
        attach(tree.as_fd(), target.as_fd()).map_err(place.failed("bind the path onto itself"))?;
        // nosuid, nodev and noexec of the mount below, which may be locked, stay as they are.
        apply(proc, tree.as_fd(), Depth::One, Change::READ_ONLY)
            .map_err(place.failed("make the path read-only"))?;
    }
    Ok(())
}

/// Covers each path that exists: a directory by one empty, read-only tmpfs shared by all, a file by `/dev/null`.
pub(super) fn cover(root: &Root, paths: &[PathBuf], label: &str) -> Result<(), Error> {
    let mut empty: Option<OwnedFd> = None;
    let mut null: Option<OwnedFd> = None;
    for (index, path) in paths.iter().enumerate() {
        let place = Place::new(format!("config.json/linux/maskedPaths/{index}"), path);
        let Some(target) = find(root, &place)? else { continue };
        if is_directory(target.as_fd(), &place)? {
            match &empty {
                Some(first) => cover_with(first, &target, &place)?,
                None => empty = Some(mount_empty(&target, &place, label)?),
            }
        } else {
            let null = match &mut null {
                Some(null) => null,
                none => none.insert(console::open_null(root, OFlags::PATH)?),
            };
            cover_with(null, &target, &place)?;
        }
    }
    Ok(())
}

/// The first mask is attached before it is copied.
///
/// Kernel: a copy of a mount that was never attached needs 6.15.
fn mount_empty(target: &OwnedFd, place: &Place, label: &str) -> Result<OwnedFd, Error> {
    let mut options = Options::parse(&[]);
    options.change.set = Attr::MOUNT_ATTR_RDONLY;
    if !label.is_empty() {
        options.data.push(format!("context=\"{label}\""));
    }
    mounts::show(place, target, &FileSystem::new("tmpfs", "tmpfs", &options))
}

fn cover_with(what: &OwnedFd, target: &OwnedFd, place: &Place) -> Result<(), Error> {
    let tree = copy(what.as_fd(), Bind::One).map_err(place.failed("copy the mask"))?;
    attach(tree.as_fd(), target.as_fd()).map_err(place.failed("cover the path"))
}

/// A path that is not there needs no protection.
fn find(root: &Root, place: &Place) -> Result<Option<OwnedFd>, Error> {
    match root.open(Path::new(&place.path), OFlags::PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        Err(error) => Err(place.unreachable_path(error)),
    }
}
