//! Cuts the new mount namespace off from the host's, and opens the root as a mount of its own.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use proc::{Procfs, Root};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags as Propagation;

use super::attributes::propagate;
use super::error::{Error, Place};
use super::options::{Bind, propagation};
use super::target::{attach, copy};

/// Applies `linux.rootfsPropagation` (default `rslave`) to the host's `/`, sees to it that nothing mounted in the
/// root propagates back, and binds the root onto itself.
///
/// Compat: runc, rootfs_linux.go, `prepareRoot`.
pub(super) fn isolate(proc: &Procfs, path: &Path, word: &str) -> Result<Root, Error> {
    let place = Place::new("config.json/linux/rootfsPropagation", Path::new("/"));
    let flags = outer(word);
    let slash = super::open_directory(Path::new("/")).map_err(place.failed("open the host's /"))?;
    propagate(proc, slash.as_fd(), flags).map_err(place.failed("change the propagation of the host's /"))?;

    let place = Place::new("config.json/root/path", path);
    let root = super::open_directory(path).map_err(place.failed("open the root"))?;
    let parent =
        if flags.contains(Propagation::DOWNSTREAM) { Propagation::DOWNSTREAM } else { Propagation::PRIVATE };
    quieten(proc, &root, parent).map_err(place.failed("change the propagation of the mount it lies on"))?;
    let tree = copy(root.as_fd(), Bind::Tree).map_err(place.failed("copy the mount of the root"))?;
    attach(tree.as_fd(), root.as_fd()).map_err(place.failed("bind the root onto itself"))?;
    Ok(Root::from(tree))
}

/// Applies what could not be applied before the change of root without reaching the host.
pub(super) fn finish(proc: &Procfs, root: &Root, word: &str) -> Result<(), Error> {
    let flags =
        propagation(word).filter(|flags| !flags.intersects(Propagation::DOWNSTREAM | Propagation::PRIVATE));
    let Some(flags) = flags else { return Ok(()) };
    let place = Place::new("config.json/linux/rootfsPropagation", Path::new("/"));
    propagate(proc, root.as_fd(), flags).map_err(place.failed("change the propagation of /"))
}

/// The propagation of the host's mounts in this namespace.
pub(super) fn outer(word: &str) -> Propagation {
    match propagation(word) {
        None => Propagation::DOWNSTREAM | Propagation::REC,
        // An unbindable root could not be bound onto itself; it becomes so at the end.
        Some(flags) if flags.contains(Propagation::UNBINDABLE) => {
            flags.difference(Propagation::UNBINDABLE) | Propagation::PRIVATE
        }
        Some(flags) => flags,
    }
}

/// Goes up to the root of the mount that holds `directory` and makes it `flags`.
///
/// Kernel: `pivot_root` refuses a new root whose parent mount is shared. `EINVAL` means "not the root of a mount".
fn quieten(proc: &Procfs, directory: &OwnedFd, flags: Propagation) -> rustix::io::Result<()> {
    let mut at = directory.try_clone().map_err(|_| Errno::MFILE)?;
    loop {
        match propagate(proc, at.as_fd(), flags) {
            Err(Errno::INVAL) => {}
            answer => return answer,
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let up = rustix::fs::openat(&at, "..", flags, Mode::empty())?;
        let (here, above) = (rustix::fs::fstat(&at)?, rustix::fs::fstat(&up)?);
        if (here.st_dev, here.st_ino) == (above.st_dev, above.st_ino) {
            return Err(Errno::INVAL);
        }
        at = up;
    }
}
