//! Making the groups of a container.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use crate::{Cgroup, Error, Kind, Result, file};

impl Cgroup {
    /// Makes the groups and everything missing above them.
    ///
    /// On v1 an empty `cpuset.cpus` or `cpuset.mems` is filled from the group above, else no process could
    /// join. On v2 every group above gets the available controllers in `cgroup.subtree_control`; one that
    /// cannot be enabled is no error here but when a limit needs it.
    ///
    /// # Errors
    /// When a directory cannot be made or a cpuset not filled; what was made by then is removed again.
    pub fn create(&self) -> Result<()> {
        let mut made = Made::default();
        self.create_into(&mut made).inspect_err(|_| made.undo())
    }

    fn create_into(&self, made: &mut Made) -> Result<()> {
        for path in self.paths().v1.values() {
            made.all(path)?;
        }
        if let Some(path) = self.paths().v1("cpuset") {
            inherit_cpuset(path)?;
        }
        if let Some(path) = &self.paths().unified {
            made.all(path)?;
            if self.kind() == Kind::V2 {
                enable_controllers(path);
            }
        }
        Ok(())
    }
}

/// The directories made so far, outermost first.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn all(&mut self, path: &Path) -> Result<()> {
        // Every level in turn, from the outside; the first ones are there.
        let missing: Vec<&Path> = path.ancestors().take_while(|level| !level.is_dir()).collect();
        for level in missing.into_iter().rev() {
            match rustix::fs::mkdirat(CWD, level, Mode::from_raw_mode(0o755)) {
                Ok(()) => self.0.push(level.to_owned()),
                // Another container's start made it in between.
                Err(Errno::EXIST) => {}
                Err(source) => return Err(Error::Make { path: level.to_owned(), source }),
            }
        }
        Ok(())
    }

    fn undo(&self) {
        for path in self.0.iter().rev() {
            if let Err(errno) = rustix::fs::rmdir(path) {
                log::warn!("remove cgroup {} after a failed start: {errno}", path.display());
            }
        }
    }
}

/// The groups from the root of the hierarchy (the mount point) down to `path`, as far as they have `file`.
fn levels_with<'a>(path: &'a Path, file: &str) -> Vec<&'a Path> {
    let mut levels: Vec<&Path> = path.ancestors().take_while(|level| level.join(file).exists()).collect();
    levels.reverse();
    levels
}

fn inherit_cpuset(path: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        for pair in levels_with(path, file).windows(2) {
            let [above, level] = pair else { continue };
            if file::read(&level.join(file))?.trim().is_empty() {
                file::write(&level.join(file), file::read(&above.join(file))?.trim())?;
            }
        }
    }
    Ok(())
}

/// Asks every group above `path` to hand down the controllers it has itself.
fn enable_controllers(path: &Path) {
    let Some(parent) = path.parent() else { return };
    for level in levels_with(parent, "cgroup.subtree_control") {
        let has = words(&level.join("cgroup.controllers"));
        let enabled = words(&level.join("cgroup.subtree_control"));
        let missing: Vec<String> = has.difference(&enabled).map(|name| format!("+{name}")).collect();
        let control = level.join("cgroup.subtree_control");
        if missing.is_empty() || file::write(&control, &missing.join(" ")).is_ok() {
            continue;
        }
        // All or nothing was nothing: one that is refused must not keep the others out.
        for name in &missing {
            if let Err(error) = file::write(&control, name) {
                log::debug!("{error}: {:?}", error.errno());
            }
        }
    }
}

fn words(path: &Path) -> BTreeSet<String> {
    let text = file::read(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
