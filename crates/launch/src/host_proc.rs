//! The host's `/proc`, opened before any namespace is joined.
//!
//! **Invariant:** no file below a container's own `/proc` mount is ever read or written on the runtime's behalf: a
//! container can put anything there (docs/decisions/0006-host-proc-only.md).

use crate::Error;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// A verified descriptor of the root of a proc file system.
#[derive(Debug)]
pub struct HostProc(OwnedFd);

/// Largest file of `/proc` that is read, in bytes.
const READ_LIMIT: usize = 4 << 20;

impl HostProc {
    /// Opens `/proc` and verifies that it is the root of a proc file system.
    ///
    /// # Errors
    /// [`Error::HostProc`], [`Error::NotProc`].
    pub fn open() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let root = rustix::fs::openat(CWD, "/proc", flags, Mode::empty()).map_err(Error::HostProc)?;
        let magic = rustix::fs::fstatfs(&root).map_err(Error::HostProc)?.f_type;
        let inode = rustix::fs::fstat(&root).map_err(Error::HostProc)?.st_ino;
        // Source: include/linux/proc_fs.h, PROC_ROOT_INO.
        const PROC_ROOT_INODE: u64 = 1;
        if magic != rustix::fs::PROC_SUPER_MAGIC || inode != PROC_ROOT_INODE {
            return Err(Error::NotProc { magic: magic.unsigned_abs(), inode });
        }
        Ok(HostProc(root))
    }

    /// Reads a file below `/proc`, such as `1/stat`.
    ///
    /// # Errors
    /// The kernel's errno; `ESRCH` and `ENOENT` both mean that the process is gone.
    pub fn read(&self, path: &str) -> Result<String, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, path, flags, Mode::empty())?;
        let mut bytes = Vec::with_capacity(1024);
        let mut chunk = [0_u8; 4096];
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut chunk))?;
            bytes.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
            if count == 0 || bytes.len() > READ_LIMIT {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }

    /// Opens a file below `/proc`.
    ///
    /// # Errors
    /// The kernel's errno.
    pub fn open_at(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Writes a whole value to a file below `/proc` in one `write(2)`, as its files ask for.
    ///
    /// # Errors
    /// The kernel's errno.
    pub fn write(&self, path: &str, value: &str) -> Result<(), Errno> {
        let file = self.open_at(path, OFlags::WRONLY)?;
        rustix::io::write(&file, value.as_bytes()).map(drop)
    }
}

impl AsFd for HostProc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
