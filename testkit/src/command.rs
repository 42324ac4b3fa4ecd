//! Runs a command with its output in files, so that whoever inherits the descriptors cannot block the test.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::hang::{GUARD, eventually};
use crate::process;

static SEQUENCE: AtomicU32 = AtomicU32::new(0);

/// A command line being put together.
#[derive(Debug)]
pub struct Cmd {
    command: Command,
    directory: PathBuf,
    stdio_given: bool,
    stderr: Option<OwnedFd>,
}

impl Cmd {
    /// A command whose output files are kept in `directory`; standard input is empty.
    pub fn new(program: impl AsRef<OsStr>, directory: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0);
        Self { command, directory: directory.to_owned(), stdio_given: false, stderr: None }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Changes the working directory of the command.
    #[must_use]
    pub fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Gives `bytes` as standard input.
    #[must_use]
    pub fn stdin_bytes(mut self, bytes: &[u8]) -> Self {
        let path = self.file("in");
        fs::write(&path, bytes).unwrap();
        self.command.stdin(File::open(path).unwrap());
        self
    }

    /// Gives a pipe as standard input; see [`Running::stdin`].
    #[must_use]
    pub fn stdin_pipe(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Runs the command in a session of its own, with `terminal` as its controlling terminal.
    #[must_use]
    pub fn on_terminal(self, terminal: &OwnedFd) -> Self {
        let mut session = Command::new("setsid");
        session.args(["--wait", "--ctty"]).arg(self.command.get_program()).args(self.command.get_args());
        session.process_group(0);
        copy_surroundings(&self.command, &mut session);
        Self { command: session, ..self }.terminal(terminal)
    }

    /// As [`Self::on_terminal`], but as a background job of a shell that types `fg` once a line was typed to it.
    #[must_use]
    pub fn in_the_background_of(self, terminal: &OwnedFd) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-c", "set -m; \"$@\" & read -r line; fg %1", "bash"]);
        shell.arg(self.command.get_program()).args(self.command.get_args());
        copy_surroundings(&self.command, &mut shell);
        Self { command: shell, ..self }.on_terminal(terminal)
    }

    /// Gives one descriptor as standard input, output and error: a terminal.
    #[must_use]
    pub fn terminal(mut self, terminal: &OwnedFd) -> Self {
        self.command.stdin(terminal.try_clone().unwrap());
        self.command.stdout(terminal.try_clone().unwrap());
        self.command.stderr(terminal.try_clone().unwrap());
        self.stdio_given = true;
        self
    }

    /// Gives standard error a descriptor of the caller's choice.
    #[must_use]
    pub fn stderr_to(mut self, target: OwnedFd) -> Self {
        self.stderr = Some(target);
        self
    }

    /// Opens `paths` as descriptors 3, 4, ... of the command.
    ///
    /// A shell does it, because the standard library has no safe way to place a descriptor.
    #[must_use]
    pub fn inherit(self, paths: &[PathBuf]) -> Self {
        let redirections: Vec<String> = paths
            .iter()
            .enumerate()
            .map(|(at, path)| format!("exec {}<>'{}'", at + 3, path.display()))
            .collect();
        self.through_shell(&redirections.join("\n"))
    }

    /// Runs `preamble` in a shell that then becomes the command.
    #[must_use]
    pub fn through_shell(self, preamble: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("{preamble}\nexec \"$@\"")).arg("sh").arg(self.command.get_program());
        shell.args(self.command.get_args()).stdin(Stdio::null()).process_group(0);
        copy_surroundings(&self.command, &mut shell);
        Self { command: shell, ..self }
    }

    /// Program and arguments, to be given to another program.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_owned).collect()
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.directory.join(format!("{}.{kind}", SEQUENCE.fetch_add(1, Ordering::Relaxed)))
    }

    /// Starts the command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn(mut self) -> Running {
        let (out, err) = (self.file("out"), self.file("err"));
        if !self.stdio_given {
            let stderr = self.stderr.take().map_or_else(|| append_to(&err).into(), Stdio::from);
            self.command.stdout(append_to(&out)).stderr(stderr);
        }
        let line = command_line(&self.command);
        let child = process::spawn(&mut self.command).unwrap_or_else(|error| panic!("spawn {line}: {error}"));
        let pid = i32::try_from(child.id()).unwrap();
        let pidfd = process::pidfd(pid).unwrap();
        Running { child: Some(child), pidfd, pid, line, out, err }
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// When it does not end within the hang guard.
    #[track_caller]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Runs the command and asserts that it succeeds.
    ///
    /// # Panics
    /// When its exit status is not 0.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.run().ok()
    }
}

fn copy_surroundings(from: &Command, to: &mut Command) {
    for (key, value) in from.get_envs() {
        match value {
            Some(value) => to.env(key, value),
            None => to.env_remove(key),
        };
    }
    if let Some(directory) = from.get_current_dir() {
        to.current_dir(directory);
    }
}

fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.collect::<Vec<_>>().join(&OsString::from(" ")).to_string_lossy().into_owned()
}

/// A command that runs; killed with its process group when dropped.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    pidfd: OwnedFd,
    pid: i32,
    line: String,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Pid of the command.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The writing end of the pipe of [`Cmd::stdin_pipe`].
    ///
    /// # Panics
    /// When standard input is no pipe or was taken already.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.as_mut().unwrap().stdin.take().unwrap()
    }

    /// What was written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_lossy(&self.out)
    }

    /// What was written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read_lossy(&self.err)
    }

    /// True once the command has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        process::wait_readable(&self.pidfd, Duration::ZERO)
    }

    /// Sends a signal to the command itself.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid, signal);
    }

    /// Polls standard output until it holds `text`.
    ///
    /// # Panics
    /// When the command ended without it or the hang guard struck.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str) {
        eventually(&format!("{text:?} in the output of {}", self.line), || {
            let ended = self.has_ended();
            let found = self.stdout().contains(text);
            assert!(
                found || !ended,
                "{} ended without {text:?}: {}{}",
                self.line,
                self.stdout(),
                self.stderr()
            );
            found
        });
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the command does not end within the hang guard; its process group is killed and described.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        if !process::wait_readable(&self.pidfd, *GUARD) {
            let stuck = self.describe_group();
            self.kill_group();
            panic!("hang guard: {} ran {:?}\n{}{}\n{stuck}", self.line, *GUARD, self.stdout(), self.stderr());
        }
        let status = self.child.take().unwrap().wait().unwrap();
        process::forget(self.pid);
        Output { status, line: self.line.clone(), stdout: self.stdout(), stderr: self.stderr() }
    }

    fn describe_group(&self) -> String {
        let of_group = |pid: &i32| group_of(*pid) == Some(self.pid);
        process::all().into_iter().filter(of_group).map(process::describe).collect()
    }

    fn kill_group(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Some(group) = rustix::process::Pid::from_raw(self.pid) {
                let _gone = rustix::process::kill_process_group(group, Signal::KILL);
            }
            if process::wait_readable(&self.pidfd, *GUARD) {
                let _status = child.wait();
                process::forget(self.pid);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn group_of(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// What a finished command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The command line, for messages.
    pub line: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Asserts exit status 0.
    ///
    /// # Panics
    /// With the whole output when it was another.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts the exit status.
    ///
    /// # Panics
    /// With the whole output when it was another.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.status.code(), Some(expected), "exit status of {self}");
        self
    }

    /// Asserts that standard error holds `text`, compared without regard to case and to a log's escapes.
    ///
    /// # Panics
    /// With the whole output when it does not.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stderr.replace("\\\"", "\"").to_lowercase();
        assert!(said.contains(&text.to_lowercase()), "no {text:?} on stderr of {self}");
        self
    }

    /// Asserts the whole standard output, but for white space at its ends.
    ///
    /// # Panics
    /// With the whole output when it was another.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout.trim(), text, "stdout of {self}");
        self
    }

    /// Standard output parsed as one JSON value.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in stdout of {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.status.code().map_or_else(
            || format!("signal {}", self.status.signal().unwrap_or(0)),
            |code| format!("code {code}"),
        );
        write!(f, "`{}` ({end})\n--- stdout\n{}\n--- stderr\n{}", self.line, self.stdout, self.stderr)
    }
}
