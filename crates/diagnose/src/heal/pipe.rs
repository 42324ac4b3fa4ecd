//! Reading a stuck pipe until its writer goes on.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::Error;
use super::process::Held;

/// Most bytes that are drained: a writer without end is not healed by reading.
const MOST: u64 = 64 << 20;

/// Longest time of draining.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a writer that lives may leave the pipe empty before it counts as going on.
const QUIET: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What was drained.
#[derive(Debug)]
pub(super) struct Drained {
    /// In words.
    pub(super) text: String,
    /// Where the bytes are.
    pub(super) evidence: Option<PathBuf>,
}

/// Reads the pipe behind descriptor `fd` of the writer, if it has this inode, until the writer ends or is quiet.
///
/// # Errors
/// When it is another pipe now, when it cannot be opened for reading, or when the bytes cannot be kept.
pub(super) fn drain(
    writer: &Held,
    fd: i32,
    inode: u64,
    file: impl FnOnce() -> Result<(File, PathBuf), Error>,
) -> Result<Drained, Error> {
    let mut reader = read_end(writer, fd, inode)?;
    let (mut kept, path) = file()?;
    let bytes = copy(writer, &mut reader, &mut kept)?;
    let source = Error::call(format!("sync {}", path.display()));
    rustix::fs::fsync(&kept).map_err(source)?;
    let text = format!("read {bytes} bytes from pipe:[{inode}], kept in {}", path.display());
    Ok(Drained { text, evidence: Some(path) })
}

/// A read end of one's own, so that nothing changes for whoever has the others.
fn read_end(writer: &Held, fd: i32, inode: u64) -> Result<OwnedFd, Error> {
    let taken = writer.descriptor(fd)?;
    let what = format!("descriptor {fd} of pid {}", writer.pid());
    let stat = fstat(&taken).map_err(Error::call(format!("look at {what}")))?;
    if stat.st_ino != inode || FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        let why = format!("descriptor {fd} leads elsewhere now");
        return Err(Error::Changed { pid: writer.pid(), why });
    }
    let path = format!("/proc/self/fd/{}", taken.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(Error::call(format!("open {what} for reading")))
}

fn copy(writer: &Held, reader: &mut OwnedFd, kept: &mut File) -> Result<u64, Error> {
    let start = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    while total < MOST && start.elapsed() < LONGEST {
        match rustix::io::read(&mut *reader, &mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let what = || String::from("keep what was drained");
                kept.write_all(&buffer[..count]).map_err(|source| Error::Call { what: what(), source })?;
                total += u64::try_from(count).unwrap_or_default();
            }
            Err(Errno::AGAIN) if !has_more(writer, reader) => break,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(Error::call("read the pipe")(errno)),
        }
    }
    Ok(total)
}

/// Waits for bytes or for the end of the writer. What a writer leaves behind when it ends is there as well.
fn has_more(writer: &Held, reader: &OwnedFd) -> bool {
    let mut fds =
        [PollFd::new(reader, PollFlags::IN), PollFd::from_borrowed_fd(writer.as_fd(), PollFlags::IN)];
    let _interrupted = poll(&mut fds, Some(&QUIET));
    !fds[0].revents().is_empty() || !matches!(rustix::io::ioctl_fionread(reader), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::process::{Command, Stdio};

    use super::super::process::{hold, tests::Sleeper};
    use super::*;

    /// A writer of `count` bytes into a pipe that nobody reads, which sleeps then; and the pipe's inode.
    fn flood(count: u32) -> (Sleeper, u64) {
        flood_and(count, "exec sleep 1000")
    }

    fn flood_and(count: u32, then: &str) -> (Sleeper, u64) {
        let script = format!("dd if=/dev/zero bs={count} count=1 2>/dev/null; {then}");
        let child = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        let inode = std::fs::metadata(format!("/proc/{}/fd/1", child.id())).unwrap().ino();
        let mut written = [PollFd::new(child.stdout.as_ref().unwrap(), PollFlags::IN)];
        poll(&mut written, None).unwrap();
        (Sleeper(child), inode)
    }

    #[test]
    fn a_full_pipe_is_read_and_every_byte_is_kept() {
        kept_whole(&flood(200_000));
    }

    #[test]
    fn the_last_bytes_of_a_writer_that_ends_are_kept() {
        for _ in 0..20 {
            kept_whole(&flood_and(200_000, "exit"));
        }
    }

    #[track_caller]
    fn kept_whole((writer, inode): &(Sleeper, u64)) {
        let mut kept = tempfile::NamedTempFile::new().unwrap();
        let (file, path) = (kept.reopen().unwrap(), kept.path().to_owned());
        let drained = drain(&hold(writer.identity()).unwrap(), 1, *inode, || Ok((file, path))).unwrap();
        assert!(drained.text.contains("200000 bytes"), "{}", drained.text);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut kept, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 200_000);
    }

    #[test]
    fn a_descriptor_that_leads_elsewhere_is_not_read() {
        let (writer, inode) = flood(10);
        let refused = drain(&hold(writer.identity()).unwrap(), 1, inode + 1, || unreachable!()).unwrap_err();
        assert!(matches!(refused, Error::Changed { .. }), "{refused}");
    }
}
