//! Reading below one directory that is held by descriptor.
//!
//! **Invariant:** a fifo is never opened, and nothing is waited for but the kernel's own answer.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

/// Room for one record of procfs, one link or one call of `getdents64`, in bytes; where it is not enough more is asked for.
const ROOM: usize = 4 << 10;

/// Most bytes of one record.
const LONGEST_RECORD: usize = 64 << 10;

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
        read_text(self.kernel_file(path)?.as_fd(), limit)
    }

    /// The text of a file of procfs or a control group that the kernel gives in one piece, mostly in one read.
    ///
    /// Kernel: such a file has one record (`single_open`, `seq_show` of kernfs); a record comes whole when there is room,
    /// so a read that leaves room has seen its end.
    pub(super) fn record(&self, path: &str) -> Result<String, Errno> {
        let fd = self.kernel_file(path)?;
        let mut room = [MaybeUninit::uninit(); ROOM];
        let (record, rest) = rustix::io::read(&fd, &mut room)?;
        let mut bytes = record.to_vec();
        if rest.is_empty() {
            read_on(fd.as_fd(), LONGEST_RECORD, &mut bytes)?;
        }
        Ok(text(bytes))
    }

    fn kernel_file(&self, path: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::openat(&self.fd, path, flags, Mode::empty())
    }

    /// The text of a regular file, at most `limit` bytes from its beginning.
    ///
    /// `EINVAL` for anything but a regular file, which is found out before it is opened.
    pub(super) fn text(&self, path: &str, limit: usize) -> Result<String, Errno> {
        read_text(self.regular(path)?.0.as_fd(), limit)
    }

    /// The last `limit` bytes of a regular file, from the beginning of a line.
    pub(super) fn tail(&self, path: &str, limit: usize) -> Result<String, Errno> {
        let (fd, stat) = self.regular(path)?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let from = size.saturating_sub(limit as u64);
        rustix::fs::seek(&fd, SeekFrom::Start(from))?;
        let text = read_text(fd.as_fd(), limit)?;
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
        let mut room = [MaybeUninit::uninit(); ROOM];
        let (link, _) = rustix::fs::readlinkat_raw(&self.fd, path, &mut room)?;
        Ok(text(link.to_vec()))
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
        let mut entries = Vec::new();
        self.each(|name, kind| {
            let name = name.to_string_lossy().into_owned();
            if name != "." && name != ".." {
                entries.push(Entry { name, is_folder: kind == FileType::Directory });
            }
        })?;
        Ok(entries)
    }

    fn each(&self, mut look_at: impl FnMut(&CStr, FileType)) -> Result<(), Errno> {
        rustix::fs::seek(&self.fd, SeekFrom::Start(0))?;
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut listed = RawDir::new(&self.fd, &mut room);
        while let Some(entry) = listed.next() {
            let entry = entry?;
            look_at(entry.file_name(), entry.file_type());
        }
        Ok(())
    }

    /// Whether a directory of control groups has none below it.
    ///
    /// Kernel: kernfs counts a directory's directories in its links, as most file systems do.
    pub(super) fn is_leaf(&self, path: &str) -> bool {
        rustix::fs::statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_nlink == 2)
    }

    /// The names in it that are numbers, ascending.
    pub(super) fn numbers(&self) -> Result<Vec<i32>, Errno> {
        let mut numbers: Vec<i32> = Vec::new();
        self.each(|name, _| numbers.extend(name.to_str().ok().and_then(|name| name.parse::<i32>().ok())))?;
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn read_text(fd: BorrowedFd<'_>, limit: usize) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    read_on(fd, limit, &mut bytes)?;
    Ok(text(bytes))
}

/// Reads to the end of a file, or until there are `limit` bytes.
fn read_on(fd: BorrowedFd<'_>, limit: usize, bytes: &mut Vec<u8>) -> Result<(), Errno> {
    while bytes.len() < limit {
        bytes.reserve(ROOM);
        match rustix::io::read(fd, spare_capacity(bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(limit);
    Ok(())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
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
