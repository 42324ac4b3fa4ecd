//! Another OCI runtime, driven by its command line: nvidia, crun, kata, or whatever the options name.
//!
//! **Invariant:** every call has an end: its output is drained from before it runs, and one that does not come back in
//! time is killed with its process group. What it says is kept and told; what it never said is not made up.
//!
//! Source: the runtime command-line interface of the OCI, and the options of runc that its other callers use.

mod binary;
mod call;
mod console;
mod words;

pub use binary::{Choice, choose};
pub use call::Error;
pub use console::ConsoleSocket;
pub use words::Meaning;

use call::{Call, Streams};
use rustix::fd::OwnedFd;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a verb may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a runtime may take to tell its features: containerd waits for the answer.
const FEATURES_LIMIT: Duration = Duration::from_secs(4);

/// How long a container may take to be created: hooks run, images are unpacked by some runtimes, machines boot.
const CREATE_LIMIT: Duration = Duration::from_secs(110);

/// A runtime for one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The program.
    pub binary: PathBuf,
    /// Its state root (`--root`).
    pub root: PathBuf,
    /// Whether systemd makes the groups (`--systemd-cgroup`).
    pub systemd_cgroup: bool,
    /// Where its log is put while a call lasts.
    pub bundle: PathBuf,
}

/// The standard streams of a process that a runtime starts.
#[derive(Debug)]
pub struct Stdio {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// What a process that a runtime starts is connected to.
#[derive(Debug)]
pub enum Connected {
    /// Three streams. The runtime's own standard error is the third of them.
    To(Stdio),
    /// A terminal, whose master comes through this socket.
    Terminal(PathBuf),
}

/// Switches of `create`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The init process.
    Init,
    /// Every process of the container.
    All,
}

/// What a runtime says of itself: JSON of the specification's features.
///
/// # Errors
/// What the runtime says; [`Error::Answer`] for what is no JSON.
pub fn features(binary: &Path) -> Result<Vec<u8>, Error> {
    const VERB: &str = "features";
    let call = Call { binary, verb: VERB, log: None, limit: FEATURES_LIMIT };
    let answer = call.run(vec![VERB.into()], Streams::Captured)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&answer).is_err() {
        let text = String::from_utf8_lossy(&answer).into_owned();
        return Err(Error::Answer { binary: binary.to_owned(), verb: VERB, text });
    }
    Ok(answer)
}

impl Runtime {
    /// Creates a container and gives the pid of its init.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn create(&self, id: &str, creation: Creation, connected: Connected) -> Result<i32, Error> {
        let pid_file = self.bundle.join("init.pid");
        let mut arguments = vec![OsString::from("--bundle"), self.bundle.clone().into()];
        arguments.extend([OsString::from("--pid-file"), pid_file.clone().into()]);
        arguments.extend(creation.no_pivot.then(|| "--no-pivot".into()));
        arguments.extend(creation.no_new_keyring.then(|| "--no-new-keyring".into()));
        self.start_process("create", arguments, id, (connected, CREATE_LIMIT))?;
        call::read_pid(&pid_file)
    }

    /// Starts the program of a created container.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn start(&self, id: &str) -> Result<(), Error> {
        self.quietly("start", [], id)
    }

    /// Starts a process in a container and gives its pid. `process` is the JSON text of the specification's process.
    ///
    /// # Errors
    /// What the runtime says; a file in the bundle that cannot be written.
    pub fn exec(&self, id: &str, exec_id: &str, process: &[u8], connected: Connected) -> Result<i32, Error> {
        let name = words::file_name(exec_id);
        let (file, pid_file) = (format!("{name}.process"), self.bundle.join(format!("{name}.pid")));
        call::write(&self.bundle, &file, process)?;
        let mut arguments = vec![OsString::from("--process"), self.bundle.join(&file).into()];
        arguments.extend(["--detach".into(), "--pid-file".into(), pid_file.clone().into()]);
        let outcome = self.start_process("exec", arguments, id, (connected, LIMIT));
        let pid = outcome.and_then(|()| call::read_pid(&pid_file));
        for path in [self.bundle.join(file), pid_file] {
            let _ = rustix::fs::unlink(path);
        }
        pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// What the runtime says; [`Error::meaning`] tells a process that has ended from other failures.
    pub fn kill(&self, id: &str, signal: u32, whom: Whom) -> Result<(), Error> {
        let all = (whom == Whom::All).then(|| OsString::from("--all"));
        self.call("kill", all.into_iter().collect(), &[id, &signal.to_string()]).map(drop)
    }

    /// Removes a container, killing what is left of it.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn delete_by_force(&self, id: &str) -> Result<(), Error> {
        self.quietly("delete", ["--force"], id)
    }

    /// Removes a container that has ended.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        self.quietly("delete", [], id)
    }

    /// Freezes the processes.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn pause(&self, id: &str) -> Result<(), Error> {
        self.quietly("pause", [], id)
    }

    /// Lets the processes go on.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn resume(&self, id: &str) -> Result<(), Error> {
        self.quietly("resume", [], id)
    }

    /// Sets limits; `resources` is the JSON text of the specification's resources.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn update(&self, id: &str, resources: &[u8]) -> Result<(), Error> {
        const FILE: &str = "update.resources";
        call::write(&self.bundle, FILE, resources)?;
        let path = self.bundle.join(FILE);
        let outcome = self.call("update", vec!["--resources".into(), path.clone().into()], &[id]);
        let _ = rustix::fs::unlink(path);
        outcome.map(drop)
    }

    /// The pids of all processes, on the host.
    ///
    /// # Errors
    /// What the runtime says; [`Error::Answer`] for what is no list of numbers.
    pub fn ps(&self, id: &str) -> Result<Vec<i32>, Error> {
        let answer = self.call("ps", vec!["--format".into(), "json".into()], &[id])?;
        words::pids(&answer).ok_or_else(|| self.no_answer("ps", &answer))
    }

    /// The state as the runtime tells it: `created`, `running`, `paused`, `stopped`.
    ///
    /// # Errors
    /// What the runtime says; [`Error::Answer`] for what is no state.
    pub fn state(&self, id: &str) -> Result<String, Error> {
        let answer = self.call("state", Vec::new(), &[id])?;
        words::status(&answer).ok_or_else(|| self.no_answer("state", &answer))
    }

    fn no_answer(&self, verb: &'static str, answer: &[u8]) -> Error {
        let text = String::from_utf8_lossy(answer).into_owned();
        Error::Answer { binary: self.binary.clone(), verb, text }
    }

    fn quietly<const N: usize>(&self, verb: &'static str, options: [&str; N], id: &str) -> Result<(), Error> {
        self.call(verb, options.map(OsString::from).to_vec(), &[id]).map(drop)
    }

    /// Gives what the runtime prints.
    fn call(&self, verb: &'static str, options: Vec<OsString>, operands: &[&str]) -> Result<Vec<u8>, Error> {
        let log = self.log(verb, operands.first().copied().unwrap_or_default());
        let call = Call { binary: &self.binary, verb, log: Some(&log), limit: LIMIT };
        call.run(self.arguments(verb, options, operands, &log), Streams::Captured)
    }

    fn start_process(
        &self,
        verb: &'static str,
        mut options: Vec<OsString>,
        id: &str,
        (connected, limit): (Connected, Duration),
    ) -> Result<(), Error> {
        let log = self.log(verb, id);
        let call = Call { binary: &self.binary, verb, log: Some(&log), limit };
        let streams = match connected {
            Connected::To(stdio) => Streams::Given(stdio),
            Connected::Terminal(socket) => {
                options.extend(["--console-socket".into(), socket.into()]);
                Streams::Captured
            }
        };
        call.run(self.arguments(verb, options, &[id], &log), streams).map(drop)
    }

    /// A log of its own for each call: errors of calls that overlap are not mistaken for each other's.
    fn log(&self, verb: &str, id: &str) -> PathBuf {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{verb}-{}-{number}.log", words::file_name(id));
        self.bundle.join(name)
    }

    fn arguments(&self, verb: &str, options: Vec<OsString>, operands: &[&str], log: &Path) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["--root".into(), self.root.clone().into()];
        all.extend(["--log".into(), log.into(), "--log-format".into(), "json".into()]);
        all.extend(self.systemd_cgroup.then(|| "--systemd-cgroup".into()));
        all.push(verb.into());
        all.extend(options);
        all.extend(operands.iter().map(OsString::from));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_that_of_runc() {
        let runtime = Runtime {
            binary: "/bin/x".into(),
            root: "/run/r".into(),
            systemd_cgroup: true,
            bundle: "/b".into(),
        };
        let all = runtime.arguments("kill", vec!["--all".into()], &["c", "9"], Path::new("/b/l"));
        let expected = "--root /run/r --log /b/l --log-format json --systemd-cgroup kill --all c 9";
        assert_eq!(all.join(" ".as_ref()), expected);
        assert_ne!(runtime.log("kill", "c"), runtime.log("kill", "c"));
    }
}
