//! One test in a process of its own.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::vm::event::Outcome;
use crate::vm::payload;
use crate::vm::plan::Planned;

/// A test's own guards strike long before this one.
const GUARD: Duration = Duration::from_mins(15);

/// How much of a test's output the host gets: the end of it, in bytes.
const OUTPUT: u64 = 128 * 1024;

/// What every test finds in its environment.
pub(super) struct Surroundings {
    folder: PathBuf,
    patience: String,
}

impl Surroundings {
    pub(super) fn new(folder: &Path, patience: u32) -> Self {
        Self { folder: folder.to_owned(), patience: patience.to_string() }
    }

    fn command(&self, planned: &Planned) -> Command {
        let mut command = Command::new(self.folder.join(&planned.file));
        command.args(["--exact", &planned.test, "--nocapture"]);
        command.env("SLUICE_BIN", self.folder.join("sluice"));
        command.env("SLUICE_SHIM_BIN", self.folder.join(payload::SHIM));
        command.env("SLUICE_DOCTOR_BIN", self.folder.join(payload::DOCTOR));
        command.env("SLUICE_REQUIRE_PARTNERS", "1").env("SLUICE_TEST_PATIENCE", &self.patience);
        command.process_group(0).stdin(Stdio::null());
        command
    }
}

/// What became of a test.
pub(super) struct Run {
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    /// Empty when the test passed.
    pub(super) output: String,
}

/// Runs a test to its end, or to that of the guard.
pub(super) fn run(planned: &Planned, surroundings: &Surroundings) -> Run {
    let start = Instant::now();
    match attempt(surroundings.command(planned)) {
        Ok((outcome, output)) => Run { outcome, took: start.elapsed(), output },
        Err(error) => {
            let output = format!("the runner cannot start {}: {error}", planned.file);
            Run { outcome: Outcome::Failed, took: start.elapsed(), output }
        }
    }
}

fn attempt(mut command: Command) -> std::io::Result<(Outcome, String)> {
    // A file, because what a test leaves behind could hold a pipe open.
    let mut file = tempfile::tempfile()?;
    let mut child = command.stdout(file.try_clone()?).stderr(file.try_clone()?).spawn()?;
    if !ends(&child, GUARD)? {
        kill_process_group(Pid::from_child(&child), Signal::KILL)?;
        child.wait()?;
        return Ok((Outcome::Hung, end_of(&mut file)?));
    }
    let status = child.wait()?;
    let output = end_of(&mut file)?;
    if status.success() && says_passed(&output) {
        return Ok((Outcome::Passed, String::new()));
    }
    Ok((Outcome::Failed, format!("{output}\n{status}")))
}

/// A status of 0 alone could also mean that the executable knows no such test.
fn says_passed(output: &str) -> bool {
    output.lines().any(|line| line.starts_with("test result: ok. 1 passed; 0 failed"))
}

/// Waits for the end of a process; false when the time is over.
fn ends(child: &Child, limit: Duration) -> std::io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(std::io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn end_of(file: &mut File) -> std::io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Outcome, String) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0);
        attempt(command).unwrap()
    }

    #[test]
    fn only_a_test_that_says_so_passed() {
        let result = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
        assert_eq!(shell(result), (Outcome::Passed, String::new()));
        assert_eq!(shell("echo 'test result: ok. 0 passed; 0 failed'").0, Outcome::Failed);
        assert_eq!(shell(&format!("{result}; exit 101")).0, Outcome::Failed);
        assert_eq!(shell(&format!("{result}; kill -9 $$")).0, Outcome::Failed);
    }

    #[test]
    fn a_failure_comes_with_both_streams_and_the_status() {
        let (_, output) = shell("echo one; echo two >&2; exit 3");
        assert!(output.contains("one\ntwo"), "{output}");
        assert!(output.contains("exit status: 3"), "{output}");
    }

    #[test]
    fn what_a_test_leaves_behind_does_not_hold_it_up() {
        let (outcome, output) = shell("sleep 300 & echo $!; exit 1");
        assert_eq!(outcome, Outcome::Failed);
        let pid = output.lines().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[test]
    fn a_process_that_does_not_end_is_noticed() {
        let mut child = Command::new("/bin/sleep").arg("300").spawn().unwrap();
        assert!(!ends(&child, Duration::ZERO).unwrap());
        child.kill().unwrap();
        assert!(ends(&child, Duration::from_secs(60)).unwrap());
        child.wait().unwrap();
    }
}
