//! The v1 hierarchy of hugetlb, without which Debian's crun 1.8 creates no container on a v1 host.

use std::path::Path;
use std::process::Command;

use crate::workspace::{FOLDERS, output_of};

/// Where it is mounted.
const HUGETLB: &str = "/sys/fs/cgroup/hugetlb";

/// A mount of ours; dropping it unmounts it.
pub(crate) struct HugetlbHierarchy;

impl HugetlbHierarchy {
    /// Mounts it where v1 hierarchies are in use, crun is installed, and the hierarchy is not there yet.
    pub(crate) fn if_wanted() -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory").exists();
        let crun = FOLDERS.iter().any(|folder| Path::new(folder).join("crun").exists());
        let mounted = Path::new(HUGETLB).join("cgroup.procs").exists();
        if !v1 || !crun || mounted || std::fs::create_dir_all(HUGETLB).is_err() {
            return None;
        }
        let mount =
            output_of(Command::new("mount").args(["-t", "cgroup", "-o", "hugetlb", "cgroup", HUGETLB]));
        let guard = Self;
        mount.is_ok().then_some(guard)
    }
}

impl Drop for HugetlbHierarchy {
    fn drop(&mut self) {
        let _ = output_of(Command::new("umount").arg(HUGETLB));
        let _ = std::fs::remove_dir(HUGETLB);
    }
}
