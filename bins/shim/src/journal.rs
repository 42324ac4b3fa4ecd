//! What has to be known after this process died: which processes were started, how they ended, who has been told.
//!
//! ```text
//! BUNDLE/sluice.journal     one record a line: FORMAT CRC32 JSON
//!       /sluice.journal.new the same with what is settled left out, on its way to its place
//! ```
//!
//! A record is one `write(2)` to the end of the file. Who is killed in the middle of it, or finds the disk full, leaves a
//! torn line, which no reader takes for a record: its checksum is wrong. The next record begins a line of its own.
//!
//! **Invariant:** a start or an exit is in the journal before anybody is told of it, unless the disk refuses the record or
//! takes too long for it: then it is told all the same, and the log says so ([`crate::attend::write_down`]). A reader sees
//! every whole record that was written before, whoever was killed at whatever moment.

mod writer;

pub use writer::Writer;

use container::record::ProcessId;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the lines. A reader skips lines of a version it does not know.
pub const FORMAT: u32 = 1;

/// Name of the file in the bundle.
pub const NAME: &str = "sluice.journal";

/// Name of the file that will take its place.
const NEW: &str = "sluice.journal.new";

/// From this size on, in bytes, a journal is written anew without what is settled.
const LARGE: u64 = 128 << 10;

/// Largest journal that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Why the journal could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be opened or made.
    #[error("open the journal {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// It cannot be read.
    #[error("read the journal {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A record was not written, or not whole.
    #[error("write a record of {length} bytes to the journal {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Of the record.
        length: usize,
        /// What the kernel said; `ENOSPC` for a record that was cut.
        source: Errno,
    },
    /// The new journal could not take the old one's place.
    #[error("replace the journal {path}")]
    Replace {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
}

/// What is kept of a container itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// containerd's namespace.
    pub namespace: String,
    /// The state root of the runtime.
    pub root: PathBuf,
    /// The runtime's binary when it is one that is driven by its command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// Whether systemd makes its groups.
    #[serde(default)]
    pub systemd_cgroup: bool,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 to 255; 128 + signal for a killed one.
    pub status: u32,
    /// Whole seconds since 1970.
    pub seconds: i64,
    /// The rest, in nanoseconds.
    pub nanoseconds: u32,
}

impl Exit {
    /// An end at this moment.
    #[must_use]
    pub fn now(status: u32) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self { status, seconds, nanoseconds: since.subsec_nanos() }
    }
}

/// One line. The exec id is empty for the init process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// The container was created.
    Created(Container),
    /// A process was started.
    Started {
        /// Which one.
        exec: String,
        /// Its pid on the host.
        pid: i32,
        /// Its start time in clock ticks after boot: with the pid its identity.
        start_time: u64,
    },
    /// A process ended.
    Exited {
        /// Which one.
        exec: String,
        /// How.
        exit: Exit,
    },
    /// containerd has taken the event of the end.
    Told {
        /// Whose.
        exec: String,
        /// Its pid on the host: an exec of the same name may have been started meanwhile. 0 in lines that do not say.
        #[serde(default)]
        pid: i32,
    },
}

/// One process in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its pid on the host.
    pub pid: i32,
    /// Its start time in clock ticks after boot.
    pub start_time: u64,
    /// Its end, if it came.
    pub exit: Option<Exit>,
    /// Whether containerd has taken the event of the end.
    pub told: bool,
}

/// What a journal says, all records taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The container.
    pub container: Option<Container>,
    /// Its processes by exec id, init's being empty; an exec that ended and was told of is settled and left out.
    pub processes: BTreeMap<String, Process>,
    /// Lines that are no records: torn, or of a newer version.
    pub skipped: usize,
}

impl Ledger {
    /// The init, if it can be told from any other process.
    #[must_use]
    pub fn init(&self) -> Option<ProcessId> {
        let init = self.processes.get("").filter(|init| init.start_time > 0)?;
        Some(ProcessId { pid: init.pid, start_time: init.start_time })
    }

    /// Reads the text of a journal.
    #[must_use]
    pub fn replay(bytes: &[u8]) -> Self {
        let mut ledger = Self::default();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n").and_then(parse) {
                Some(record) => ledger.take(record),
                None if line == b"\n" => {}
                None => ledger.skipped += 1,
            }
        }
        ledger
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Created(container) => self.container = Some(container),
            Record::Started { exec, pid, start_time } => {
                self.processes.insert(exec, Process { pid, start_time, exit: None, told: false });
            }
            Record::Exited { exec, exit } => self.processes.entry(exec).or_default().exit = Some(exit),
            Record::Told { exec, .. } if exec.is_empty() => {
                self.processes.entry(exec).or_default().told = true;
            }
            Record::Told { exec, pid } => {
                let settled = |process: &Process| pid == 0 || process.pid == pid;
                if self.processes.get(&exec).is_some_and(settled) {
                    self.processes.remove(&exec);
                }
            }
        }
    }

    /// The records that lead to this ledger.
    fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.container.clone().map(Record::Created).into_iter().collect();
        for (exec, process) in &self.processes {
            let Process { pid, start_time, exit, told } = process.clone();
            records.push(Record::Started { exec: exec.clone(), pid, start_time });
            records.extend(exit.map(|exit| Record::Exited { exec: exec.clone(), exit }));
            records.extend(told.then(|| Record::Told { exec: exec.clone(), pid }));
        }
        records
    }
}

/// The journal of one container, open for writing.
#[derive(Debug)]
pub struct Journal {
    bundle: PathBuf,
    file: OwnedFd,
    ledger: Ledger,
    /// In bytes.
    size: u64,
    /// Size, in bytes, at which it is written anew.
    limit: u64,
    /// Whether the last line may be torn.
    torn: bool,
}

impl Journal {
    /// Opens the journal of a bundle, or begins one.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`].
    pub fn open(bundle: &Path) -> Result<Self, Error> {
        let path = bundle.join(NAME);
        let bytes = match read_file(&path) {
            Err(Error::Open { source: Errno::NOENT, .. }) => Vec::new(),
            other => other?,
        };
        let file = open_to_append(&path, OFlags::CREATE)?;
        let torn = bytes.last().is_some_and(|last| *last != b'\n');
        let ledger = Ledger::replay(&bytes);
        Ok(Self { bundle: bundle.to_owned(), file, ledger, size: bytes.len() as u64, limit: LARGE, torn })
    }

    /// Whether its file system is memory, where a write waits for no disk.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        // Source: linux/magic.h, TMPFS_MAGIC and RAMFS_MAGIC.
        const MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
        rustix::fs::fstatfs(&self.file).is_ok_and(|about| MEMORY.contains(&about.f_type))
    }

    /// What is written so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Writes a record. What was not written counts all the same in [`Journal::ledger`].
    ///
    /// # Errors
    /// [`Error::Write`]; the journal can be written to again when there is room. [`Error::Replace`]: the record was
    /// written, but the journal stays as long as it is.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        self.ledger.take(record.clone());
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        line.extend(render(record));
        let written = write_whole(&self.file, &line);
        self.torn = written.is_err();
        written.map_err(|source| Error::Write {
            path: self.bundle.join(NAME),
            length: line.len(),
            source,
        })?;
        self.size += line.len() as u64;
        if self.size > self.limit { self.rewrite() } else { Ok(()) }
    }

    /// Writes what is not settled to a new file, which takes the old one's place in one step.
    fn rewrite(&mut self) -> Result<(), Error> {
        let bytes = self.ledger.records().iter().flat_map(render).collect::<Vec<u8>>();
        // Also after a failure: one that fails once a second must not be tried at each record.
        self.limit = self.size.max(LARGE / 2) + LARGE;
        let (new, path) = (self.bundle.join(NEW), self.bundle.join(NAME));
        let wrap = |source| Error::Replace { path: path.clone(), source };
        let file = open_to_append(&new, OFlags::CREATE | OFlags::TRUNC)?;
        write_whole(&file, &bytes).map_err(wrap)?;
        rustix::fs::rename(&new, &path).map_err(wrap)?;
        self.file = file;
        self.size = bytes.len() as u64;
        self.limit = self.size + LARGE;
        Ok(())
    }
}

/// Reads the journal of a bundle that nobody writes to any more.
///
/// # Errors
/// [`Error::Open`], with `ENOENT` for a bundle without one; [`Error::Read`].
pub fn read(bundle: &Path) -> Result<Ledger, Error> {
    read_file(&bundle.join(NAME)).map(|bytes| Ledger::replay(&bytes))
}

fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    // The bundle is containerd's; a fifo that was planted in it must not hang the reader.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(LARGEST).read_to_end(&mut bytes).map_err(|error| Error::Read {
        path: path.to_owned(),
        source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    Ok(bytes)
}

fn open_to_append(path: &Path, more: OFlags) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    rustix::fs::openat(CWD, path, flags | more, Mode::from_raw_mode(0o600))
        .map_err(|source| Error::Open { path: path.to_owned(), source })
}

fn write_whole(file: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
    // Kernel: a regular file takes less than everything only when the disk is full.
    if written == bytes.len() { Ok(()) } else { Err(Errno::NOSPC) }
}

/// `FORMAT CRC32 JSON` and a newline.
fn render(record: &Record) -> Vec<u8> {
    // A record is made of strings and numbers: it always has a JSON text.
    let json = serde_json::to_string(record).unwrap_or_default();
    format!("{FORMAT} {:08x} {json}\n", crc32(json.as_bytes())).into_bytes()
}

fn parse(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?;
    let (format, rest) = text.split_once(' ')?;
    let (sum, json) = rest.split_once(' ')?;
    let known = format.parse::<u32>().ok()? == FORMAT;
    let whole = u32::from_str_radix(sum, 16).ok()? == crc32(json.as_bytes());
    (known && whole).then(|| serde_json::from_str(json).ok()).flatten()
}

/// CRC-32 as in ISO 3309 (that of gzip), bit by bit: a record has a hundred bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ 0xedb8_8320 };
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Exit = Exit { status: 7, seconds: 1_700_000_000, nanoseconds: 5 };

    fn started(exec: &str) -> Record {
        Record::Started { exec: exec.to_owned(), pid: 42, start_time: 4242 }
    }

    fn exited(exec: &str) -> Record {
        Record::Exited { exec: exec.to_owned(), exit: EXIT }
    }

    fn told(exec: &str) -> Record {
        Record::Told { exec: exec.to_owned(), pid: 42 }
    }

    fn container() -> Container {
        Container {
            id: "c".to_owned(),
            namespace: "moby".to_owned(),
            root: "/run/x".into(),
            binary: None,
            systemd_cgroup: false,
        }
    }

    #[test]
    fn what_was_written_is_read_back_by_another() {
        let bundle = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(bundle.path()).unwrap();
        for record in [Record::Created(container()), started(""), started("e"), exited("e"), started("f")] {
            journal.append(&record).unwrap();
        }
        let ledger = read(bundle.path()).unwrap();
        assert_eq!(&ledger, journal.ledger());
        assert_eq!(ledger.container, Some(container()));
        assert_eq!(ledger.processes["e"].exit, Some(EXIT));
        assert_eq!(ledger.processes["f"], Process { pid: 42, start_time: 4242, exit: None, told: false });
        assert_eq!(Journal::open(bundle.path()).unwrap().ledger(), &ledger);
    }

    #[test]
    fn an_exec_that_was_told_of_is_settled_and_init_stays() {
        let records = [started(""), exited(""), told(""), started("e"), exited("e"), told("e")];
        let ledger = Ledger::replay(&records.iter().flat_map(render).collect::<Vec<u8>>());
        assert_eq!(ledger.processes.keys().collect::<Vec<_>>(), [""]);
        assert!(ledger.processes[""].told);
    }

    #[test]
    fn what_was_told_of_an_exec_does_not_settle_the_next_of_its_name() {
        let next = Record::Started { exec: "e".to_owned(), pid: 43, start_time: 4300 };
        let records = [started("e"), exited("e"), next, told("e")];
        let ledger = Ledger::replay(&records.iter().flat_map(render).collect::<Vec<u8>>());
        assert_eq!(ledger.processes["e"], Process { pid: 43, start_time: 4300, exit: None, told: false });
        let sum = crc32(b"{\"record\":\"told\",\"exec\":\"e\"}");
        let older = format!("1 {sum:08x} {{\"record\":\"told\",\"exec\":\"e\"}}\n").into_bytes();
        let lines = [render(&started("e")), older].concat();
        assert_eq!(Ledger::replay(&lines), Ledger::default(), "a line that names no pid");
    }

    #[test]
    fn wherever_a_writer_was_killed_the_whole_records_before_count() {
        let records = [started("a"), exited("a"), started("b")];
        let lines: Vec<Vec<u8>> = records.iter().map(render).collect();
        let bytes = lines.concat();
        for end in 0..=bytes.len() {
            let whole = (0..=3).rev().find(|count| lines[..*count].concat().len() <= end).unwrap();
            let mut expected = Ledger::default();
            records[..whole].iter().for_each(|record| expected.take(record.clone()));
            expected.skipped = usize::from(lines[..whole].concat().len() < end);
            assert_eq!(Ledger::replay(&bytes[..end]), expected, "cut after {end} bytes");
        }
    }

    #[test]
    fn a_record_after_a_torn_one_is_read() {
        let bundle = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(bundle.path()).unwrap();
        journal.append(&started("a")).unwrap();
        write_whole(&journal.file, b"1 0123 {\"record\":").unwrap();
        let mut journal = Journal::open(bundle.path()).unwrap();
        journal.append(&exited("a")).unwrap();
        let ledger = read(bundle.path()).unwrap();
        assert_eq!((ledger.processes["a"].exit, ledger.skipped), (Some(EXIT), 1));
    }

    #[test]
    fn a_changed_byte_and_a_newer_format_are_no_records() {
        let line = render(&started("a"));
        let mut changed = line.clone();
        changed[20] ^= 1;
        let newer = [b"2".as_slice(), &line[1..]].concat();
        let ledger = Ledger::replay(&[changed, newer].concat());
        assert_eq!((ledger.processes.len(), ledger.skipped), (0, 2));
    }

    #[test]
    fn a_journal_of_ten_thousand_settled_execs_stays_small() {
        let bundle = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(bundle.path()).unwrap();
        journal.append(&Record::Created(container())).unwrap();
        journal.append(&started("open")).unwrap();
        for number in 0..10_000 {
            let exec = number.to_string();
            [started(&exec), exited(&exec), told(&exec)].iter().for_each(|it| journal.append(it).unwrap());
        }
        let length = std::fs::metadata(bundle.path().join(NAME)).unwrap().len();
        assert!(length <= 2 * LARGE, "{length} bytes");
        let ledger = read(bundle.path()).unwrap();
        assert_eq!(ledger.container, Some(container()));
        assert!(ledger.processes["open"].exit.is_none());
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_next_record_is_whole() {
        let mut journal = Journal {
            bundle: PathBuf::from("/dev"),
            file: rustix::fs::openat(CWD, "/dev/full", OFlags::WRONLY, Mode::empty()).unwrap(),
            ledger: Ledger::default(),
            size: 0,
            limit: LARGE,
            torn: false,
        };
        let refused = journal.append(&started("a"));
        assert!(matches!(refused, Err(Error::Write { source: Errno::NOSPC, .. })), "{refused:?}");
        assert!(journal.torn && journal.ledger.processes.contains_key("a"));
    }

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
