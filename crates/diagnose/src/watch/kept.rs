//! The folder of a watch: what is known to be wrong, and the newest snapshots from an onset.
//!
//! **Invariant:** a file is replaced whole, by rename; a reader sees the old or the new one. Metrics alone are written in
//! place when the disk is full.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags};

use super::ledger::Ledger;
use crate::{Error, Result, Snapshot, new_file, saved};

/// Most snapshots that are kept.
const MOST: usize = 20;

/// Most bytes of all of them.
const MOST_BYTES: u64 = 200 << 20;

/// What snapshots are called: `onset-MILLISECONDS.snapshot`.
const PREFIX: &str = "onset-";
const SUFFIX: &str = ".snapshot";

#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Makes the folder, for its owner alone.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        match rustix::fs::mkdirat(CWD, folder, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(source) => return Err(Error::Open { path: folder.to_owned(), source }),
        }
        let kept = Self { folder: folder.to_owned() };
        kept.remove_unfinished();
        Ok(kept)
    }

    /// What a watch that was killed did not write to its end.
    fn remove_unfinished(&self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) && name.ends_with(new_file::UNFINISHED) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// What was wrong when the last watch ended; nothing when that is not readable.
    pub(super) fn ledger(&self) -> Ledger {
        let text = std::fs::read(self.folder.join("active.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn write(&self, ledger: &Ledger) -> Result<()> {
        let path = self.folder.join("active.json");
        let wrap = |source| Error::Snapshot { path: path.clone(), source };
        replace(&path, &serde_json::to_vec(ledger).map_err(wrap)?)
    }

    /// Keeps a snapshot, and removes the oldest ones when there are too many.
    pub(super) fn keep(&self, snapshot: &Snapshot) -> Result<PathBuf> {
        let path = self.folder.join(format!("{PREFIX}{:015}{SUFFIX}", snapshot.taken.at_ms));
        saved::save(snapshot, &path)?;
        self.tidy();
        Ok(path)
    }

    fn tidy(&self) {
        let mut found: Vec<(PathBuf, u64)> = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| is_snapshot(&entry.file_name().to_string_lossy()))
            .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (number, (path, size)) in found.iter().enumerate() {
            bytes += size;
            if number > 0 && (number >= MOST || bytes > MOST_BYTES) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Replaces a file whole.
///
/// # Errors
/// When the new file cannot be written beside it or take its place.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Readable for the exporter, which is not root.
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let fd = rustix::fs::openat(CWD, &new, flags, mode)
        .map_err(|source| Error::Open { path: new.clone(), source })?;
    let wrap = |source| Error::Write { path: path.to_owned(), source };
    let written = std::fs::File::from(fd).write_all(bytes).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.map_err(wrap)
}

/// Replaces a small file that others read again and again, in its own blocks when there is no room for a second one.
///
/// A reader who comes at that moment may see a part of it; of a watch on a full disk that is better than nothing new.
///
/// # Errors
/// When there is no room at all.
pub(super) fn refresh(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).or_else(|error| overwrite(path, bytes).map_err(|_| error))
}

/// Nothing is changed unless there is room for all of it.
fn overwrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let length = bytes.len() as u64;
    rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, length)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)?;
    file.set_len(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_snapshots_are_kept() {
        let lab = tempfile::tempdir().unwrap();
        let kept = Kept::open(&lab.path().join("doctor")).unwrap();
        for at_ms in 1..=(MOST as u64 + 5) {
            let mut snapshot = Snapshot { schema: 1, ..Snapshot::default() };
            snapshot.taken.at_ms = at_ms;
            kept.keep(&snapshot).unwrap();
        }
        let names = std::fs::read_dir(lab.path().join("doctor")).unwrap().flatten();
        let mut names: Vec<String> = names.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert_eq!(names.len(), MOST);
        assert_eq!(names[0], "onset-000000000000006.snapshot");
    }

    #[test]
    fn what_was_wrong_is_known_after_a_restart() {
        let lab = tempfile::tempdir().unwrap();
        let kept = Kept::open(lab.path()).unwrap();
        let mut ledger = Ledger::default();
        let finding = crate::finding::Finding::new("r", "s", crate::finding::Severity::Warning, "t");
        ledger.enter(vec![(finding, 1)], 2);
        kept.write(&ledger).unwrap();
        assert_eq!(Kept::open(lab.path()).unwrap().ledger(), ledger);
    }
}
