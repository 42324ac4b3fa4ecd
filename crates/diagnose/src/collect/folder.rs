//! Reading below one directory that is held by descriptor.
//!
//! **Invariant:** a fifo is never opened, and nothing is waited for but the kernel's own answer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A directory.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
}

/// What lies in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name, with the replacement character for what is not UTF-8.
    pub(super) name: String,
    /// Whether the directory itself says that it is a directory.
    pub(super) is_folder: bool,
}

impl Folder {
    /// Opens a directory.
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        Self::below(CWD, path)
    }

    /// Opens a directory below this one; `path` is relative.
    pub(super) fn folder(&self, path: &str) -> Result<Self, Errno> {
        Self::below(self.fd.as_fd(), Path::new(path))
    }

    fn below(base: BorrowedFd<'_>, path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::openat(base, path, flags, Mode::empty())? })
    }

    /// The text of a file of procfs, sysfs or a control group, at most `limit` bytes of it.
    ///
    /// Only for files that the kernel makes, of which none is a fifo.
    pub(super) fn kernel_text(&self, path: &str, limit: usize) -> Result<String, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::openat(&self.fd, path, flags, Mode::empty())?;
        read_text(fd.as_fd(), limit, Vec::new())
    }

    /// The text of a file of procfs or a control group that the kernel gives in one piece, in one read: for what is
    /// read all the time.
    ///
    /// Kernel: such a file has one record (`single_open`, `seq_show` of kernfs); a record comes whole when there is room.
    pub(super) fn one_record(&self, path: &str) -> Result<String, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::openat(&self.fd, path, flags, Mode::empty())?;
        let mut record = [0_u8; 2 << 10];
        let count = rustix::io::read(&fd, &mut record)?;
        Ok(String::from_utf8_lossy(&record[..count]).into_owned())
    }

    /// The text of a regular file, at most `limit` bytes from its beginning.
    ///
    /// `EINVAL` for anything but a regular file, which is found out before it is opened.
    pub(super) fn text(&self, path: &str, limit: usize) -> Result<String, Errno> {
        read_text(self.regular(path)?.0.as_fd(), limit, Vec::new())
    }

    /// The last `limit` bytes of a regular file, from the beginning of a line.
    pub(super) fn tail(&self, path: &str, limit: usize) -> Result<String, Errno> {
        let (fd, stat) = self.regular(path)?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let from = size.saturating_sub(limit as u64);
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(from))?;
        let text = read_text(fd.as_fd(), limit, Vec::new())?;
        Ok(match text.split_once('\n') {
            Some((_, rest)) if from > 0 => rest.to_owned(),
            _ => text,
        })
    }

    /// Size in bytes and modification in milliseconds after 1970 of a regular file; nothing is opened.
    pub(super) fn dates(&self, path: &str) -> Result<(u64, u64), Errno> {
        let stat = rustix::fs::statat(&self.fd, path, AtFlags::empty())?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
        Ok((size, seconds.saturating_mul(1000).saturating_add(stat.st_mtime_nsec as u64 / 1_000_000)))
    }

    /// A regular file open for reading, and what `fstat` says of it.
    fn regular(&self, path: &str) -> Result<(OwnedFd, rustix::fs::Stat), Errno> {
        let place = rustix::fs::openat(&self.fd, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let stat = rustix::fs::fstat(&place)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        // The same inode, whatever the name leads to by now.
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok((rustix::fs::openat(CWD, link.as_str(), flags, Mode::empty())?, stat))
    }

    /// Text of a symbolic link.
    pub(super) fn link(&self, path: &str) -> Result<String, Errno> {
        let text = rustix::fs::readlinkat(&self.fd, path, Vec::new())?;
        Ok(String::from_utf8_lossy(text.as_bytes()).into_owned())
    }

    /// Inode and type of what a name leads to, links followed. The server of a network file system may be asked.
    pub(super) fn inode(&self, path: &str) -> Result<(u64, FileType), Errno> {
        let stat = rustix::fs::statat(&self.fd, path, AtFlags::empty())?;
        Ok((stat.st_ino, FileType::from_raw_mode(stat.st_mode)))
    }

    /// Space and inodes of the file system it is in.
    pub(super) fn space(&self) -> Result<rustix::fs::StatVfs, Errno> {
        rustix::fs::fstatvfs(&self.fd)
    }

    /// What lies in it, without `.` and `..`.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let listed = rustix::fs::Dir::read_from(&self.fd)?;
        let entries = listed.flatten().map(|entry| Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: entry.file_type() == FileType::Directory,
        });
        Ok(entries.filter(|entry| entry.name != "." && entry.name != "..").collect())
    }

    /// Whether a directory of control groups has none below it.
    ///
    /// Kernel: kernfs counts a directory's directories in its links, as most file systems do.
    pub(super) fn is_leaf(&self, path: &str) -> bool {
        rustix::fs::statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_nlink == 2)
    }

    /// The names in it that are numbers, ascending.
    pub(super) fn numbers(&self) -> Result<Vec<i32>, Errno> {
        let mut numbers: Vec<i32> =
            self.entries()?.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn read_text(fd: BorrowedFd<'_>, limit: usize, mut bytes: Vec<u8>) -> Result<String, Errno> {
    let mut chunk = [0_u8; 16 << 10];
    while bytes.len() < limit {
        let most = chunk.len().min(limit - bytes.len());
        match rustix::io::read(fd, &mut chunk[..most]) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_not_opened() {
        let lab = tempfile::tempdir().unwrap();
        let fifo = lab.path().join("state.json");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let folder = Folder::open(lab.path()).unwrap();
        assert_eq!(folder.text("state.json", 100).unwrap_err(), Errno::INVAL);
        assert_eq!(folder.tail("state.json", 100).unwrap_err(), Errno::INVAL);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn a_tail_begins_with_a_line() {
        let lab = tempfile::tempdir().unwrap();
        std::fs::write(lab.path().join("log"), "first\nsecond\nthird\n").unwrap();
        let folder = Folder::open(lab.path()).unwrap();
        assert_eq!(folder.tail("log", 9).unwrap(), "third\n");
        assert_eq!(folder.tail("log", 99).unwrap(), "first\nsecond\nthird\n");
    }
}
