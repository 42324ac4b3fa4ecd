//! Programs that read the output of a container (`binary://`).
//!
//! ```text
//!     shim                                   logger
//!       | -- start: 3 output, 4 errors, 5 ----> |
//!       | <--- closes 5, or writes a byte ------|   ready; at most ten seconds
//!       |    (the container starts and writes)  |
//!       | ---- end of file on 3 and 4 --------> |
//!       | <----------------------------- exits -|   bounded by Delete; then SIGTERM, SIGKILL
//! ```
//!
//! **Invariant:** a logger that has died is named in the log, and what it would have read is read into nothing.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use child::program::{self, Finish, Program};
use child::{Failure, Report as StageReport, Stage, session};
use launch::process::{Reap, ended};
use launch::{Birth, Outcome as Launch, Process};
use rustix::process::Signal;
use sys::exec::{Entry, Vector};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};

use super::Error;
use super::address::{Logger, Ready};
use super::bounds::Bounds;
use super::phase::Phase;
use super::pipe;
use super::progress::{Outcome, Report};
use crate::watched::watched;

/// Stack of the thread that starts a logger, in bytes.
const STACK: usize = 256 << 10;

/// How long a logger may take to reach its program.
const START: Duration = Duration::from_secs(5);

/// How long a logger has between SIGTERM and SIGKILL.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a logger is told about the container.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    /// The container, or the exec.
    pub(super) id: &'a str,
    /// containerd's namespace.
    pub(super) namespace: &'a str,
}

/// A logger that is ready: the pipes to write to.
#[derive(Debug)]
pub(super) struct Ears {
    /// Takes standard output.
    pub(super) output: OwnedFd,
    /// Takes standard error.
    pub(super) errors: OwnedFd,
}

/// Starts a logger and waits until it is ready.
///
/// # Errors
/// [`Error::Logger`], [`Error::LoggerNotReady`]; no process is left then.
pub(super) async fn start(
    logger: &Logger,
    about: About<'_>,
    bounds: Bounds,
    (phase, report): (watch::Receiver<Phase>, Report),
) -> Result<Ears, Error> {
    let (output, ours) = pipe::pair(pipe::Owner::default())?;
    let (errors, our_errors) = pipe::pair(pipe::Owner::default())?;
    let (our_ready, ready) = pipe::pair(pipe::Owner::default())?;
    for end in [&ours, &our_errors, &our_ready] {
        pipe::nonblocking(end)?;
    }
    let plan = Plan::new(logger, about, [output, errors, ready])?;
    let process = on_thread(plan, logger).await?;
    let pidfd = watched(process.pidfd, Interest::READABLE).map_err(Error::Watch)?;
    let process = Running { pid: process.pid, pidfd, name: logger.program.display().to_string() };
    let waited = tokio::time::timeout(bounds.ready, is_ready(our_ready, logger.ready)).await;
    match waited {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return Err(process.refuse(logger, reason).await),
        Err(_) => {
            process.end(Duration::ZERO).await;
            let seconds = bounds.ready.as_secs();
            return Err(Error::LoggerNotReady { program: logger.program.clone(), seconds });
        }
    }
    tokio::spawn(attend(process, phase, report));
    Ok(Ears { output: ours, errors: our_errors })
}

async fn is_ready(pipe: OwnedFd, how: Ready) -> Result<(), &'static str> {
    let pipe = watched(pipe, Interest::READABLE).map_err(|_| "its pipe cannot be watched")?;
    loop {
        let mut guard = pipe.readable().await.map_err(|_| "its pipe cannot be watched")?;
        match (rustix::io::read(pipe.get_ref(), &mut [0; 1]), how) {
            (Ok(0), Ready::Writes) => return Err("it closed descriptor 5 without a byte"),
            (Ok(_), _) => return Ok(()),
            (Err(_), _) => guard.clear_ready(),
        }
    }
}

/// Follows a logger to its end.
async fn attend(process: Running, mut phase: watch::Receiver<Phase>, report: Report) {
    let now = phase.clone();
    tokio::select! {
        how = process.ended() => {
            if *now.borrow() == Phase::Running {
                log::warn!("{}: the logger {} has {how}; output goes to nothing now", report.name(), process.name);
            }
        }
        _ = phase.wait_for(|phase| *phase == Phase::Closed) => {
            log::warn!("{}: the logger {} did not end in time", report.name(), process.name);
            tokio::spawn(async move { process.end(LAST_WORDS).await });
        }
    }
    report.ended(Outcome::default());
}

/// A logger's process.
#[derive(Debug)]
struct Running {
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
    name: String,
}

impl Running {
    /// Waits for its end and takes it out of the process table; says how it ended.
    async fn ended(&self) -> String {
        if let Err(error) = self.pidfd.readable().await {
            return format!("an unknown state: {error}");
        }
        let pidfd = match self.pidfd.get_ref().try_clone() {
            Ok(pidfd) => pidfd,
            Err(error) => return format!("ended: {error}"),
        };
        match ended(&Process { pid: self.pid, pidfd }, Reap::Yes) {
            Ok(Some(launch::Ended::Exited(status))) => format!("exited with status {status}"),
            Ok(Some(launch::Ended::Signaled(signal))) => format!("been killed by signal {signal}"),
            Ok(None) | Err(_) => "ended".to_owned(),
        }
    }

    /// SIGTERM, and after `grace` SIGKILL; comes back when it is gone, or when not even that ended it.
    async fn end(&self, grace: Duration) {
        for (signal, limit) in [(Signal::TERM, grace), (Signal::KILL, LAST_WORDS)] {
            let _ = rustix::process::pidfd_send_signal(self.pidfd.get_ref(), signal);
            if tokio::time::timeout(limit, self.ended()).await.is_ok() {
                return;
            }
        }
        log::warn!("the logger {} (process {}) was killed but has not ended", self.name, self.pid);
    }

    async fn refuse(&self, logger: &Logger, reason: &str) -> Error {
        self.end(Duration::ZERO).await;
        Error::Logger { program: logger.program.clone(), reason: reason.to_owned() }
    }
}

/// What the child needs.
struct Plan {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Output, errors, ready; none below 6.
    ends: [OwnedFd; 3],
}

impl Plan {
    fn new(logger: &Logger, about: About<'_>, ends: [OwnedFd; 3]) -> Result<Self, Error> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| refused(logger, "a text holds a NUL byte"));
        let program = text(logger.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in &logger.arguments {
            arguments.push(text(argument.as_bytes())?);
        }
        let environment = vec![
            text(format!("CONTAINER_ID={}", about.id).as_bytes())?,
            text(format!("CONTAINER_NAMESPACE={}", about.namespace).as_bytes())?,
        ];
        // Out of the way of the numbers they get in the child.
        let [output, errors, ready] = ends.map(|end| rustix::io::fcntl_dupfd_cloexec(end, 16));
        let moved = |end: Result<OwnedFd, rustix::io::Errno>| {
            end.map_err(|source| Error::Make { step: "move a descriptor for a logger", source })
        };
        Ok(Self { program, arguments, environment, ends: [moved(output)?, moved(errors)?, moved(ready)?] })
    }
}

fn refused(logger: &Logger, reason: &str) -> Error {
    Error::Logger { program: logger.program.clone(), reason: reason.to_owned() }
}

/// Finding a program may sleep in the kernel: a thread waits for it.
async fn on_thread(plan: Plan, logger: &Logger) -> Result<Process, Error> {
    let (tell, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("logger".to_owned()).stack_size(STACK);
    thread.spawn(move || drop(tell.send(launch(&plan)))).map_err(Error::Thread)?;
    let launched = answer.await.unwrap_or_else(|_| Err("its thread ended without an answer".to_owned()));
    launched.map_err(|reason| refused(logger, &reason))
}

fn entries(texts: &[CString]) -> Vec<Entry<'_>> {
    texts.iter().map(|text| Entry::new(text)).chain([Entry::END]).collect()
}

/// What the child is given: raw parts only.
struct Parts<'a> {
    ends: &'a [OwnedFd; 3],
    null: OwnedFd,
    program: Program<'a>,
}

fn launch(plan: &Plan) -> Result<Process, String> {
    // The lowest free numbers: what is made from here on does not get those that the child will fill.
    let reserved = (0..6).map(|_| pipe::null()).collect::<Result<Vec<_>, _>>();
    let mut reserved = reserved.map_err(|error| error.to_string())?;
    let null = reserved.pop().ok_or("no null device")?;
    let (arguments, environment) = (entries(&plan.arguments), entries(&plan.environment));
    let vector = "its arguments have no end";
    let parts = Parts {
        ends: &plan.ends,
        null,
        program: Program {
            paths: &[&plan.program],
            arguments: Vector::new(&arguments).ok_or(vector)?,
            environment: Vector::new(&environment).ok_or(vector)?,
        },
    };
    let launched = launch::spawn(&Birth::default(), &parts, child_of_logger);
    match launched.and_then(|launched| launched.outcome(None, START)) {
        Ok(Launch::Executed(process)) => Ok(process),
        Ok(Launch::Refused(failure)) => Err(format!("{}: {}", failure.stage.as_str(), failure.errno)),
        Ok(Launch::Died { stage, .. }) => Err(format!("it died in the step to {}", stage.as_str())),
        Ok(Launch::Stuck { stage, .. }) => Err(format!("it is stuck in the step to {}", stage.as_str())),
        Err(error) => Err(error.to_string()),
    }
}

#[inline(never)]
fn child_of_logger(report: StageReport<'_>, parts: &Parts<'_>) -> ! {
    let Err(failure) = steps_of_logger(report, parts);
    report.end(failure)
}

fn steps_of_logger(report: StageReport<'_>, parts: &Parts<'_>) -> Result<Infallible, Failure> {
    session::reset_signals(report)?;
    session::take_streams(report, Some([parts.null.as_fd(); 3]))?;
    let [output, errors, ready] = parts.ends;
    report.step(Stage::Streams, || {
        sys::stdio::duplicate_to(output.as_fd(), 3)?;
        sys::stdio::duplicate_to(errors.as_fd(), 4)?;
        sys::stdio::duplicate_to(ready.as_fd(), 5)
    })?;
    session::close_others(report, 3, &[report.pipe.as_raw_fd().unsigned_abs()])?;
    Err(program::run(report, &Finish::from(parts.program)))
}
