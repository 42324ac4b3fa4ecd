//! The folder of a watch: what is known to be wrong, and the newest snapshots from an onset.
//!
//! **Invariant:** a file is replaced whole, by rename; a reader sees the old or the new one.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use super::ledger::Ledger;
use crate::{Error, Result, Snapshot, saved};

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
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(Self { folder: folder.to_owned() }),
            Err(source) => Err(Error::Open { path: folder.to_owned(), source }),
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
    std::fs::File::from(fd).write_all(bytes).map_err(wrap)?;
    std::fs::rename(&new, path).map_err(wrap)
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
