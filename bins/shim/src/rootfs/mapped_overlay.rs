//! An overlay of layers whose owners are mapped.
//!
//! An overlay maps nothing itself. Its lower layers are id-mapped mounts; what is written goes into the upper layer with the
//! ids of the host, which nothing has to map. Kernel: the layers have to be mounted where the overlay is made, and no
//! mount of another namespace is taken (6.15 takes one that is mounted nowhere). So that nobody sees them, and nothing has
//! to clean up, it is made aside:
//!
//! ```text
//!     the host's mounts                    a mount namespace of this process alone
//!      | copies of the layers, mapped,
//!      | mounted nowhere
//!      | unshare ------------------------> | each copy on the layer that it shows
//!      |                                   | the overlay, whose options are as they were given
//!      | setns <-------------------------- | a copy of the overlay, mounted nowhere
//!      | the copy on the target            gone, with everything in it
//! ```

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use proc::Procfs;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags};

use super::{Error, Parsed, mount_by_kind, owners};
use crate::verb::Mount;

/// Makes the overlay and mounts it on `target`.
pub(super) fn mount(
    proc: &Procfs,
    mount: &Mount,
    target: &Path,
    parsed: &Parsed,
    namespace: &OwnedFd,
) -> Result<(), Error> {
    let lower = parsed.data.iter().find_map(|option| option.strip_prefix("lowerdir=")).unwrap_or_default();
    let layers = split(lower);
    let copies = layers.iter().map(|layer| owners::layer(layer, namespace));
    let copies = copies.collect::<Result<Vec<_>, _>>()?;
    let made = aside(proc, target, || {
        for (copy, layer) in copies.iter().zip(&layers) {
            owners::attach(copy, layer)?;
        }
        let made = mount_by_kind(mount, target, parsed).and_then(|()| copy(target));
        made.map_err(|source| Error::MappedOverlay { target: target.to_owned(), source })
    })?;
    owners::attach(&made, target)
}

/// The lower layers. What is between two colons that follow each other is none: those after it are of data only.
///
/// Source: Documentation/filesystems/overlayfs.rst: a backslash makes the next character a part of a name.
fn split(lower: &str) -> Vec<PathBuf> {
    let mut layers = vec![String::new()];
    let mut letters = lower.chars();
    while let Some(letter) = letters.next() {
        if letter == ':' {
            layers.push(String::new());
        } else if let Some(layer) = layers.last_mut() {
            layer.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
    }
    layers.into_iter().filter(|layer| !layer.is_empty()).map(PathBuf::from).collect()
}

/// What is mounted on `target`, mounted nowhere.
fn copy(target: &Path) -> Result<OwnedFd, Errno> {
    rustix::mount::open_tree(CWD, target, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}

/// Does something in a mount namespace of its own, from which nothing reaches another one.
fn aside<T>(proc: &Procfs, target: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let before = Before::now(proc).map_err(step("open the mount namespace of this process", target))?;
    sys::namespace::unshare(sys::clone::new::MOUNT).map_err(step("make a mount namespace", target))?;
    // What the host unmounts goes here, too: a mount that hangs would hold it for as long as it hangs.
    let receives = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    let made = rustix::mount::mount_change(c"/", receives)
        .map_err(step("keep the mounts of a new namespace to itself", target))
        .and_then(|()| work());
    before.restore().map_err(step("go back to the mount namespace", target))?;
    made
}

/// Where this process was.
struct Before {
    namespace: OwnedFd,
    root: OwnedFd,
    directory: OwnedFd,
}

impl Before {
    fn now(proc: &Procfs) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = rustix::fs::openat(proc.as_fd(), c"self/ns/mnt", flags, Mode::empty())?;
        let directory = |path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, path, flags, Mode::empty())
        };
        Ok(Self { namespace, root: directory(c"/")?, directory: directory(c".")? })
    }

    /// Kernel: who joins a mount namespace finds its root and its working directory at the top of it.
    fn restore(&self) -> Result<(), Errno> {
        sys::namespace::join(self.namespace.as_fd(), sys::clone::new::MOUNT)?;
        rustix::process::fchdir(&self.root)?;
        rustix::process::chroot(c".")?;
        rustix::process::fchdir(&self.directory)
    }
}

fn step(step: &'static str, target: &Path) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Aside { step, target: target.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_separated_by_colons() {
        for (lower, layers) in [
            ("/s/1/fs", vec!["/s/1/fs"]),
            ("/s/1/fs:/s/22/fs", vec!["/s/1/fs", "/s/22/fs"]),
            ("/a\\:b:/c\\\\", vec!["/a:b", "/c\\"]),
            ("/a::/data", vec!["/a", "/data"]),
            ("", vec![]),
        ] {
            assert_eq!(split(lower), layers.into_iter().map(PathBuf::from).collect::<Vec<_>>(), "{lower}");
        }
    }
}
