//! Reading and writing one control file: one `open`, one `read` or `write`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// The whole text of a control file.
pub(crate) fn read(path: &Path) -> Result<String> {
    try_read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The whole text of a control file; `None` when it or its group is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match try_read(path) {
        Ok(text) => Ok(Some(text)),
        Err(errno) if is_gone(errno) => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// A short text as by [`try_read_short`]; `None` when the file or its group is not there.
pub(crate) fn short_if_there(path: &Path) -> Result<Option<String>> {
    match try_read_short(path) {
        Ok(text) => Ok(Some(text)),
        Err(errno) if is_gone(errno) => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Writes a value in one `write(2)`: the kernel takes each call as one request.
pub(crate) fn write(path: &Path, value: &str) -> Result<()> {
    try_write(path, value).map_err(|source| Error::Write {
        value: value.to_owned(),
        path: path.to_owned(),
        hint: None,
        source,
    })
}

/// Opens a group as a directory.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Whether the group was removed before or during the call: a file of a dead group answers `ENODEV`.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV | Errno::NOTDIR)
}

pub(crate) fn try_read(path: &Path) -> rustix::io::Result<String> {
    let fd = open(path)?;
    let mut bytes = Vec::with_capacity(512);
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => bytes.reserve(512),
            Err(errno) => return Err(errno),
        }
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
}

/// The text of a control file that is known to be short, such as a single value: one `read(2)`.
pub(crate) fn try_read_short(path: &Path) -> rustix::io::Result<String> {
    read_start(&open(path)?)
}

/// Opens a control file for reading.
pub(crate) fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// The first bytes of an open file, wherever it was read before: all of a short control file as it is now.
pub(crate) fn read_start(file: &OwnedFd) -> rustix::io::Result<String> {
    let mut bytes = Vec::with_capacity(512);
    rustix::io::retry_on_intr(|| rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), 0))?;
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

pub(crate) fn try_write(path: &Path, value: &str) -> rustix::io::Result<()> {
    Pen::default().write(path, value)
}

/// Writes one value after the other, each in one `write(2)`; a file that gets several in turn is opened once.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    at: Option<(PathBuf, OwnedFd)>,
}

impl Pen {
    pub(crate) fn write(&mut self, path: &Path, value: &str) -> rustix::io::Result<()> {
        let (_, fd) = match self.at.take().filter(|(at, _)| at == path) {
            Some(at) => self.at.insert(at),
            None => self.at.insert((path.to_owned(), open_to_write(path)?)),
        };
        rustix::io::retry_on_intr(|| rustix::io::write(&*fd, value.as_bytes())).map(drop)
    }
}

fn open_to_write(path: &Path) -> rustix::io::Result<OwnedFd> {
    // O_TRUNC means nothing to the kernel here, but keeps a tree of plain files true in tests.
    rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC, Mode::empty())
}
