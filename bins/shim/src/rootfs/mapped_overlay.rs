//! An overlay of layers whose owners are mapped.
//!
//! An overlay maps nothing itself. Its lower layers are id-mapped mounts, and what is written into the upper one belongs to
//! the ids of the host, which nothing has to map. Kernel: the layers have to be mounted where the overlay is made, and no
//! mount of another namespace is taken. So that nobody sees them, and nothing has to clean up, it is made aside:
//!
//! ```text
//!     the host's mounts                    a mount namespace of this process alone
//!      | copies of the layers, mapped,
//!      | mounted nowhere
//!      | unshare ------------------------> | a tmpfs on the target, in it a directory per layer
//!      |                                   | the copies on these, the overlay of them on one more
//!      | setns <-------------------------- | a copy of the overlay, mounted nowhere
//!      | the copy on the target            gone, with everything in it
//! ```

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use proc::Procfs;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

use super::{Error, LONGEST, Parsed, call, owners};
use crate::verb::Mount;

/// Where the overlay is made, beside its layers.
const OVERLAY: &str = "overlay";

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
    let copies = layers.iter().filter_map(|layer| layer.as_ref());
    let copies = copies.map(|layer| owners::layer(layer, namespace)).collect::<Result<Vec<_>, _>>()?;
    let data = renamed(&parsed.data, &layers);
    let made = aside(proc, target, || {
        place(&copies, target).map_err(step("mount the layers", target))?;
        overlay(mount, parsed, &data)
            .map_err(|source| Error::MappedOverlay { target: target.to_owned(), source })
    })?;
    owners::attach(&made, target)
}

/// The lower layers, the upmost first; none stands for the colon more that begins those of data only.
///
/// Source: Documentation/filesystems/overlayfs.rst: a backslash makes the next character a part of a name.
fn split(lower: &str) -> Vec<Option<PathBuf>> {
    let mut layers = vec![String::new()];
    let mut letters = lower.chars();
    while let Some(letter) = letters.next() {
        if letter == ':' {
            layers.push(String::new());
        } else if let Some(layer) = layers.last_mut() {
            layer.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
    }
    layers.into_iter().map(|layer| (!layer.is_empty()).then(|| layer.into())).collect()
}

/// The options with the layers named by their numbers.
fn renamed(data: &[String], layers: &[Option<PathBuf>]) -> String {
    let mut numbers = 0_usize..;
    let name = |layer: &Option<PathBuf>| {
        let number = layer.as_ref().and_then(|_| numbers.next());
        number.map(|number| number.to_string()).unwrap_or_default()
    };
    let lower = format!("lowerdir={}", layers.iter().map(name).collect::<Vec<_>>().join(":"));
    let others = data.iter().filter(|option| !option.starts_with("lowerdir=")).map(String::as_str);
    others.chain([lower.as_str()]).collect::<Vec<_>>().join(",")
}

/// Does something in a mount namespace of its own, from which nothing reaches another one.
fn aside<T>(proc: &Procfs, target: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let before = Before::now(proc).map_err(step("open the mount namespace of this process", target))?;
    sys::namespace::unshare(sys::clone::new::MOUNT).map_err(step("make a mount namespace", target))?;
    let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let made = rustix::mount::mount_change(c"/", alone)
        .map_err(step("make the mounts of a new namespace private", target))
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
        Ok(Self { namespace, root: directory(Path::new("/"))?, directory: directory(Path::new("."))? })
    }

    /// Kernel: who joins a mount namespace finds its root and its working directory at the top of it.
    fn restore(&self) -> Result<(), Errno> {
        sys::namespace::join(self.namespace.as_fd(), sys::clone::new::MOUNT)?;
        rustix::process::fchdir(&self.root)?;
        rustix::process::chroot(c".")?;
        rustix::process::fchdir(&self.directory)
    }
}

/// Mounts the copies on directories named by their numbers, and makes these the working directory.
fn place(copies: &[OwnedFd], target: &Path) -> Result<(), Errno> {
    rustix::mount::mount("tmpfs", target, "tmpfs", MountFlags::empty(), Some(c"mode=700"))?;
    rustix::process::fchdir(directory(target)?)?;
    rustix::fs::mkdirat(CWD, OVERLAY, Mode::RWXU)?;
    for (number, copy) in copies.iter().enumerate() {
        let name = number.to_string();
        rustix::fs::mkdirat(CWD, &name, Mode::RWXU)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(copy.as_fd(), c"", CWD, &name, flags)?;
    }
    Ok(())
}

/// The overlay, mounted nowhere.
fn overlay(mount: &Mount, parsed: &Parsed, data: &str) -> Result<OwnedFd, Errno> {
    if data.len() > LONGEST {
        return Err(Errno::TOOBIG);
    }
    call(mount, Path::new(OVERLAY), parsed, data)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, OVERLAY, flags)
}

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

fn step(step: &'static str, target: &Path) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Aside { step, target: target.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_by_their_numbers() {
        let data = ["index=off", "lowerdir=/s/1/fs:/s/22/fs:/s/3/fs", "upperdir=/s/9/fs"].map(String::from);
        let layers = split("/s/1/fs:/s/22/fs:/s/3/fs");
        assert_eq!(renamed(&data, &layers), "index=off,upperdir=/s/9/fs,lowerdir=0:1:2");
    }

    #[test]
    fn a_colon_in_a_name_is_no_separator_and_two_begin_layers_of_data() {
        let layers = split("/a\\:b:/c::/d\\\\");
        let names: Vec<_> =
            ["/a:b", "/c", "", "/d\\"].map(|name| (!name.is_empty()).then(|| name.into())).into();
        assert_eq!(layers, names);
        assert_eq!(renamed(&[], &layers), "lowerdir=0:1::2");
    }
}
