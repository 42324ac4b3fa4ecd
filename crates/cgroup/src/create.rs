//! Making the groups of a container.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use crate::{Cgroup, Error, Kind, Result, file, hint};

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
                enable_controllers(path)?;
            }
            expect_domain(path)?;
        }
        Ok(())
    }
}

/// The directories made so far, outermost first.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a group, and first what is missing above it, which is rare.
    fn all(&mut self, path: &Path) -> Result<()> {
        let refused = match self.one(path) {
            Err(Errno::NOENT) => {
                let missing: Vec<&Path> = path.ancestors().take_while(|level| !level.is_dir()).collect();
                missing.into_iter().rev().find_map(|level| Some((level, self.one(level).err()?)))
            }
            other => other.err().map(|source| (path, source)),
        };
        refused.map_or(Ok(()), |(level, source)| {
            Err(Error::Make { path: level.to_owned(), hint: hint::not_made(level, source), source })
        })
    }

    fn one(&mut self, level: &Path) -> rustix::io::Result<()> {
        match rustix::fs::mkdirat(CWD, level, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.0.push(level.to_owned()),
            // It was there, or another container's start made it in between.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
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
    filled(path, "cpuset.cpus")?;
    filled(path, "cpuset.mems").map(drop)
}

/// The value of a level, which an empty one gets from above; none above the hierarchy.
fn filled(level: &Path, name: &str) -> Result<Option<String>> {
    let file = level.join(name);
    let own = file::read_if_there(&file)?.map(|text| text.trim().to_owned());
    let (Some(""), Some(above)) = (own.as_deref(), level.parent()) else { return Ok(own) };
    let inherited = filled(above, name)?;
    if let Some(value) = &inherited {
        file::write(&file, value)?;
    }
    Ok(inherited)
}

/// A group below a threaded one is of no use until somebody makes it threaded, too.
fn expect_domain(path: &Path) -> Result<()> {
    let kind = |level: &Path| file::try_read_short(&level.join("cgroup.type")).unwrap_or_default();
    match path.parent() {
        Some(ancestor) if kind(path).trim() == "domain invalid" => Err(Error::NotADomain {
            path: path.to_owned(),
            ancestor: ancestor.to_owned(),
            kind: kind(ancestor).trim().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Asks every group above `path` to hand down the controllers it has itself.
///
/// A group with processes is left alone. Kernel: it would take some of the controllers (cpu, cpuset, pids), and
/// so become the root of a threaded subtree, in which no new group takes a process.
fn enable_controllers(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for level in levels_with(parent, "cgroup.subtree_control") {
        let has = words(&level.join("cgroup.controllers"))?;
        let enabled = words(&level.join("cgroup.subtree_control"))?;
        let missing: Vec<String> = has.difference(&enabled).map(|name| format!("+{name}")).collect();
        let control = level.join("cgroup.subtree_control");
        if missing.is_empty()
            || hint::has_own_processes(level)
            || unless_exhausted(file::write(&control, &missing.join(" ")))?.is_some()
        {
            continue;
        }
        // All or nothing was nothing: one that is refused must not keep the others out.
        for name in &missing {
            unless_exhausted(file::write(&control, name))?;
        }
    }
    Ok(())
}

fn words(path: &Path) -> Result<BTreeSet<String>> {
    let text = unless_exhausted(file::read(path))?.unwrap_or_default();
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// A refusal says something about the group and is left to the limit that needs the controller; one for want of
/// descriptors or memory says nothing about it.
fn unless_exhausted<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.errno(), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(error),
        Err(error) => {
            log::debug!("{error}: {:?}", error.errno());
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn write(directory: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    fn text(directory: &Path, name: &str) -> String {
        std::fs::read_to_string(directory.join(name)).unwrap()
    }

    #[test]
    fn every_level_above_hands_down_what_it_has_and_the_group_itself_nothing() {
        let top = tempfile::tempdir().unwrap();
        let (above, own) = (top.path().join("a"), top.path().join("a/own"));
        write(top.path(), &[("cgroup.controllers", "cpu pids"), ("cgroup.subtree_control", "cpu pids")]);
        write(&above, &[("cgroup.controllers", "cpu memory"), ("cgroup.subtree_control", "memory")]);
        write(&own, &[("cgroup.controllers", ""), ("cgroup.subtree_control", "")]);
        Cgroup::new(Paths { unified: Some(own.clone()), ..Paths::default() }).create().unwrap();
        assert_eq!(text(top.path(), "cgroup.subtree_control"), "cpu pids", "nothing was missing");
        assert_eq!(text(&above, "cgroup.subtree_control"), "+cpu");
        assert_eq!(text(&own, "cgroup.subtree_control"), "");
    }

    #[test]
    fn a_cpuset_is_filled_from_above_unless_it_has_a_value() {
        let top = tempfile::tempdir().unwrap();
        let (above, own) = (top.path().join("a"), top.path().join("a/own"));
        write(top.path(), &[("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")]);
        write(&above, &[("cpuset.cpus", "\n"), ("cpuset.mems", "0\n")]);
        write(&own, &[("cpuset.cpus", "\n"), ("cpuset.mems", "1\n")]);
        inherit_cpuset(&own).unwrap();
        assert_eq!((text(&above, "cpuset.cpus"), text(&own, "cpuset.cpus")), ("0-3".into(), "0-3".into()));
        assert_eq!(text(&own, "cpuset.mems"), "1\n");
    }
}
