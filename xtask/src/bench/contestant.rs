//! A runtime that takes part, and a container of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::lab::{Init, Lab};
use crate::bench::options::Options;
use crate::cgroups::Group;
use crate::failure::Failure;
use crate::workspace::output_of;

/// A runtime with runc's command line; dropping it deletes whatever containers it still has.
pub(super) struct Contestant {
    /// How it is called in the report.
    pub(super) name: String,
    /// Its binary.
    pub(super) path: PathBuf,
    /// First line of `--version`.
    pub(super) version: String,
    /// Bytes of its binary.
    pub(super) size: u64,
    root: PathBuf,
    above: String,
}

/// Ours first, then runc and crun of PATH, then those given by name.
///
/// # Errors
/// When a runtime that was asked for does not answer.
pub(super) fn all(lab: &Lab, options: &Options) -> Result<Vec<Contestant>, Failure> {
    let mut found = Vec::new();
    if let Some(path) = &options.sluice {
        found.push(Contestant::at(lab, "sluice", path)?);
    }
    found.extend(["crun", "runc"].into_iter().filter_map(|name| Contestant::installed(lab, name)));
    for (name, path) in &options.peers {
        found.push(Contestant::at(lab, name, path)?);
    }
    Ok(found)
}

impl Contestant {
    fn at(lab: &Lab, name: &str, path: &Path) -> Result<Self, Failure> {
        let path = std::fs::canonicalize(path).map_err(|source| Failure::File {
            operation: "find",
            path: path.to_owned(),
            source,
        })?;
        let version = output_of(Command::new(&path).arg("--version"))?;
        let version = version.lines().next().unwrap_or_default().to_owned();
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        let root = lab.state_of(name);
        Ok(Self { name: name.to_owned(), path, version, size, root, above: lab.name().to_owned() })
    }

    fn installed(lab: &Lab, name: &str) -> Option<Self> {
        let folders = crate::workspace::FOLDERS.iter();
        let path = folders.map(|folder| Path::new(folder).join(name)).find(|path| path.exists())?;
        Self::at(lab, name, &path).ok()
    }

    /// A call with no streams but the null device.
    pub(super) fn command<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--root").arg(&self.root).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// An id that no other runtime of this run uses.
    pub(super) fn id(&self, name: &str) -> String {
        format!("{}-{}-{name}", self.above, self.name)
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let deleted = self.command(&["delete", "--force", &id]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                Group::new(&format!("{}/{id}", self.above)).kill();
            }
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it does not end with status 0; it is tried once more then, for its words.
pub(super) fn must(mut command: Command) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|source| Failure::Start { program, source })?;
    if status.success() {
        return Ok(());
    }
    command.stderr(Stdio::piped());
    output_of(&mut command).map(drop)
}

/// A running container that sleeps; dropping it deletes it.
pub(super) struct Standing<'a> {
    /// Whose it is.
    pub(super) contestant: &'a Contestant,
    /// Its id.
    pub(super) id: String,
}

impl<'a> Standing<'a> {
    /// Creates and starts it.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub(super) fn new(lab: &Lab, contestant: &'a Contestant) -> Result<Self, Failure> {
        lab.interrupted()?;
        let id = contestant.id("standing");
        let bundle = lab.bundle(&id, Init::Wait)?;
        let standing = Self { contestant, id };
        let bundle = bundle.to_string_lossy().into_owned();
        must(contestant.command(&["run", "--detach", "--bundle", &bundle, &standing.id]))?;
        Ok(standing)
    }

    /// `exec` of the program that ends at once.
    pub(super) fn exec(&self) -> Command {
        self.contestant.command(&["exec", &self.id, "/bin/true"])
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let _ = self.contestant.command(&["delete", "--force", &self.id]).status();
    }
}
