//! Moving a process into the groups after it was made elsewhere.

use std::path::Path;

use crate::{Cgroup, Paths, Result, file};

impl Cgroup {
    /// Moves a process into those of the groups in which it is not; `present` says where it is now.
    ///
    /// Kernel: on v1 each move waits for an RCU grace period, so a process that can be born in its groups, or can join
    /// them itself ([`Cgroup::join`]), does that instead.
    ///
    /// # Errors
    /// A refused write.
    pub fn adopt(&self, pid: i32, present: &Paths) -> Result<()> {
        let is_elsewhere = |group: &&Path| !present.all().any(|path| path == *group);
        let groups = self.join_order().into_iter().chain(self.paths().unified.as_deref());
        groups
            .filter(is_elsewhere)
            .try_for_each(|group| file::write(&group.join("cgroup.procs"), &pid.to_string()))
    }
}
