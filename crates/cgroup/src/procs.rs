//! Which processes are in the groups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{Cgroup, Error, Result, file};

impl Cgroup {
    /// The processes in the groups themselves, not in groups nested in them; sorted.
    ///
    /// # Errors
    /// When a list cannot be read. A group that is gone has no processes.
    pub fn pids(&self) -> Result<Vec<i32>> {
        union(self.paths().all().map(pids_of))
    }

    /// The processes in the groups and in all groups nested in them; sorted.
    ///
    /// # Errors
    /// As [`Cgroup::pids`].
    pub fn all_pids(&self) -> Result<Vec<i32>> {
        union(self.paths().all().map(pids_below))
    }
}

fn union(lists: impl Iterator<Item = Result<Vec<i32>>>) -> Result<Vec<i32>> {
    let mut pids = BTreeSet::new();
    for list in lists {
        pids.extend(list?);
    }
    Ok(pids.into_iter().collect())
}

/// The processes of one directory and of those below it.
pub(crate) fn pids_below(path: &Path) -> Result<Vec<i32>> {
    union(subtree(path).iter().map(|group| pids_of(group)))
}

/// The processes of one directory.
fn pids_of(path: &Path) -> Result<Vec<i32>> {
    match file::try_read(&path.join("cgroup.procs")) {
        Ok(text) => Ok(parse(&text)),
        Err(errno) if file::is_gone(errno) => Ok(Vec::new()),
        // A threaded v2 group lists only threads.
        Err(Errno::OPNOTSUPP) => {
            Ok(parse(&file::read_if_there(&path.join("cgroup.threads"))?.unwrap_or_default()))
        }
        Err(source) => Err(Error::Read { path: path.join("cgroup.procs"), source }),
    }
}

/// A process of another pid namespace reads as 0 and is left out.
fn parse(text: &str) -> Vec<i32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid > 0).collect()
}

/// The directory and all directories below it, outermost first. What vanishes meanwhile is left out.
pub(crate) fn subtree(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(group) = found.get(next) {
        let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
        let nested: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        found.extend(nested);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9-]{0,12}|\\PC|\n){0,20}") {
            prop_assert!(parse(&text).iter().all(|pid| *pid > 0));
        }
    }
}
