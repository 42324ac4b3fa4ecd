//! The place inside the root where something is mounted: looked up or made, verified, and held by a descriptor.
//!
//! **Invariant:** a mount is attached to a descriptor opened below the root with `RESOLVE_IN_ROOT`, never to a path:
//! a link planted in the root, also while we work, cannot send a mount to the host.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use proc::{Procfs, Root};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::error::{Error, Place};
use super::options::Bind;

/// What a missing mount point becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// A mount point, open.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) fd: OwnedFd,
    /// Permission bits, when it was there before.
    pub(super) former_mode: Option<u32>,
    /// Where it really is below the root, links resolved, with a leading `/`.
    pub(super) resolved: PathBuf,
}

impl Target {
    /// Opens the mount point of `place`, or makes it.
    pub(super) fn open(proc: &Procfs, root: &Root, place: &Place, kind: Kind) -> Result<Self, Error> {
        let (fd, former_mode) = match root.open(&place.path, OFlags::PATH) {
            Ok(fd) => {
                let mode = stat(&fd, place)?.st_mode & 0o7777;
                (fd, Some(mode))
            }
            Err(error) if error.errno() == Some(Errno::NOENT) => (make(root, place, kind)?, None),
            Err(error) => return Err(place.unreachable_path(error)),
        };
        let resolved = resolve(proc, root, fd.as_fd()).map_err(place.failed("resolve the mount point"))?;
        if resolved == Path::new("/") {
            return Err(place.refused("is the root itself; mount below it, or set root.path"));
        }
        Ok(Self { fd, former_mode, resolved })
    }

    /// Opens the mount point of a kernel file system, which must be an ordinary directory: a link there would let
    /// the image choose what later writes to `/proc` reach.
    ///
    /// Compat: runc refuses a link in the last component (rootfs_linux.go, `mountToRootfs`).
    pub(super) fn open_plain(proc: &Procfs, root: &Root, place: &Place) -> Result<Self, Error> {
        let last = root.open(&place.path, OFlags::PATH | OFlags::NOFOLLOW);
        if let Ok(fd) = &last {
            let kind = FileType::from_raw_mode(stat(fd, place)?.st_mode);
            if kind != FileType::Directory {
                return Err(place.refused(format!("must be an ordinary directory, but is a {}", name(kind))));
            }
        }
        Self::open(proc, root, place, Kind::Directory)
    }

    pub(super) fn is_directory(&self, place: &Place) -> Result<bool, Error> {
        is_directory(self.fd.as_fd(), place)
    }

    /// Attaches a detached mount here.
    pub(super) fn attach(&self, tree: BorrowedFd<'_>, place: &Place) -> Result<(), Error> {
        attach(tree, self.fd.as_fd()).map_err(place.failed("attach the mount"))
    }
}

/// Attaches the detached mount `tree` on top of `target`.
pub(super) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

/// A detached copy of the mount that `fd` lies on, beginning at `fd`.
pub(super) fn copy(fd: BorrowedFd<'_>, depth: Bind) -> rustix::io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Bind::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(fd, "", flags)
}

/// Whether the descriptor is a directory.
pub(super) fn is_directory(fd: BorrowedFd<'_>, place: &Place) -> Result<bool, Error> {
    let stat = rustix::fs::fstat(fd).map_err(place.failed("stat"))?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Opens `name` below `parent` as an empty file to mount on; a link or a directory there is refused.
pub(super) fn open_file(parent: &OwnedFd, name: &Path, mode: Mode, place: &Place) -> Result<OwnedFd, Error> {
    match rustix::fs::mknodat(parent, name, FileType::RegularFile, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(place.failed("make the mount point")(errno)),
    }
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(place.failed("stat"))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if matches!(kind, FileType::Symlink | FileType::Directory) {
        return Err(place.refused(format!("a {} is in the way", self::name(kind))));
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(place.failed("open the mount point"))
}

fn make(root: &Root, place: &Place, kind: Kind) -> Result<OwnedFd, Error> {
    let made = match kind {
        Kind::Directory => root.mkdir_all(&place.path, Mode::from_raw_mode(0o755)),
        // Compat: runc makes such a file with 0755 up to 1.1, with 0644 since 1.3.
        Kind::File => root.create_file(&place.path, Mode::from_raw_mode(0o644)),
    };
    made.map_err(|error| place.unreachable_path(error))
}

fn stat(fd: &OwnedFd, place: &Place) -> Result<rustix::fs::Stat, Error> {
    rustix::fs::fstat(fd).map_err(place.failed("stat the mount point"))
}

/// Asks the kernel where `fd` is, relative to the root.
fn resolve(proc: &Procfs, root: &Root, fd: BorrowedFd<'_>) -> rustix::io::Result<PathBuf> {
    let (root, path) = (link(proc, root.as_fd())?, link(proc, fd)?);
    let below = path.strip_prefix(&root).map_err(|_| Errno::XDEV)?;
    Ok(Path::new("/").join(below))
}

fn link(proc: &Procfs, fd: BorrowedFd<'_>) -> rustix::io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let target = rustix::fs::readlinkat(proc, format!("self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
}

/// `/` and the names of `path`, `.` and `..` taken out without asking the file system.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::RegularFile => "regular file",
        _ => "special file",
    }
}
