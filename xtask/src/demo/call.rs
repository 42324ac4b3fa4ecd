//! One call of a program: its status, what it said, how long it took; never longer than a bound.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::failure::Failure;

/// After this the answer counts as none.
const BOUND: Duration = Duration::from_secs(10);

/// What came of a call.
pub(super) struct Answer {
    /// Exit code; none when it was killed for taking too long, or by a signal.
    pub(super) code: Option<i32>,
    /// stdout and stderr together.
    pub(super) text: String,
    /// From start to end.
    pub(super) took: Duration,
}

/// Runs a command with no stdin.
///
/// Its output goes to a file: a container that it leaves behind would keep a pipe open.
///
/// # Errors
/// When it cannot be started.
pub(super) fn call(command: &mut Command) -> Result<Answer, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Failure::Start { program: program.clone(), source };
    let mut said = tempfile::tempfile().map_err(failed)?;
    let copy = |file: &File| file.try_clone().map(Stdio::from).map_err(failed);
    command.stdin(Stdio::null()).stdout(copy(&said)?).stderr(copy(&said)?);
    let start = Instant::now();
    let mut child = command.spawn().map_err(failed)?;
    let in_time = ends_in_time(&child).map_err(|errno| failed(errno.into()))?;
    let took = start.elapsed();
    if !in_time {
        child.kill().map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    let mut bytes = Vec::new();
    said.rewind().and_then(|()| said.read_to_end(&mut bytes)).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(Answer { code: status.code().filter(|_| in_time), text, took })
}

fn ends_in_time(child: &Child) -> Result<bool, rustix::io::Errno> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let bound = Timespec { tv_sec: BOUND.as_secs().cast_signed(), tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&bound)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}
