//! How full a pipe is, asked through a copy of a descriptor that is closed at once.
//!
//! **Invariant:** nothing is opened, read or written; the copy lives for two questions. A reader's descriptor is
//! preferred: while the copy lives, a writer cannot tell that its reader has gone.

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::piece::Piece;
use super::worker::{Care, Visit};
use crate::snapshot::Pipe;

/// One unit for each pipe: `INODE PID FD`.
pub(super) fn units(pipes: &[Pipe]) -> Vec<String> {
    let ends =
        pipes.iter().filter_map(|pipe| Some((pipe.inode, pipe.readers.first().or(pipe.writers.first())?)));
    ends.map(|(inode, end)| format!("{inode} {} {}", end.pid, end.fd)).collect()
}

/// Asks one pipe.
pub(super) fn read(visit: &Visit<'_>) -> Vec<Piece> {
    if visit.care == Care::Sparing {
        return Vec::new();
    }
    visit.about("pipe");
    depth(visit.unit).into_iter().collect()
}

fn depth(unit: &str) -> Option<Piece> {
    let mut words = unit.split(' ');
    let inode: u64 = words.next()?.parse().ok()?;
    let pid = Pid::from_raw(words.next()?.parse().ok()?)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let copy = pidfd_getfd(&pidfd, words.next()?.parse().ok()?, PidfdGetfdFlags::empty()).ok()?;
    // The number may belong to something else by now.
    if rustix::fs::fstat(&copy).ok()?.st_ino != inode {
        return None;
    }
    let bytes = rustix::io::ioctl_fionread(&copy).ok();
    let capacity = rustix::pipe::fcntl_getpipe_size(&copy).ok().map(|size| size as u64);
    Some(Piece::Depth { inode, bytes, capacity })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_pipe_tells_how_full_it_is() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, &[7; 1234]).unwrap();
        let inode = rustix::fs::fstat(&read).unwrap().st_ino;
        let unit = format!("{inode} {} {}", std::process::id(), read.as_raw_fd());
        assert_eq!(depth(&unit), Some(Piece::Depth { inode, bytes: Some(1234), capacity: Some(65_536) }));
    }

    #[test]
    fn another_pipe_under_the_number_is_not_asked() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(depth(&format!("1 {} {}", std::process::id(), read.as_raw_fd())), None);
    }
}
