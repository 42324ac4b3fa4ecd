//! A procfs held by descriptor, so that what is read does not depend on what is mounted at `/proc` later.
//!
//! **Invariant**: [`Procfs::host`] is the root of a real procfs. [`Procfs::saved`] reads a copy of one, for
//! tests and for trees that were taken from another machine.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags};

use crate::cgroup_file::{self, Entry};
use crate::mountinfo::{self, Mount};
use crate::pid::Stat;
use crate::{Error, Result, root};

/// Most bytes read from one file of procfs: mountinfo of a host with thousands of mounts has a few MB.
const LARGEST_FILE: usize = 64 << 20;

/// `PROC_SUPER_MAGIC`. Source: linux/magic.h.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// `PROC_ROOT_INO`: inode of the root of every procfs. Source: linux/proc_fs.h.
const PROC_ROOT_INODE: u64 = 1;

/// A directory that is, or looks like, `/proc`.
#[derive(Debug)]
pub struct Procfs {
    fd: OwnedFd,
    boot_id: OnceLock<String>,
}

impl Procfs {
    /// Opens `/proc` and makes sure that it is the root of a procfs.
    ///
    /// # Errors
    /// When `/proc` cannot be opened or is something else.
    pub fn host() -> Result<Self> {
        let path = Path::new("/proc");
        let procfs = Self::saved(path)?;
        let wrap = |source| Error::Open { path: path.to_owned(), source };
        let magic = rustix::fs::fstatfs(&procfs.fd).map_err(wrap)?.f_type;
        let inode = rustix::fs::fstat(&procfs.fd).map_err(wrap)?.st_ino;
        if u64::try_from(magic) == Ok(PROC_SUPER_MAGIC) && inode == PROC_ROOT_INODE {
            Ok(procfs)
        } else {
            Err(Error::NotProcfs { path: path.to_owned() })
        }
    }

    /// Opens a directory that is laid out like `/proc`, without asking what it is.
    ///
    /// # Errors
    /// When it cannot be opened as a directory.
    pub fn saved(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        Ok(Self { fd, boot_id: OnceLock::new() })
    }

    /// The text of one file; bytes that are not UTF-8 become the replacement character.
    ///
    /// # Errors
    /// When it cannot be opened or read, or is larger than 64 MiB.
    pub fn read(&self, path: &Path) -> Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, path, flags, Mode::empty())
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let bytes = root::read_capped(&fd, path, LARGEST_FILE)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
    }

    /// The text of a file that is one line, shorter than 2 KiB: the kernel gives it to the first `read(2)`.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn read_line(&self, path: &Path) -> Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, path, flags, Mode::empty())
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let mut line = [0; 2048];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut line))
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(String::from_utf8_lossy(line.get(..count).unwrap_or(&[])).into_owned())
    }

    /// What tells this boot of the kernel from every other; read once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn boot_id(&self) -> Result<&str> {
        if let Some(known) = self.boot_id.get() {
            return Ok(known);
        }
        let text = self.read_line(Path::new("sys/kernel/random/boot_id"))?;
        Ok(self.boot_id.get_or_init(|| text.trim().to_owned()))
    }

    /// The pids of all processes at this moment; what cannot be listed is left out.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        // Anew: what is open with O_PATH cannot be listed.
        self.numbers_in(Path::new("."))
    }

    /// The ids of the threads of a process, in the pid namespace of this procfs; empty when there is no such process.
    #[must_use]
    pub fn threads(&self, pid: i32) -> Vec<i32> {
        self.numbers_in(&of(pid, "task"))
    }

    fn numbers_in(&self, directory: &Path) -> Vec<i32> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed =
            rustix::fs::openat(&self.fd, directory, flags, Mode::empty()).and_then(rustix::fs::Dir::new);
        let entries = listed.into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok()).collect()
    }

    /// `/proc/PID/stat`.
    ///
    /// # Errors
    /// `ENOENT` or `ESRCH` when there is no such process; malformed text.
    pub fn stat(&self, pid: i32) -> Result<Stat> {
        let path = of(pid, "stat");
        Stat::parse(&self.read_line(&path)?)
            .ok_or(Error::Malformed { path, expected: "expected the fields of proc_pid_stat(5)" })
    }

    /// `/proc/PID/cgroup`.
    ///
    /// # Errors
    /// `ENOENT` or `ESRCH` when there is no such process.
    pub fn cgroups(&self, pid: i32) -> Result<Vec<Entry>> {
        Ok(cgroup_file::parse(&self.read(&of(pid, "cgroup"))?))
    }

    /// `/proc/self/cgroup`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn own_cgroups(&self) -> Result<Vec<Entry>> {
        Ok(cgroup_file::parse(&self.read(Path::new("self/cgroup"))?))
    }

    /// `/proc/PID/mountinfo`.
    ///
    /// # Errors
    /// `ENOENT` or `ESRCH` when there is no such process.
    pub fn mounts(&self, pid: i32) -> Result<Vec<Mount>> {
        Ok(mountinfo::parse(&self.read(&of(pid, "mountinfo"))?))
    }

    /// `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn own_mounts(&self) -> Result<Vec<Mount>> {
        Ok(mountinfo::parse(&self.read(Path::new("self/mountinfo"))?))
    }

    /// The reading process's own mounts of cgroup hierarchies, v1 and v2.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn own_cgroup_mounts(&self) -> Result<Vec<Mount>> {
        Ok(mountinfo::parse_types(&self.read(Path::new("self/mountinfo"))?, &["cgroup", "cgroup2"]))
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn of(pid: i32, file: &str) -> PathBuf {
    PathBuf::from(format!("{pid}/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn the_host_procfs_tells_about_this_process() {
        let procfs = Procfs::host().unwrap();
        let stat = procfs.stat(own_pid()).unwrap();
        assert_eq!(stat.pid, own_pid());
        assert!(stat.start_time > 0);
        assert!(!stat.has_never_executed());
        assert_eq!(procfs.own_cgroups().unwrap(), procfs.cgroups(own_pid()).unwrap());
        // Somebody may mount something between the two readings.
        let same = || procfs.own_mounts().unwrap() == procfs.mounts(own_pid()).unwrap();
        assert!((0..100).any(|_| same()));
    }

    #[test]
    fn a_saved_tree_reads_like_a_live_one() {
        let saved = tempfile::tempdir().unwrap();
        std::fs::create_dir(saved.path().join("7")).unwrap();
        std::os::unix::fs::symlink("7", saved.path().join("self")).unwrap();
        let text = Procfs::host().unwrap().read(Path::new("self/cgroup")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
        std::fs::write(saved.path().join("7/cgroup"), &text).unwrap();
        let procfs = Procfs::saved(saved.path()).unwrap();
        assert_eq!(procfs.own_cgroups().unwrap(), cgroup_file::parse(&text));
        assert!(procfs.stat(7).unwrap_err().errno().is_some());
    }
}
