//! One call of a runtime: its arguments, its output, its end.

use super::Stdio;
use super::words::{self, Meaning};
use crate::replace::replace;
use launch::Process;
use launch::process::{Ended, Reap, ended, wait_dead};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Redirect};
use std::time::{Duration, Instant};

/// How much of each output is kept, in bytes: the end.
const KEPT: usize = 64 << 10;

/// How long a killed runtime may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Largest answer and log that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program could not be executed.
    #[error("run {binary} {verb}")]
    Run {
        /// The program.
        binary: PathBuf,
        /// The verb.
        verb: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The runtime says why.
    #[error("{message}")]
    Refused {
        /// The verb.
        verb: &'static str,
        /// The last error of its log, else the last line of its output, else how it ended.
        message: String,
    },
    /// It did not come back and was killed.
    #[error("{binary} {verb} did not end within {} s and was killed: {at}{said}", limit.as_secs())]
    Late {
        /// The program.
        binary: PathBuf,
        /// The verb.
        verb: &'static str,
        /// How long it had.
        limit: Duration,
        /// What it was doing.
        at: String,
        /// The end of what it had said, or nothing.
        said: String,
    },
    /// Its answer is none.
    #[error("{binary} {verb} answered {text:?}")]
    Answer {
        /// The program.
        binary: PathBuf,
        /// The verb.
        verb: &'static str,
        /// The answer.
        text: String,
    },
    /// A file between the runtime and this process.
    #[error("{step} {path}")]
    File {
        /// What was to be done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
}

impl Error {
    /// What it means for a caller.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Refused { message, .. } => words::meaning(message),
            _ => Meaning::Other,
        }
    }
}

/// Where the output goes.
pub(super) enum Streams {
    /// To this process.
    Captured,
    /// To the process that is started, which inherits them.
    Given(Stdio),
}

/// Everything about a call but its arguments.
pub(super) struct Call<'a> {
    pub(super) binary: &'a Path,
    pub(super) verb: &'static str,
    /// The runtime's log, removed afterwards; none for a call that keeps none.
    pub(super) log: Option<&'a Path>,
    pub(super) limit: Duration,
}

impl Call<'_> {
    /// Runs the program to its end and gives what it printed.
    pub(super) fn run(&self, arguments: Vec<OsString>, streams: Streams) -> Result<Vec<u8>, Error> {
        let outcome = self.run_to_end(arguments, streams);
        let log = self.log.and_then(|path| read(path).ok());
        let _ = self.log.map(rustix::fs::unlink);
        let (how, out, err) = outcome?;
        if how == Ended::Exited(0) {
            return Ok(out);
        }
        let log = log.and_then(|log| words::last_error(&log));
        let message = log.or_else(|| words::last_line(&err)).or_else(|| words::last_line(&out));
        let silent = || format!("{} {} {}", self.binary.display(), self.verb, in_words(how));
        Err(Error::Refused { verb: self.verb, message: message.unwrap_or_else(silent) })
    }

    fn run_to_end(
        &self,
        arguments: Vec<OsString>,
        streams: Streams,
    ) -> Result<(Ended, Vec<u8>, Vec<u8>), Error> {
        let wrap = |source| Error::Run { binary: self.binary.to_owned(), verb: self.verb, source };
        let mut command = Command::new(self.binary);
        // A group of its own, so that whatever it started can be killed with it.
        command.args(arguments).process_group(0);
        match streams {
            Streams::Captured => {
                command.stdin(Redirect::null()).stdout(Redirect::piped()).stderr(Redirect::piped())
            }
            Streams::Given(Stdio { stdin, stdout, stderr }) => {
                command.stdin(stdin).stdout(stdout).stderr(stderr)
            }
        };
        let child = command.spawn().map_err(wrap)?;
        // Else the copies of the given streams would stay open here.
        drop(command);
        Running::new(child).map_err(|errno| wrap(errno.into()))?.finish(self)
    }
}

/// A runtime that runs, with the pipes to it.
struct Running {
    process: Process,
    pipes: [Option<OwnedFd>; 2],
    kept: [Vec<u8>; 2],
}

impl Running {
    fn new(child: Child) -> Result<Self, Errno> {
        let pid = i32::try_from(child.id()).map_err(|_| Errno::SRCH)?;
        let raw = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty())?;
        let pipes = [child.stdout.map(OwnedFd::from), child.stderr.map(OwnedFd::from)];
        for pipe in pipes.iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { process: Process { pid, pidfd }, pipes, kept: [Vec::new(), Vec::new()] })
    }

    fn finish(mut self, call: &Call<'_>) -> Result<(Ended, Vec<u8>, Vec<u8>), Error> {
        let deadline = Instant::now() + call.limit;
        while !self.has_ended(deadline) {
            if Instant::now() >= deadline {
                return Err(self.kill(call));
            }
        }
        let wrap = |source: Errno| Error::Run {
            binary: call.binary.to_owned(),
            verb: call.verb,
            source: source.into(),
        };
        let how = ended(&self.process, Reap::Yes).map_err(|_| wrap(Errno::CHILD))?;
        // What it wrote before its end is in the pipes; what a child of it writes later is not waited for.
        self.drain();
        let [out, err] = self.kept;
        how.map(|how| (how, out, err)).ok_or_else(|| wrap(Errno::CHILD))
    }

    /// Waits for output or the end, takes the output, and tells whether it was the end.
    fn has_ended(&mut self, deadline: Instant) -> bool {
        let mut fds = vec![PollFd::new(&self.process.pidfd, PollFlags::IN)];
        fds.extend(self.pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let left = launch::process::timespec(deadline.saturating_duration_since(Instant::now()));
        let _ = poll(&mut fds, Some(&left));
        drop(fds);
        self.drain();
        matches!(wait_dead(self.process.pidfd.as_fd(), Duration::ZERO), Ok(true))
    }

    /// Takes what is there, as much as fits into a pipe a few times: the deadline is looked at in between.
    fn drain(&mut self) {
        const ROUNDS: usize = 64;
        let mut buffer = [0; 16 << 10];
        for (slot, kept) in self.pipes.iter_mut().zip(&mut self.kept) {
            for _ in 0..ROUNDS {
                let Some(pipe) = slot.as_ref() else { break };
                match rustix::io::read(pipe, &mut buffer) {
                    Ok(0) => *slot = None,
                    Ok(count) => keep(kept, buffer.get(..count).unwrap_or_default()),
                    Err(Errno::INTR) => {}
                    Err(_) => break,
                }
            }
        }
    }

    fn kill(mut self, call: &Call<'_>) -> Error {
        let at = at(self.process.pid);
        if let Some(group) = Pid::from_raw(self.process.pid) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        if matches!(wait_dead(self.process.pidfd.as_fd(), KILL_LIMIT), Ok(true)) {
            let _ = ended(&self.process, Reap::Yes);
        } else {
            log::warn!("process {} ({}) was killed and has not ended", self.process.pid, call.verb);
        }
        self.drain();
        let said = words::last_line(&self.kept[1]).map(|line| format!("; it said {line:?}"));
        Error::Late {
            binary: call.binary.to_owned(),
            verb: call.verb,
            limit: call.limit,
            at,
            said: said.unwrap_or_default(),
        }
    }
}

/// What a process is doing, for a message; told before its kill, so by a look that waits for nobody.
fn at(pid: i32) -> String {
    let look = || {
        let proc = proc::Procfs::host().ok()?;
        let start_time = proc.stat(pid).ok()?.start_time;
        crate::stuck::glance(&proc, pid, start_time)
    };
    look().map_or_else(|| "it had just ended".to_owned(), |stuck| stuck.to_string())
}

/// Appends, and forgets the beginning of what becomes too long.
fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let surplus = kept.len().saturating_sub(KEPT);
    kept.drain(..surplus);
}

fn in_words(how: Ended) -> String {
    match how {
        Ended::Exited(status) => format!("ended with status {status} and said nothing"),
        Ended::Signaled(signal) => format!("was ended by signal {signal}"),
    }
}

/// Puts a file for the runtime into the bundle.
pub(super) fn write(bundle: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    replace(bundle, name, bytes).map_err(|source| Error::File {
        step: "write",
        path: bundle.join(name),
        source,
    })
}

/// The number in a pid file.
pub(super) fn read_pid(path: &Path) -> Result<i32, Error> {
    let wrap = |source| Error::File { step: "read the pid file", path: path.to_owned(), source };
    let bytes = read(path).map_err(wrap)?;
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().ok().filter(|pid| *pid > 0).ok_or_else(|| wrap(Errno::INVAL))
}

fn read(path: &Path) -> Result<Vec<u8>, Errno> {
    use rustix::fs::{CWD, Mode, OFlags};
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).take(LARGEST).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls a script; `$LOG` in it is the log.
    fn run(script: &str, limit: Duration) -> Result<Vec<u8>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let call = Call { binary: Path::new("/bin/sh"), verb: "exec", log: Some(&log), limit };
        let script = format!("LOG={}\n{script}", log.display());
        let outcome = call.run(vec!["-c".into(), script.into()], Streams::Captured);
        assert!(!log.exists());
        outcome
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_answer_is_what_it_prints() {
        assert_eq!(run("echo '[1]'; echo noise >&2", LONG).unwrap(), b"[1]\n");
    }

    #[test]
    fn a_flood_on_standard_error_holds_nobody_up() {
        let script = "i=0; while [ $i -lt 300 ]; do printf '%01000d\\n' 7 >&2; i=$((i+1)); done; echo done";
        assert_eq!(run(script, LONG).unwrap(), b"done\n");
    }

    #[test]
    fn its_log_tells_why_it_failed_and_without_one_its_last_words_do() {
        let script = "echo '{\"level\":\"error\",\"msg\":\"the cause\"}' > $LOG; echo noise >&2; exit 1";
        assert_eq!(run(script, LONG).unwrap_err().to_string(), "the cause");
        assert_eq!(run("echo last words >&2; exit 1", LONG).unwrap_err().to_string(), "last words");
        let silent = run("kill -9 $$", LONG).unwrap_err().to_string();
        assert_eq!(silent, "/bin/sh exec was ended by signal 9");
    }

    #[test]
    fn who_does_not_come_back_is_killed_with_its_children_and_named() {
        let error = run("echo here >&2; sleep 1000 & wait", Duration::from_secs(3)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Late { .. }), "{text}");
        assert!(text.contains("was killed: process ") && text.contains("it said \"here\""), "{text}");
    }

    #[test]
    fn a_child_that_keeps_the_pipe_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(run("echo out; sleep 30 &", LONG).unwrap(), b"out\n");
        assert!(begun.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let call = Call { binary: Path::new("/no/such"), verb: "kill", log: None, limit: LONG };
        let error = call.run(Vec::new(), Streams::Captured).unwrap_err();
        assert_eq!(error.to_string(), "run /no/such kill");
    }

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        let mut kept = vec![b'a'; KEPT];
        keep(&mut kept, b"end");
        assert_eq!((kept.len(), &kept[KEPT - 3..]), (KEPT, &b"end"[..]));
    }
}
