//! Fifos between us and whoever shows the streams, held by both ends so that no restart of the other side loses a byte.
//!
//! Kernel: bytes in a fifo live as long as any descriptor of it is open; a write fails with `EPIPE` exactly while nobody
//! has it open for reading, a read says end of file exactly while nobody has it open for writing (fs/pipe.c).
//!
//! **Invariant:** opening never waits for a partner.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// Whether a path is a fifo.
///
/// # Errors
/// [`Error::Open`].
pub(super) fn is_fifo(path: &Path) -> Result<bool, Error> {
    let stat = rustix::fs::stat(path).map_err(|source| Error::Open { path: path.into(), source })?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn open(path: &Path, end: OFlags) -> Result<OwnedFd, Error> {
    let flags = end | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|source| Error::Open { path: path.into(), source })
}

/// A fifo that output goes to.
#[derive(Debug)]
pub(super) struct Outlet {
    writer: OwnedFd,
    /// Ours: while it is held, a reader may go and come back.
    reader: Option<OwnedFd>,
}

/// Whether somebody else has a fifo open for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody has.
    Present,
    /// Nobody has.
    Absent,
}

impl Outlet {
    /// Opens both ends, the reading one first: without it the other would wait for a reader.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let reader = open(path, OFlags::RDONLY)?;
        let writer = open(path, OFlags::WRONLY)?;
        Ok(Self { writer, reader: Some(reader) })
    }

    /// Lets go of our reading end, and says whether somebody else's is there.
    pub(super) fn reader(&mut self) -> Reader {
        self.reader = None;
        if ready(self.writer.as_fd(), PollFlags::OUT).contains(PollFlags::ERR) {
            Reader::Absent
        } else {
            Reader::Present
        }
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// Opens a fifo that input comes from: the end that is read, and the writer that keeps the end of file away until it is
/// dropped.
///
/// # Errors
/// [`Error::Open`].
pub(super) fn open_inlet(path: &Path) -> Result<(OwnedFd, OwnedFd), Error> {
    let reader = open(path, OFlags::RDONLY)?;
    let holder = open(path, OFlags::WRONLY)?;
    Ok((reader, holder))
}

/// How many bytes wait in a pipe, a fifo or a terminal.
pub(super) fn queued(fd: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
}

/// Makes room in `to` for everything that `from` can hold, so that a reader that does nothing holds nobody up.
///
/// Kernel: a process with `CAP_SYS_RESOURCE` may do so beyond `/proc/sys/fs/pipe-max-size`; what is moved by splice(2)
/// takes no new memory.
///
/// # Errors
/// `EPERM`, `ENOMEM`; `EBADF` for what is no pipe.
pub(super) fn make_room(to: BorrowedFd<'_>, from: BorrowedFd<'_>) -> Result<(), Errno> {
    let has = rustix::pipe::fcntl_getpipe_size(to)?;
    let wanted = rustix::pipe::fcntl_getpipe_size(from).unwrap_or(TERMINAL_HOLDS);
    rustix::pipe::fcntl_setpipe_size(to, has.saturating_add(wanted))?;
    Ok(())
}

/// More than a terminal holds, in bytes: 64 KiB on their way and 4 KiB ready to be read (drivers/tty/tty_buffer.c).
const TERMINAL_HOLDS: usize = 128 << 10;

/// What poll(2) says now.
pub(super) fn ready(fd: BorrowedFd<'_>, events: PollFlags) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => fds[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a fifo");
        (place, path)
    }

    #[test]
    fn a_reader_that_goes_and_comes_back_is_seen_and_finds_its_bytes() {
        let (_place, path) = fifo();
        let mut outlet = Outlet::open(&path).expect("opened");
        rustix::io::write(&outlet, b"one").expect("written without a reader");
        assert_eq!(outlet.reader(), Reader::Absent);
        let theirs = open(&path, OFlags::RDONLY).expect("a reader");
        assert_eq!(outlet.reader(), Reader::Present);
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(&theirs, &mut bytes[..2]), Ok(2));
        drop(theirs);
        assert_eq!((outlet.reader(), queued(&outlet)), (Reader::Absent, 1));
        let theirs = open(&path, OFlags::RDONLY).expect("it is back");
        drop(outlet);
        assert_eq!(rustix::io::read(&theirs, &mut bytes), Ok(1));
        assert_eq!((bytes[0], rustix::io::read(&theirs, &mut bytes)), (b'e', Ok(0)));
    }

    #[test]
    fn input_ends_when_the_holder_and_the_client_are_gone_whoever_goes_first() {
        for holder_first in [false, true] {
            let (_place, path) = fifo();
            let (reader, holder) = open_inlet(&path).expect("opened");
            let client = open(&path, OFlags::WRONLY).expect("a client");
            let (first, second) = if holder_first { (holder, client) } else { (client, holder) };
            drop(first);
            assert_eq!(rustix::io::read(&reader, &mut [0; 8]), Err(Errno::AGAIN));
            drop(second);
            assert_eq!(rustix::io::read(&reader, &mut [0; 8]), Ok(0));
        }
    }

    #[test]
    fn a_full_fifo_takes_all_that_a_full_pipe_holds_after_room_was_made() {
        let (_place, path) = fifo();
        let outlet = Outlet::open(&path).expect("opened");
        while rustix::io::write(&outlet, &[b'f'; 4096]).is_ok() {}
        let (from, into) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).expect("a pipe");
        while rustix::io::write(&into, &[b'p'; 4096]).is_ok() {}
        let flags = rustix::pipe::SpliceFlags::NONBLOCK;
        let splice = || rustix::pipe::splice(&from, None, &outlet, None, 1 << 20, flags);
        assert_eq!(splice(), Err(Errno::AGAIN));
        make_room(outlet.as_fd(), from.as_fd()).expect("room");
        while splice().is_ok() {}
        assert_eq!((queued(&from), queued(&outlet)), (0, 128 << 10));
    }

    #[test]
    fn a_missing_path_is_named() {
        let error = Outlet::open(Path::new("/no/such/fifo")).expect_err("refused");
        assert_eq!(error.to_string(), "open /no/such/fifo for a stream");
        assert!(is_fifo(Path::new("/no/such/fifo")).is_err());
        assert!(!is_fifo(Path::new("/dev/null")).expect("is there"));
    }
}
