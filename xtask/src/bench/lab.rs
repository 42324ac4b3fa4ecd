//! What the benchmark stands on: a folder with a root file system, bundles and state folders, and what crun wants.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

use crate::bench::{bundle, elf};
use crate::cgroups;
use crate::failure::Failure;
use crate::hugetlb::HugetlbHierarchy;
use crate::workspace::{Workspace, read_bytes};

/// The profile that Docker gives every container, as its daemon writes it into config.json.
const PROFILE: &str = "crates/seccomp/tests/data/docker-default.json";

/// First process of a container.
#[derive(Clone, Copy)]
pub(super) enum Init {
    /// Ends at once.
    Exit,
    /// Sleeps until it is killed.
    Wait,
}

/// The benchmark's own folder; dropping it removes the folder, the cgroups and the mount.
pub(super) struct Lab {
    folder: TempDir,
    state: TempDir,
    name: String,
    seccomp: Value,
    signalled: Arc<AtomicBool>,
    _hugetlb: Option<HugetlbHierarchy>,
}

impl Lab {
    /// Makes the root file system and starts to listen for signals.
    ///
    /// # Errors
    /// When the folder cannot be filled, or the profile not be read.
    pub(super) fn new(workspace: &Workspace) -> Result<Self, Failure> {
        let failed =
            |source| Failure::File { operation: "make a folder in", path: std::env::temp_dir(), source };
        let folder = tempfile::Builder::new().prefix("sluice-bench-").tempdir().map_err(failed)?;
        let state = tempfile::Builder::new().prefix("sluice-bench-").tempdir_in(memory()).map_err(failed)?;
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signalled)).map_err(failed)?;
        }
        let name = format!("sluice-bench-{}", std::process::id());
        let seccomp = serde_json::from_slice(&read_bytes(&workspace.root.join(PROFILE))?)
            .map_err(|source| Failure::Answer { program: PROFILE, source })?;
        let lab = Self { folder, state, name, seccomp, signalled, _hugetlb: HugetlbHierarchy::if_wanted() };
        lab.fill().map_err(|source| Failure::File { operation: "fill", path: lab.rootfs(), source })?;
        Ok(lab)
    }

    /// Says so when a signal asked to end.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] then.
    pub(super) fn interrupted(&self) -> Result<(), Failure> {
        if self.signalled.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Prefix of container ids and name of the cgroup above them.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The profile that every container gets.
    pub(super) fn seccomp(&self) -> &Value {
        &self.seccomp
    }

    /// A file of the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A runtime's `--root`.
    pub(super) fn state_of(&self, runtime: &str) -> PathBuf {
        self.state.path().join(runtime)
    }

    /// The program that ends at once, as the host sees it.
    pub(super) fn program(&self) -> PathBuf {
        self.rootfs().join("bin/true")
    }

    /// Writes a bundle and gives its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn bundle(&self, id: &str, init: Init) -> Result<PathBuf, Failure> {
        let folder = self.path("bundles").join(id);
        let program = match init {
            Init::Exit => "/bin/true",
            Init::Wait => "/bin/wait",
        };
        let cgroup = format!("/{}/{id}", self.name);
        let config = bundle::config(&self.rootfs().to_string_lossy(), &cgroup, program, &self.seccomp);
        let written = create_dir_all(&folder)
            .and_then(|()| write_file(&folder.join("config.json"), format!("{config:#}").as_bytes(), 0o644));
        written.map_err(|source| Failure::File { operation: "write", path: folder.clone(), source })?;
        Ok(folder)
    }

    fn rootfs(&self) -> PathBuf {
        self.path("rootfs")
    }

    fn fill(&self) -> std::io::Result<()> {
        let root = self.rootfs();
        for folder in ["bin", "proc", "dev", "sys", "etc"] {
            create_dir_all(root.join(folder))?;
        }
        write_file(&root.join("bin/true"), &elf::exit(), 0o755)?;
        write_file(&root.join("bin/wait"), &elf::wait(), 0o755)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        cgroups::remove(&self.name);
    }
}

/// A folder in memory, as `/run` is where containers are run in earnest: there no runtime waits for a disk.
fn memory() -> PathBuf {
    // Source: linux/magic.h, TMPFS_MAGIC.
    const TMPFS: i64 = 0x0102_1994;
    let is_memory = |path: &&str| rustix::fs::statfs(*path).is_ok_and(|about| about.f_type == TMPFS);
    ["/run", "/dev/shm"].into_iter().find(is_memory).map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Writes a file, also over an older one.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?.write_all(bytes)
}
