//! The kernel's log, from `/dev/kmsg`, which remembers times and levels and takes nothing away from other readers.
//!
//! Source: the kernel's ABI/testing/dev-kmsg.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::piece::Piece;
use crate::redact;
use crate::snapshot::{KernelLine, Unseen, Why};

/// Most lines that are kept, the newest ones.
const MOST: usize = 4000;

/// Reads what is in the ring.
pub(super) fn read(path: &Path) -> Vec<Piece> {
    match records(path) {
        Ok(lines) => vec![Piece::KernelLog(lines)],
        Err(Errno::PERM | Errno::ACCESS) => unseen(Why::Denied),
        Err(Errno::NOENT) => unseen(Why::Absent),
        Err(errno) => unseen(Why::Refused { errno: errno.raw_os_error() }),
    }
}

fn unseen(why: Why) -> Vec<Piece> {
    vec![Piece::Unseen(Unseen { what: "kernel log".to_owned(), why })]
}

fn records(path: &Path) -> Result<Vec<KernelLine>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let kmsg = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let mut lines = std::collections::VecDeque::new();
    let mut buffer = [0_u8; 8192];
    loop {
        match rustix::io::read(&kmsg, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(lines.into()),
            Ok(count) => lines.extend(parse(&String::from_utf8_lossy(&buffer[..count]))),
            // Overwritten while it was read: the next read goes on behind.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if lines.len() > MOST {
            lines.pop_front();
        }
    }
}

/// One record: `6,339,5140900,-;text`, then lines of details that begin with a space.
#[must_use]
pub fn parse(record: &str) -> Option<KernelLine> {
    let (header, text) = record.split_once(';')?;
    let mut fields = header.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let at_us = fields.nth(1)?.parse().ok()?;
    let text = redact::text(text.lines().next().unwrap_or_default());
    Some(KernelLine { at_us, level: u8::try_from(priority & 7).unwrap_or_default(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_level_time_and_text() {
        let line = parse("30,339,5140900,-;oom-kill: task=runc:[2:INIT]; x\n SUBSYSTEM=mm\n").unwrap();
        assert_eq!(
            (line.level, line.at_us, line.text.as_str()),
            (6, 5_140_900, "oom-kill: task=runc:[2:INIT]; x")
        );
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse("x,1,2;y"), None);
    }
}
