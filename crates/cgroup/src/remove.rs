//! Removing the groups.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use crate::deadline::Deadline;
use crate::{Cgroup, Error, Result, file, hint, procs};

impl Cgroup {
    /// Removes the groups and all groups nested in them. Groups that are gone already are no error.
    ///
    /// Kernel: `rmdir` answers `EBUSY` for a moment after the last process has ended, so it is repeated.
    ///
    /// # Errors
    /// A refusal other than `EBUSY`; the deadline with the processes that are still in the group. All
    /// hierarchies are tried even if one fails; the first error is returned.
    pub fn remove(&self, limit: Duration) -> Result<()> {
        let mut deadline = Deadline::new("remove", limit);
        let mut outcome = Ok(());
        for path in self.paths().all() {
            if let Err(error) = remove_tree(path, &mut deadline) {
                match outcome {
                    Ok(()) => outcome = Err(error),
                    Err(_) => log::warn!("{error}"),
                }
            }
        }
        outcome
    }
}

fn remove_tree(path: &Path, deadline: &mut Deadline) -> Result<()> {
    deadline.quicken();
    loop {
        match try_remove_tree(path) {
            Ok(()) => return Ok(()),
            Err((_, Errno::BUSY)) if !deadline.is_over() => deadline.pause(),
            Err((_, Errno::BUSY)) => return Err(deadline.error(path, procs::pids_below(path)?)),
            Err((group, source)) => {
                return Err(Error::Remove { hint: hint::read_only(&group, source), path: group, source });
            }
        }
    }
}

/// Innermost first. The single call for a group without nested ones comes before any listing.
fn try_remove_tree(path: &Path) -> Result<(), (std::path::PathBuf, Errno)> {
    if rmdir(path).is_ok() {
        return Ok(());
    }
    for group in procs::subtree(path).into_iter().rev() {
        rmdir(&group).map_err(|errno| (group, errno))?;
    }
    Ok(())
}

fn rmdir(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::rmdir(path) {
        Err(errno) if file::is_gone(errno) => Ok(()),
        answer => answer,
    }
}
