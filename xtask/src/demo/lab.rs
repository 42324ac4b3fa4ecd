//! What the demonstration stands on: a folder with a root file system, state folders, and what crun wants.

use std::fs::{Permissions, create_dir_all, set_permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object::Object as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

use crate::cgroups;
use crate::demo::config;
use crate::failure::Failure;
use crate::hugetlb::HugetlbHierarchy;
use crate::workspace::{FOLDERS, output_of};

/// What this machine lacks, each with what to do about it.
pub(super) fn missing() -> Vec<String> {
    let mut lines = Vec::new();
    if !rustix::process::geteuid().is_root() {
        lines.push(
            "it is not run by root, who alone may make namespaces and cgroups here: sudo make demo"
                .to_owned(),
        );
    }
    match busybox() {
        None => lines.push("there is no busybox to make a root file system from: sudo make setup".to_owned()),
        Some(path) if !is_static(&path) => {
            lines.push(format!(
                "{} needs a dynamic loader: install the package busybox-static",
                path.display()
            ));
        }
        Some(_) => {}
    }
    if !Path::new("/sys/fs/cgroup").exists() {
        lines.push("no cgroups are mounted at /sys/fs/cgroup".to_owned());
    }
    lines
}

fn busybox() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join("busybox")).find(|path| path.exists())
}

fn is_static(path: &Path) -> bool {
    let Ok(bytes) = std::fs::read(path) else { return false };
    object::File::parse(&*bytes).is_ok_and(|file| file.section_by_name(".interp").is_none())
}

/// The demonstration's own folder; dropping it removes the folder, the cgroups and the mount.
pub(super) struct Lab {
    folder: TempDir,
    name: String,
    signalled: Arc<AtomicBool>,
    _hugetlb: Option<HugetlbHierarchy>,
}

impl Lab {
    /// Makes the root file system and starts to listen for signals.
    ///
    /// # Errors
    /// When the folder cannot be filled.
    pub(super) fn new() -> Result<Self, Failure> {
        let failed =
            |source| Failure::File { operation: "make a folder in", path: std::env::temp_dir(), source };
        let folder = tempfile::Builder::new().prefix("sluice-demo-").tempdir().map_err(failed)?;
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signalled)).map_err(failed)?;
        }
        let name = format!("sluice-demo-{}", std::process::id());
        let lab = Self { folder, name, signalled, _hugetlb: HugetlbHierarchy::if_wanted() };
        lab.fill().map_err(|source| Failure::File { operation: "fill", path: lab.rootfs(), source })?;
        lab.link_applets()?;
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

    /// A runtime's `--root`.
    pub(super) fn state_of(&self, runtime: &str) -> PathBuf {
        self.folder.path().join("state").join(runtime)
    }

    /// Writes a bundle and gives its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn bundle(&self, id: &str, cgroup: String, program: &[&str]) -> Result<PathBuf, Failure> {
        let bundle = self.folder.path().join("bundles").join(id);
        let config = config::config(&self.rootfs().to_string_lossy(), &cgroup, program);
        let written = create_dir_all(&bundle)
            .and_then(|()| write_file(&bundle.join("config.json"), &format!("{config:#}"), 0o644));
        written.map_err(|source| Failure::File { operation: "write", path: bundle.clone(), source })?;
        Ok(bundle)
    }

    fn rootfs(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    /// Busybox and the files that the situations stumble over.
    fn fill(&self) -> std::io::Result<()> {
        let root = self.rootfs();
        for folder in ["bin", "proc", "dev", "tmp", "etc", "state"] {
            create_dir_all(root.join(folder))?;
        }
        std::fs::copy(busybox().unwrap_or_default(), root.join("bin/busybox"))?;
        write_file(&root.join("bin/wants-a-shell"), "#!/no/such/shell\necho never\n", 0o755)?;
        write_file(&root.join("bin/not-executable"), "#!/bin/sh\necho never\n", 0o644)
    }

    fn link_applets(&self) -> Result<(), Failure> {
        let folder = self.rootfs().join("bin");
        let list = output_of(Command::new(folder.join("busybox")).arg("--list"))?;
        for applet in list.lines().filter(|applet| *applet != "busybox" && !applet.contains('/')) {
            let path = folder.join(applet);
            symlink("busybox", &path).map_err(|source| Failure::File { operation: "link", path, source })?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        cgroups::remove(&self.name);
    }
}

fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_binary_is_static() {
        let own = std::env::current_exe().unwrap();
        assert!(is_static(&own));
        assert!(!is_static(Path::new("/no/such/file")));
    }
}
