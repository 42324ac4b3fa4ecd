//! A container runtime and a container of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cgroups::Group;
use crate::demo::call::{Answer, call};
use crate::demo::lab::Lab;
use crate::failure::Failure;

/// A runtime with runc's command line.
pub(super) struct Runtime {
    /// How it is called in the table.
    pub(super) name: &'static str,
    /// Its binary.
    pub(super) path: PathBuf,
    /// First line of `--version`.
    pub(super) version: String,
}

impl Runtime {
    /// The runtime at a path, if it answers.
    pub(super) fn at(name: &'static str, path: &Path) -> Option<Self> {
        let answer = call(Command::new(path).arg("--version")).ok()?;
        let version = answer.text.lines().next().unwrap_or_default().to_owned();
        (answer.code == Some(0)).then(|| Self { name, path: path.to_owned(), version })
    }

    /// The runtime of a name in PATH, if there is one.
    pub(super) fn installed(name: &'static str) -> Option<Self> {
        Self::at(name, Path::new(name))
    }
}

/// A running container; dropping it deletes it.
pub(super) struct Container<'a> {
    lab: &'a Lab,
    runtime: &'a Runtime,
    id: String,
    /// Where its limits are.
    pub(super) group: Group,
}

impl<'a> Container<'a> {
    /// Creates and starts a container whose first process is `program`.
    ///
    /// # Errors
    /// When the runtime refuses; the failure carries its text.
    pub(super) fn run(
        lab: &'a Lab,
        runtime: &'a Runtime,
        name: &str,
        program: &[&str],
    ) -> Result<Self, Failure> {
        let id = format!("{}-{}-{name}", lab.name(), runtime.name);
        let group = Group::new(&format!("{}/{id}", lab.name()));
        let bundle = lab.bundle(&id, group.path(), program)?;
        let container = Self { lab, runtime, id, group };
        let answer =
            container.call(&["run", "--detach", "--bundle", &bundle.to_string_lossy(), &container.id])?;
        match answer.code {
            Some(0) => Ok(container),
            code => Err(Failure::Ended {
                program: format!("{} run", runtime.name),
                status: code.map_or("no status".to_owned(), |code| format!("status {code}")),
                text: answer.text,
            }),
        }
    }

    /// `exec` with options before the container's id and a program after it.
    ///
    /// # Errors
    /// When the runtime cannot be started at all.
    pub(super) fn exec(&self, options: &[&str], program: &[&str]) -> Result<Answer, Failure> {
        self.call(&[&["exec"], options, &[&self.id], program].concat())
    }

    /// A verb that takes nothing but the container's id.
    ///
    /// # Errors
    /// When the runtime cannot be started at all.
    pub(super) fn verb(&self, verb: &str) -> Result<Answer, Failure> {
        self.call(&[verb, &self.id])
    }

    /// Whether the runtime says that the container still runs.
    pub(super) fn is_alive(&self) -> bool {
        let answer = self.verb("state");
        answer.is_ok_and(|answer| answer.code == Some(0) && !answer.text.contains("\"stopped\""))
    }

    fn call(&self, arguments: &[&str]) -> Result<Answer, Failure> {
        let mut command = Command::new(&self.runtime.path);
        command.arg("--root").arg(self.lab.state_of(self.runtime.name)).args(arguments);
        call(&mut command)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // The first may be hit by the same Ctrl-C that ended the demonstration.
        for _ in 0..2 {
            if let Ok(Answer { code: Some(0), .. }) = self.call(&["delete", "--force", &self.id]) {
                return;
            }
        }
        eprintln!("demo: {} left {} behind; killing what is in its cgroup", self.runtime.name, self.id);
        self.group.kill();
    }
}
