//! `/dev/console`, and standard streams that point at the host's `/dev/null`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proc::Root;
use rustix::fs::{FileType, Mode, OFlags, major, minor};

use super::error::{Error, Place};
use super::options::Bind;
use super::target::{attach, copy, open_file};

/// Shows the terminal as `/dev/console`.
pub(super) fn mount(root: &Root, slave: BorrowedFd<'_>) -> Result<(), Error> {
    let place = Place::new("config.json/process/terminal", Path::new("/dev/console"));
    let (parent, name) = root.parent(&place.path).map_err(|error| place.unreachable_path(error))?;
    let former = rustix::process::umask(Mode::empty());
    let target = open_file(&parent, Path::new(&name), Mode::from_raw_mode(0o666), &place);
    rustix::process::umask(former);
    let tree = copy(slave, Bind::One).map_err(place.failed("copy the mount of the terminal"))?;
    attach(tree.as_fd(), target?.as_fd()).map_err(place.failed("attach the terminal"))
}

/// Replaces standard streams that are the host's null device by the container's, so that `/proc/self/fd` of the
/// container leads nowhere outside.
///
/// Compat: runc, rootfs_linux.go, `reOpenDevNull`.
pub(super) fn reopen_null(root: &Root) -> Result<(), Error> {
    let place = Place::new("config.json/process", Path::new("/dev/null"));
    let mut null = None;
    for (number, stream) in sys::stdio::streams().into_iter().enumerate() {
        if !rustix::fs::fstat(stream).is_ok_and(|stat| is_null(&stat)) {
            continue;
        }
        let null = match &mut null {
            Some(null) => null,
            none => none.insert(open_null(root, OFlags::RDWR)?),
        };
        match number {
            0 => rustix::stdio::dup2_stdin(&*null),
            1 => rustix::stdio::dup2_stdout(&*null),
            _ => rustix::stdio::dup2_stderr(&*null),
        }
        .map_err(place.failed("replace a standard stream"))?;
    }
    Ok(())
}

/// The container's `/dev/null`, verified before it is opened for use.
pub(super) fn open_null(root: &Root, flags: OFlags) -> Result<OwnedFd, Error> {
    let place = Place::new("config.json/linux/devices", Path::new("/dev/null"));
    let seen = root.open(&place.path, OFlags::PATH).map_err(|error| place.unreachable_path(error))?;
    verify_null(&seen, &place)?;
    if flags.contains(OFlags::PATH) {
        return Ok(seen);
    }
    let opened = root.open(&place.path, flags).map_err(|error| place.unreachable_path(error))?;
    verify_null(&opened, &place)?;
    Ok(opened)
}

fn verify_null(fd: &OwnedFd, place: &Place) -> Result<(), Error> {
    let stat = rustix::fs::fstat(fd).map_err(place.failed("stat"))?;
    if is_null(&stat) { Ok(()) } else { Err(place.refused("is not the null device (character device 1:3)")) }
}

fn is_null(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3)
}
