//! The home directory of the user, from the container's own `/etc/passwd`.
//!
//! Looked up by the process itself: a file system of the container may answer never, and then only the start of this
//! process is in danger, which has a limit.

use crate::stage::{Failure, Report, Stage};
use rustix::fs::{CWD, FileType, OFlags};
use rustix::io::Errno;
use sys::exec::Late;

/// Most bytes of `passwd` that are read.
const LARGEST: usize = 1 << 20;

const NAME: &[u8] = b"HOME=";

/// Writes `HOME=` and the home of `uid` into `entry`: `/` when the container does not say.
///
/// Compat: runc, `libcontainer/init_linux.go`, sets `HOME` when the configuration does not.
///
/// # Errors
/// None: a file that cannot be read says nothing.
pub fn find(report: Report<'_>, uid: u32, entry: Option<&Late>) -> Result<(), Failure> {
    let Some(entry) = entry else { return Ok(()) };
    report.step(Stage::Home, || {
        let mut search = Search::new(uid, entry);
        if !matches!(read(&mut search), Ok(Found::Yes)) {
            search.begin_value();
            search.push(b'/');
            search.end_value();
        }
        Ok(())
    })
}

/// Whether the search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Yes,
    No,
}

fn read(search: &mut Search<'_>) -> Result<Found, Errno> {
    // Whatever lies there must not make the open wait.
    let file = sys::open::at(CWD, c"/etc/passwd", OFlags::RDONLY | OFlags::NONBLOCK)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(Found::No);
    }
    let mut buffer = [0; 1024];
    for _ in 0..LARGEST / buffer.len() {
        let count = rustix::io::read(&file, &mut buffer)?;
        if count == 0 {
            break;
        }
        for &byte in buffer.iter().take(count) {
            if search.feed(byte) == Found::Yes {
                return Ok(Found::Yes);
            }
        }
    }
    Ok(search.feed(b'\n'))
}

/// A reader of `name:password:uid:gid:comment:home:shell` lines, one byte after the other.
///
/// Source: passwd(5).
struct Search<'a> {
    uid: u32,
    entry: &'a Late,
    field: u32,
    number: Option<u32>,
    is_user: bool,
    length: usize,
    fits: bool,
}

impl<'a> Search<'a> {
    const UID: u32 = 2;
    const HOME: u32 = 5;

    fn new(uid: u32, entry: &'a Late) -> Self {
        Search { uid, entry, field: 0, number: None, is_user: false, length: 0, fits: true }
    }

    fn feed(&mut self, byte: u8) -> Found {
        match (byte, self.field) {
            (b':' | b'\n', _) => return self.end_field(byte),
            (digit @ b'0'..=b'9', Search::UID) => self.add_digit(u32::from(digit - b'0')),
            (_, Search::UID) => self.is_user = false,
            (other, Search::HOME) if self.is_user => self.push(other),
            _ => {}
        }
        Found::No
    }

    fn add_digit(&mut self, digit: u32) {
        let number = self.number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit));
        self.is_user = self.is_user && number.is_some();
        self.number = number;
    }

    fn end_field(&mut self, end: u8) -> Found {
        if self.field == Search::HOME && self.is_user && self.fits && self.length > NAME.len() {
            self.end_value();
            return Found::Yes;
        }
        if self.field == Search::UID {
            self.is_user = self.is_user && self.number == Some(self.uid);
            self.begin_value();
        }
        self.field = self.field.saturating_add(1);
        if self.field == Search::UID {
            self.is_user = true;
            self.number = None;
        }
        if end == b'\n' {
            self.field = 0;
            self.is_user = false;
        }
        Found::No
    }

    fn begin_value(&mut self) {
        self.length = 0;
        self.fits = true;
        for &byte in NAME {
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        self.fits = byte != 0 && self.entry.put(self.length, byte) && self.fits;
        self.length = self.length.saturating_add(1);
    }

    /// The byte after the last possible one is NUL for good.
    fn end_value(&mut self) {
        let _ = self.entry.put(self.length, 0);
    }
}
