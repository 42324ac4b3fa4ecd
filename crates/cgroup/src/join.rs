//! Descriptors through which a new process gets into the groups.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::{Cgroup, Error, Result, file};

/// What a child needs to join.
#[derive(Debug)]
pub struct Join {
    /// `tasks` of the v1 groups, open for writing. The child writes `0` into each, in this order: memory last
    /// but one, so that little of the start is charged; freezer last, so that a pause catches nothing half-joined.
    pub tasks: Vec<OwnedFd>,
    /// Directory of the v2 group for `CLONE_INTO_CGROUP`, also that of a hybrid host.
    pub directory: Option<OwnedFd>,
}

impl Cgroup {
    /// Opens the ways in.
    ///
    /// # Errors
    /// `ENOENT` when a group is gone.
    pub fn join(&self) -> Result<Join> {
        let tasks = self.join_order().into_iter().map(open_tasks).collect::<Result<_>>()?;
        let directory = self.paths().unified.as_deref().map(file::open_directory).transpose()?;
        Ok(Join { tasks, directory })
    }

    /// The v1 directories in the order of [`Join::tasks`].
    #[must_use]
    pub fn join_order(&self) -> Vec<&Path> {
        let mut groups: Vec<(&String, &Path)> =
            self.paths().v1.iter().map(|(key, path)| (key, path.as_path())).collect();
        groups.sort_by_key(|(key, _)| rank(key));
        groups.into_iter().map(|(_, path)| path).collect()
    }
}

fn rank(key: &str) -> u8 {
    let has = |controller| key.split(',').any(|name| name == controller);
    u8::from(has("memory")) + 2 * u8::from(has("freezer"))
}

fn open_tasks(group: &Path) -> Result<OwnedFd> {
    let path = group.join("tasks");
    rustix::fs::openat(CWD, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::Open { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_last_but_one_and_freezer_last() {
        let mut keys = ["freezer", "memory", "cpu,cpuacct", "pids", "name=systemd"];
        keys.sort_by_key(|key| rank(key));
        assert_eq!(&keys[3..], ["memory", "freezer"]);
    }
}
