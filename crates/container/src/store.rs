//! State on disk: one directory per container below the state root.
//!
//! ```text
//! /run/sluice/ID/state.json    the record, replaced whole by rename
//!               /rescue.json   the record as `create` finished it, for a state.json damaged by hand
//!               /seccomp.bpf   the compiled filter
//!               /start.fifo    one byte lets init go on
//!               /report.fifo   init's last word before its program, and end of file when execve succeeded
//! /run/sluice/=new-ID-PID      a directory on its way in; =old-ID-PID: on its way out
//! ```
//!
//! A directory's `flock` is the right to change the container. Whoever brings a directory in or out holds it, so a
//! `=new-` or `=old-` directory that can be locked is abandoned and is swept by the next `create` or `delete`.
//!
//! **Invariant:** the only file that writes below the state root. A reader takes no lock and sees the old or the
//! new record, never a part; a container directory appears with its record inside, and vanishes in one rename.

use crate::record::{FORMAT, Record};
use crate::{ContainerId, Error};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the record.
pub const STATE: &str = "state.json";
/// Name of the record's copy.
pub const RESCUE: &str = "rescue.json";
/// Name of the compiled filter.
pub const FILTER: &str = "seccomp.bpf";
/// Name of the fifo that releases init.
pub const START: &str = "start.fifo";
/// Name of the fifo for init's last word.
pub const REPORT: &str = "report.fifo";

/// Largest file that is read back, in bytes.
const LARGEST: u64 = 64 << 20;

/// The state root.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// None when there is no such directory, which is a state root without containers.
    directory: Option<OwnedFd>,
}

/// The directory of one container.
#[derive(Debug)]
pub struct Entry {
    id: ContainerId,
    path: PathBuf,
    directory: OwnedFd,
}

/// The right to change a container; released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the descriptor is the release")] OwnedFd);

impl Store {
    /// Opens the state root. One that is not there holds no container; nothing is made.
    ///
    /// # Errors
    /// [`Error::StateRoot`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::openat(CWD, root, flags, Mode::empty()) {
            Ok(directory) => Some(directory),
            Err(Errno::NOENT) => None,
            Err(source) => return Err(Error::StateRoot { path: root.to_owned(), source }),
        };
        Ok(Store { root: root.to_owned(), directory })
    }

    /// Opens the state root and makes it when it is missing (mode 0711).
    ///
    /// # Errors
    /// [`Error::StateRoot`].
    pub fn make(root: &Path) -> Result<Self, Error> {
        let wrap = |source: Errno| Error::StateRoot { path: root.to_owned(), source };
        let mut all = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(all.recursive(true), 0o711);
        all.create(root).map_err(|error| wrap(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let store = Store::open(root)?;
        if store.directory.is_some() { Ok(store) } else { Err(wrap(Errno::NOENT)) }
    }

    fn opened(&self) -> Result<&OwnedFd, Errno> {
        self.directory.as_ref().ok_or(Errno::NOENT)
    }

    /// The state root's path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a container, whether it is there or not.
    #[must_use]
    pub fn directory(&self, id: &ContainerId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// The ids of all containers, sorted.
    ///
    /// # Errors
    /// [`Error::StateRoot`].
    pub fn ids(&self) -> Result<Vec<ContainerId>, Error> {
        let mut ids = Vec::new();
        for name in self.names()? {
            if !name.starts_with("=new-") && !name.starts_with("=old-") {
                ids.extend(ContainerId::parse(&name));
            }
        }
        ids.sort();
        Ok(ids)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let wrap = |source| Error::StateRoot { path: self.root.clone(), source };
        let mut names = Vec::new();
        let Some(directory) = &self.directory else { return Ok(names) };
        for entry in rustix::fs::Dir::read_from(directory).map_err(wrap)? {
            let entry = entry.map_err(wrap)?;
            // Some file systems do not tell the type here.
            if matches!(entry.file_type(), rustix::fs::FileType::Directory | rustix::fs::FileType::Unknown)
                && !matches!(entry.file_name().to_bytes(), b"." | b"..")
            {
                names.extend(entry.file_name().to_str().ok().map(str::to_owned));
            }
        }
        Ok(names)
    }

    /// Opens the directory of a container.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::StateRoot`].
    pub fn entry(&self, id: &ContainerId) -> Result<Entry, Error> {
        let directory = self.subdirectory(id.as_str()).map_err(|source| match source {
            Errno::NOENT => Error::NotFound { id: id.clone() },
            source => Error::StateRoot { path: self.root.join(id.as_str()), source },
        })?;
        Ok(Entry { id: id.clone(), path: self.root.join(id.as_str()), directory })
    }

    fn subdirectory(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(self.opened()?, name, flags, Mode::empty())
    }

    /// Makes the directory of a new container with its record inside, in one step.
    ///
    /// The entry holds the right to change the container until [`Entry::unlock`].
    ///
    /// # Errors
    /// [`Error::Exists`], or the write that was refused; nothing is left then.
    pub fn insert(&self, id: &ContainerId, record: &Record) -> Result<Entry, Error> {
        if self.subdirectory(id.as_str()).is_ok() {
            return Err(Error::Exists { id: id.clone() });
        }
        let temporary = format!("=new-{id}-{}", std::process::id());
        let made = self.fill(&temporary, id, record);
        if made.is_err() {
            self.discard(&temporary);
        }
        made
    }

    fn fill(&self, temporary: &str, id: &ContainerId, record: &Record) -> Result<Entry, Error> {
        let path = self.root.join(id.as_str());
        let wrap = |source| Error::WriteState { path: path.clone(), source };
        let directory = self.make_locked(temporary).map_err(wrap)?;
        let entry = Entry { id: id.clone(), path: path.clone(), directory };
        let root = self.opened().map_err(wrap)?;
        let text = text(record)?;
        // The copy from the start: a record damaged before `create` ends must not hide the cgroup.
        entry.replace(RESCUE, &text)?;
        entry.replace(STATE, &text)?;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(root, temporary, root, id.as_str(), flags) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(Error::Exists { id: id.clone() }),
            Err(source) => return Err(wrap(source)),
        }
        Ok(entry)
    }

    /// A new temporary directory that no sweep takes away while this process lives.
    fn make_locked(&self, name: &str) -> Result<OwnedFd, Errno> {
        const TRIES: u32 = 20;
        for _ in 0..TRIES {
            match rustix::fs::mkdirat(self.opened()?, name, Mode::from_raw_mode(0o711)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let directory = match self.subdirectory(name) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let locked = rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive);
            if locked.is_ok() && rustix::fs::fstat(&directory)?.st_nlink > 0 {
                return Ok(directory);
            }
            // A sweep came between the two steps and takes the directory away.
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Errno::AGAIN)
    }

    /// Takes a container's directory out of sight in one step; [`Store::discard`] then removes what is in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the directory is gone or another container's by now, [`Error::WriteState`].
    pub fn retire(&self, entry: &Entry) -> Result<String, Error> {
        if !entry.is_current() {
            return Err(Error::NotFound { id: entry.id.clone() });
        }
        let temporary = format!("=old-{}-{}", entry.id, std::process::id());
        let moved =
            self.opened().and_then(|root| rustix::fs::renameat(root, entry.id.as_str(), root, &temporary));
        match moved {
            Ok(()) => Ok(temporary),
            Err(Errno::NOENT) => Err(Error::NotFound { id: entry.id.clone() }),
            Err(source) => Err(Error::WriteState { path: entry.path.clone(), source }),
        }
    }

    /// Removes a temporary directory. What cannot be removed now is swept by a later `create` or `delete`.
    pub fn discard(&self, name: &str) {
        // A command that does not know yet may write one more temporary file, and another thread of this one may hold the
        // last descriptor for a moment.
        const TRIES: u32 = 20;
        const MOMENT: Duration = Duration::from_millis(1);
        let path = self.root.join(name);
        for _ in 0..TRIES {
            let Err(error) = std::fs::remove_dir_all(&path) else { return };
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => return,
                Some(Errno::NOTEMPTY) => {}
                // A directory without files takes no descriptor.
                Some(Errno::MFILE) if std::fs::remove_dir(&path).is_ok() => return,
                Some(Errno::MFILE) => std::thread::sleep(MOMENT),
                _ => {
                    log::debug!("remove {}: {error}", path.display());
                    return;
                }
            }
        }
        log::debug!("remove {}: not done in {TRIES} tries", path.display());
    }

    /// Removes the temporary directories whose maker is dead; `last` gets the record of each that has one.
    pub fn sweep(&self, last: impl Fn(&Record)) {
        for name in self.names().unwrap_or_default() {
            let Some(rest) = name.strip_prefix("=new-").or_else(|| name.strip_prefix("=old-")) else {
                continue;
            };
            let Ok(directory) = self.subdirectory(&name) else { continue };
            if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let id = rest.rsplit_once('-').and_then(|(id, _)| ContainerId::parse(id).ok());
            if let Some(id) = id {
                let entry = Entry { id, path: self.root.join(&name), directory };
                entry.read().iter().for_each(&last);
            }
            self.discard(&name);
        }
    }
}

impl Entry {
    /// The container's id.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The directory's path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the container's name still leads to this directory: it was not deleted, nor deleted and made anew.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let held = rustix::fs::fstat(&self.directory);
        let named = rustix::fs::lstat(&self.path);
        matches!((held, named), (Ok(held), Ok(named))
            if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino))
    }

    /// The error, or that the container does not exist when it was deleted meanwhile.
    pub(crate) fn unless_deleted(&self, error: Error) -> Error {
        if self.is_current() { error } else { Error::NotFound { id: self.id.clone() } }
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted meanwhile, [`Error::DamagedState`], [`Error::NewerState`],
    /// [`Error::ForeignState`], [`Error::ReadState`].
    pub fn read(&self) -> Result<Record, Error> {
        self.read_record(STATE)
    }

    /// Reads the record, to be looked at again later.
    ///
    /// # Errors
    /// As [`Entry::read`].
    pub fn see(&self) -> Result<Seen, Error> {
        // Before the record: one that is replaced in between is read once more.
        let stamp = Some(self.stamp()?);
        Ok(Seen { record: self.read()?, stamp })
    }

    /// Reads the record again if somebody has replaced it since.
    ///
    /// # Errors
    /// As [`Entry::read`]; what was seen stays then.
    pub fn see_again(&self, seen: &mut Seen) -> Result<(), Error> {
        if self.has_changed(seen)? {
            *seen = self.see()?;
        }
        Ok(())
    }

    /// Whether the record is another one than was seen.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the container is gone, [`Error::ReadState`].
    pub fn has_changed(&self, seen: &Seen) -> Result<bool, Error> {
        Ok(seen.stamp != Some(self.stamp()?))
    }

    /// Reads the copy that `create` made.
    ///
    /// # Errors
    /// As [`Entry::read`].
    pub fn read_rescue(&self) -> Result<Record, Error> {
        self.read_record(RESCUE)
    }

    fn read_record(&self, name: &str) -> Result<Record, Error> {
        let path = self.path.join(name);
        let text = match self.read_file(name) {
            Ok(text) => text,
            Err(Errno::NOENT) => return Err(self.without_record()),
            Err(source) => return Err(Error::ReadState { path, source }),
        };
        let record = parse(&path, &text)?;
        if record.id != self.id.as_str() {
            let reason = format!("it belongs to container {:?}", record.id);
            return Err(Error::DamagedState { path, place: "id".into(), reason });
        }
        Ok(record)
    }

    /// Why there is no record: the container is gone, or the directory is somebody else's.
    fn without_record(&self) -> Error {
        // Source: crun keeps `<root>/<id>/status`.
        if rustix::fs::statat(&self.directory, "status", AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Error::ForeignState { path: self.path.clone(), runtime: "crun" };
        }
        if !self.is_current() {
            return Error::NotFound { id: self.id.clone() };
        }
        Error::DamagedState {
            path: self.path.join(STATE),
            place: "the file".into(),
            reason: "missing".into(),
        }
    }

    /// What tells this record from the next one that is written in its place.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the container is gone, [`Error::ReadState`].
    pub fn stamp(&self) -> Result<Stamp, Error> {
        match rustix::fs::statat(&self.directory, STATE, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Stamp {
                inode: stat.st_ino,
                size: stat.st_size,
                changed: (stat.st_ctime, stat.st_ctime_nsec),
            }),
            Err(Errno::NOENT) => Err(self.without_record()),
            Err(source) => Err(Error::ReadState { path: self.path.join(STATE), source }),
        }
    }

    /// Reads a whole file of the directory.
    ///
    /// # Errors
    /// The kernel's errno.
    pub fn read_file(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        let size = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(LARGEST)).unwrap_or(0) + 1);
        std::fs::File::from(file)
            .take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(bytes)
    }

    /// Replaces the record by its next generation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted meanwhile, [`Error::WriteState`]; the former record is intact then.
    pub fn write(&self, record: &Record) -> Result<(), Error> {
        self.replace(STATE, &text(record)?)
    }

    /// Writes a temporary file beside `name` and renames it over `name`.
    ///
    /// # Errors
    /// [`Error::WriteState`]; the former file is intact and the temporary one gone.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let temporary = format!(".{name}-{}", std::process::id());
        let replaced = self
            .write_temporary(&temporary, bytes)
            .and_then(|()| rustix::fs::renameat(&self.directory, &temporary, &self.directory, name));
        replaced.map_err(|source| {
            let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
            let deleted = rustix::fs::fstat(&self.directory).is_ok_and(|stat| stat.st_nlink == 0);
            if deleted {
                return Error::NotFound { id: self.id.clone() };
            }
            Error::WriteState { path: self.path.join(name), source }
        })
    }

    fn write_temporary(&self, name: &str, bytes: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::from_raw_mode(0o600))?;
        let mut file = std::fs::File::from(file);
        file.write_all(bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        rustix::fs::fdatasync(&file)
    }

    /// Makes a fifo and opens it for reading and writing, so that the open never blocks.
    ///
    /// # Errors
    /// [`Error::WriteState`].
    pub fn make_fifo(&self, name: &str) -> Result<OwnedFd, Error> {
        let wrap = |source| Error::WriteState { path: self.path.join(name), source };
        rustix::fs::mkfifoat(&self.directory, name, Mode::from_raw_mode(0o600)).map_err(wrap)?;
        self.open_fifo(name, OFlags::RDWR).map_err(wrap)
    }

    /// Opens a fifo.
    ///
    /// # Errors
    /// The kernel's errno; `ENXIO`: nobody reads.
    pub fn open_fifo(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.directory, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Removes a file of the directory.
    ///
    /// # Errors
    /// The kernel's errno.
    pub fn remove_file(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())
    }

    /// Gives up the right that came with [`Store::insert`]. A process that dies gives it up too.
    ///
    /// # Errors
    /// [`Error::WriteState`].
    pub fn unlock(&self) -> Result<(), Error> {
        rustix::fs::flock(&self.directory, FlockOperation::Unlock)
            .map_err(|source| Error::WriteState { path: self.path.clone(), source })
    }

    /// Takes the right to change the container, waiting at most `limit`.
    ///
    /// # Errors
    /// [`Error::Busy`] when another command keeps it, [`Error::ReadState`].
    pub fn lock(&self, limit: Duration) -> Result<Lock, Error> {
        let wrap = |source| Error::ReadState { path: self.path.clone(), source };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, ".", flags, Mode::empty()).map_err(wrap)?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(file)),
                Err(Errno::WOULDBLOCK) if begun.elapsed() < limit => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::Busy { id: self.id.clone(), waited: begun.elapsed() });
                }
                Err(source) => return Err(wrap(source)),
            }
        }
    }

    /// Removes temporary files that a killed writer left; the caller holds the lock.
    pub fn sweep(&self, _lock: &Lock) {
        let Ok(files) = rustix::fs::Dir::read_from(&self.directory) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            if name.to_bytes().starts_with(b".") && !matches!(name.to_bytes(), b"." | b"..") {
                let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            }
        }
    }
}

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The record.
    pub record: Record,
    /// Of its file; none: it is to be read again in any case.
    pub stamp: Option<Stamp>,
}

/// One version of a record: every write makes a new file, so inode or time of change differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    /// Bytes.
    size: i64,
    /// Seconds and nanoseconds since 1970.
    changed: (i64, u64),
}

impl AsFd for Entry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The text of a record, as it stands in its file.
///
/// # Errors
/// [`Error::EncodeState`].
pub fn text(record: &Record) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(Error::EncodeState)
}

/// Reads a record of any known format, or says what the text is instead.
///
/// # Errors
/// [`Error::DamagedState`], [`Error::NewerState`], [`Error::ForeignState`].
pub fn parse(path: &Path, text: &[u8]) -> Result<Record, Error> {
    let damaged =
        |place: String, reason: String| Error::DamagedState { path: path.to_owned(), place, reason };
    if text.is_empty() {
        return Err(damaged("byte 0".into(), "the file is empty".into()));
    }
    // A mistake is rare, so the place of one is only looked for when there is one.
    if let Some(record) = serde_json::from_slice::<Record>(text).ok().filter(|record| record.format <= FORMAT)
    {
        return Ok(record);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize::<_, Record>(&mut reader);
    match read {
        Ok(record) if record.format > FORMAT => Err(newer(path, record.format, &record.writer)),
        Ok(record) => match reader.end() {
            Ok(()) => Ok(record),
            Err(cause) => Err(damaged(offset(text, &cause), cause.to_string())),
        },
        Err(error) => {
            let field = error.path().to_string();
            let cause = error.into_inner();
            let known = serde_json::from_slice::<serde_json::Value>(text).ok();
            if let Some(known) = known.and_then(|value| other_state(path, &value)) {
                return Err(known);
            }
            Err(damaged(format!("{} (field {field})", offset(text, &cause)), cause.to_string()))
        }
    }
}

/// Where a JSON error is, counted in bytes from 0.
fn offset(text: &[u8], error: &serde_json::Error) -> String {
    let above: usize = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    format!("byte {}", above + error.column().saturating_sub(1))
}

fn newer(path: &Path, format: u32, writer: &str) -> Error {
    Error::NewerState { path: path.to_owned(), format, known: FORMAT, writer: writer.to_owned() }
}

/// Valid JSON that is not a record of ours: a later format, or another runtime's.
fn other_state(path: &Path, value: &serde_json::Value) -> Option<Error> {
    let field = |name: &str| value.get(name);
    if let Some(format) = field("format").and_then(serde_json::Value::as_u64).filter(|n| *n > FORMAT.into()) {
        let writer = field("writer").and_then(serde_json::Value::as_str).unwrap_or("another version");
        return Some(newer(path, u32::try_from(format).unwrap_or(u32::MAX), writer));
    }
    // Source: runc's state.json has `init_process_pid`, youki's `clean_up_intel_rdt_subdirectory` and `ociVersion`.
    let runtime = if field("init_process_pid").is_some() {
        "runc"
    } else if field("ociVersion").is_some() && field("useSystemd").is_some() {
        "youki"
    } else {
        return None;
    };
    Some(Error::ForeignState { path: path.to_owned(), runtime })
}

#[cfg(test)]
pub(crate) mod tests;
