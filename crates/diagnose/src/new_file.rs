//! A file that is there whole or not at all: written beside its place, then moved there.
//!
//! **Invariant:** nothing that was there is replaced, and a write that fails leaves no file behind.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Makes a file of these bytes, which is on its disk when this returns.
///
/// # Errors
/// When there is something at its place (`EEXIST`), or it cannot be created or written.
pub fn write(path: &Path, bytes: &[u8], mode: Mode) -> Result<()> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    refuse_what_is_there(path).map_err(open)?;
    let beside = Beside::create(path, mode).map_err(open)?;
    let wrap = |source| Error::Write { path: path.to_owned(), source };
    let mut file = std::fs::File::from(beside.fd.try_clone().map_err(wrap)?);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(wrap)?;
    beside.take_place(path).map_err(open)
}

/// Ends the name of a file that is being written. One that was left by a kill may be removed.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// The file while it is written; it goes away when it does not get its place.
struct Beside {
    path: PathBuf,
    fd: OwnedFd,
}

impl Beside {
    fn create(path: &Path, mode: Mode) -> std::result::Result<Self, Errno> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}{UNFINISHED}", std::process::id()));
        let beside = PathBuf::from(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &beside, flags, mode)?;
        Ok(Self { path: beside, fd })
    }

    fn take_place(self, path: &Path) -> std::result::Result<(), Errno> {
        match rustix::fs::renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE) {
            // Kernel: not every file system knows the flag (NFS); there nothing guards the moment in between.
            Err(Errno::INVAL | Errno::NOSYS) => {
                refuse_what_is_there(path)?;
                rustix::fs::rename(&self.path, path)
            }
            other => other,
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After the move there is nothing of this name.
        let _moved = rustix::fs::unlink(&self.path);
    }
}

fn refuse_what_is_there(path: &Path) -> std::result::Result<(), Errno> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("x");
        write(&path, b"first", Mode::RUSR).unwrap();
        let second = write(&path, b"second", Mode::RUSR);
        assert!(matches!(second, Err(Error::Open { source: Errno::EXIST, .. })), "{second:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(names(lab.path()), ["x"]);
    }

    #[test]
    fn a_place_that_is_taken_meanwhile_is_not_overwritten() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("x");
        let beside = Beside::create(&path, Mode::RUSR).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert_eq!(beside.take_place(&path), Err(Errno::EXIST));
        assert_eq!(names(lab.path()), ["x"]);
    }
}
