//! Files that output is appended to: one small thread each, since writing to a file may sleep for as long as its disk
//! pleases.
//!
//! ```text
//!     process -> pipe -- task --> pipe -- thread --> file
//! ```
//!
//! **Invariant:** a file that takes nothing (`ENOSPC`) costs its bytes, never the process: they are read, and counted as
//! lost.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::oneshot;

use super::Error;
use super::progress::{Outcome, Report};

/// Whether a file may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made, with its directories (`file://`).
    Make,
    /// It is an error (a plain path).
    Refuse,
}

/// Stack of a thread, in bytes; two pages of it are used.
const STACK: usize = 64 << 10;

/// Opens a file, which may take as long as `limit`, and starts its thread; gives the pipe to write to. Its closing ends the
/// thread.
///
/// # Errors
/// [`Error::Open`], [`Error::Make`], [`Error::Thread`].
pub(super) async fn append(
    path: PathBuf,
    missing: Missing,
    report: Report,
    limit: Duration,
) -> Result<OwnedFd, Error> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)
        .map_err(|source| Error::Make { step: "make a pipe to a file", source })?;
    let (opened, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("file".to_owned()).stack_size(STACK);
    let late = Error::Open { path: path.clone(), source: Errno::TIMEDOUT };
    let run = move || match open(&path, missing) {
        Ok(file) => {
            let _ = opened.send(Ok(()));
            let lost = copy(&reader, &file, &path);
            report.ended(Outcome { lost, ..Outcome::default() });
        }
        Err(error) => drop(opened.send(Err(error))),
    };
    thread.spawn(run).map_err(Error::Thread)?;
    rustix::io::ioctl_fionbio(&writer, true)
        .map_err(|source| Error::Make { step: "make a pipe to a file non-blocking", source })?;
    let gone = Error::Make { step: "wait for a file to open", source: Errno::PIPE };
    let answer = tokio::time::timeout(limit, answer).await.map_err(|_| late)?;
    answer.unwrap_or(Err(gone)).map(|()| writer)
}

/// Compat: containerd, `cmd/containerd-shim-runc-v2/process/io.go`, `createIO`: directories 0755, the file 0644.
fn open(path: &Path, missing: Missing) -> Result<OwnedFd, Error> {
    let failed = |source| Error::Open { path: path.into(), source };
    let mut flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY;
    if missing == Missing::Make {
        flags |= OFlags::CREATE;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        }
    }
    rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)).map_err(failed)
}

/// Copies until the end; gives the number of bytes that the file did not take.
fn copy(from: &OwnedFd, file: &OwnedFd, path: &Path) -> u64 {
    let mut piece = [0; 4096];
    let mut lost = 0;
    loop {
        let count = match rustix::io::read(from, &mut piece) {
            Ok(0) => return lost,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(_) => return lost,
        };
        if let Err((errno, missing)) = write_all(file, &piece[..count]) {
            if lost == 0 {
                log::warn!("append to {}: {errno}; output is dropped while this lasts", path.display());
            }
            lost += missing;
        }
    }
}

/// # Errors
/// The errno, and how many bytes were not written.
fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), (Errno, u64)> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err((Errno::IO, bytes.len() as u64)),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err((errno, bytes.len() as u64)),
        }
    }
    Ok(())
}
