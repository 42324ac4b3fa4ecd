//! The processor time of a node, as the kernel counts it for a group: containerd, shims, runtimes, what they start.
//!
//! ```text
//!     LAB/NODE            the whole node
//!         /containerd     the daemon, and a shim until it is moved
//!         /shims          the shims, and the runtimes that they start
//!         /CONTAINER      a container
//! ```
//!
//! Kernel: on v1 the hierarchy of `cpuacct` counts nanoseconds; on v2 `cpu.stat` is there without any controller.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;

use crate::bench::lab::write_file;
use crate::failure::Failure;

/// Where hierarchies are mounted.
const MOUNTS: &str = "/sys/fs/cgroup";

/// The groups of one node in the hierarchy that counts.
pub(super) struct Account {
    folder: PathBuf,
}

impl Account {
    /// Makes the groups.
    ///
    /// # Errors
    /// When the kernel refuses them.
    pub(super) fn new(group: &str) -> Result<Self, Failure> {
        let v1 = Path::new(MOUNTS).join("cpuacct");
        let root = if v1.join("cgroup.procs").exists() { v1 } else { PathBuf::from(MOUNTS) };
        let account = Self { folder: root.join(group) };
        for path in [account.daemon(), account.shims()] {
            std::fs::create_dir_all(&path).map_err(|source| Failure::File {
                operation: "make",
                path,
                source,
            })?;
        }
        Ok(account)
    }

    /// The group of the daemon.
    pub(super) fn daemon(&self) -> PathBuf {
        self.folder.join("containerd")
    }

    fn shims(&self) -> PathBuf {
        self.folder.join("shims")
    }

    /// Takes a shim out of the daemon's group, where it was born.
    ///
    /// # Errors
    /// When the kernel refuses the move.
    pub(super) fn take_shim(&self, pid: Pid) -> Result<(), Failure> {
        let path = self.shims().join("cgroup.procs");
        let written = write_file(&path, pid.as_raw_nonzero().to_string().as_bytes(), 0o644);
        written.map_err(|source| Failure::File { operation: "move a shim by", path, source })
    }

    /// Of all.
    pub(super) fn whole(&self) -> Duration {
        used(&self.folder)
    }

    /// Of all but the daemon.
    pub(super) fn without_daemon(&self) -> Duration {
        self.whole().saturating_sub(used(&self.daemon()))
    }
}

/// What a group and those below it have used so far; nothing where it cannot be read.
fn used(group: &Path) -> Duration {
    let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
    let v1 = read("cpuacct.usage").and_then(|text| text.trim().parse().ok()).map(Duration::from_nanos);
    v1.or_else(|| of_stat(&read("cpu.stat")?)).unwrap_or_default()
}

/// Source: cgroup-v2.rst, `cpu.stat`.
fn of_stat(text: &str) -> Option<Duration> {
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    usage.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_cpu_stat_is_the_sum() {
        let text = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        assert_eq!(of_stat(text), Some(Duration::from_micros(1500)));
        assert_eq!(of_stat("nr_periods 0\n"), None);
    }
}
