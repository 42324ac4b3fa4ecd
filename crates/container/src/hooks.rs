//! Running of hooks: each in a process group of its own that the record names while it lives.
//!
//! ```text
//!     runtime                                  hook's process group
//!       | -- spawn, held on a pipe --------------> |
//!       |  record the group on disk                |
//!       | -- release (or die: end of file) ------> |  execve, or exit
//!       | -- state on stdin ---------------------> |
//!       | <---------------- stderr, exit status -- |
//! ```
//!
//! **Invariant:** a hook whose runtime was killed before the group was on disk never runs; one that runs can be found
//! and ended by `delete --force`.

use crate::config::Hook;
use crate::error::errno_text;
use crate::last_mile::entries;
use crate::program::c_string;
use crate::record::{Record, RunningHook};
use crate::store::Entry;
use crate::{Error, Status};
use child::program::{Finish, Program};
use launch::{Birth, Outcome, Process};
use proc::Procfs;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use serde_json::json;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::exec::Vector;

/// How much of a hook's stderr is kept for the error, from its end.
const TAIL: usize = 4096;

/// After this long without an end a waiting hook is named in the log, and again each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a running hook is noted while it runs.
pub trait Ledger {
    /// Notes that a hook's process group exists, or that none does.
    ///
    /// # Errors
    /// The write of the record.
    fn note(&mut self, hook: Option<RunningHook>) -> Result<(), Error>;
}

/// For hooks that run inside the container: its cgroup is their ledger.
#[derive(Debug)]
pub struct InContainer;

impl Ledger for InContainer {
    fn note(&mut self, _hook: Option<RunningHook>) -> Result<(), Error> {
        Ok(())
    }
}

/// For hooks of a container that other commands may change meanwhile.
#[derive(Debug)]
pub struct OnDisk<'a>(pub &'a Entry);

impl Ledger for OnDisk<'_> {
    fn note(&mut self, hook: Option<RunningHook>) -> Result<(), Error> {
        const BUSY: Duration = Duration::from_secs(10);
        let _lock = self.0.lock(BUSY)?;
        let mut record = self.0.read()?;
        record.hook = hook;
        record.generation += 1;
        self.0.write(&record)
    }
}

/// For hooks of a container that is being deleted: its record is out of sight and nobody else's.
#[derive(Debug)]
pub struct OutOfSight<'a> {
    /// Its directory.
    pub entry: &'a Entry,
    /// Its record.
    pub record: Record,
}

impl Ledger for OutOfSight<'_> {
    fn note(&mut self, hook: Option<RunningHook>) -> Result<(), Error> {
        self.record.hook = hook;
        if let Err(error) = self.entry.write(&self.record) {
            log::warn!("{}; should this command be killed, its hook will go on", crate::error::chain(&error));
        }
        Ok(())
    }
}

/// What all hooks of one list share.
#[derive(Debug)]
pub struct List<'a> {
    /// `createRuntime`.
    pub name: &'static str,
    /// The hooks in their order.
    pub hooks: &'a [Hook],
    /// The state, as JSON.
    pub state: &'a [u8],
    /// What they find without being told.
    pub heritage: Heritage<'a>,
}

/// Environment of a hook without `env`, and working directory.
///
/// Compat: runc and crun: a hook without `env` inherits, one with `"env": []` has nothing. Files in the `hooks.d` of
/// podman and cri-o often have none.
#[derive(Debug, Clone, Copy)]
pub enum Heritage<'a> {
    /// The runtime's environment, and this directory; `/` where it cannot be entered, as the bundle may be gone before
    /// the container is deleted.
    ///
    /// Compat: crun, and runc but for `createContainer`: to that hook, a program of the host, runc gives the variables
    /// of the container, and with them `LD_PRELOAD` of the image (CVE-2025-23266).
    Runtime(&'a Path),
    /// The environment of the container's process, in the directory where that one will run.
    ///
    /// Compat: runc and crun, `startContainer`; `HOME` is there also when `process.env` has none.
    Process(&'a [sys::exec::Entry<'a>]),
}

/// The state that a hook reads from its stdin.
///
/// Source: runtime-spec, runtime.md, State; the pid is the one on the host.
#[must_use]
pub fn state(record: &Record, status: Status, pid: i32) -> Vec<u8> {
    let mut state = json!({
        "ociVersion": record.oci_version,
        "id": record.id,
        "status": status.as_str(),
        "bundle": record.bundle,
    });
    if let Some(fields) = state.as_object_mut() {
        if pid > 0 {
            fields.insert("pid".into(), pid.into());
        }
        if !record.annotations.is_empty() {
            fields.insert("annotations".into(), json!(record.annotations));
        }
    }
    state.to_string().into_bytes()
}

/// Runs the hooks of a list one after the other; the first that fails ends it. `proc` is the caller's pid namespace as
/// `/proc` shows it, or `None` where no such view is at hand (inside a container).
///
/// # Errors
/// [`Error::Hook`], or what kept it from being run.
pub fn run(proc: Option<&Procfs>, list: &List<'_>, ledger: &mut dyn Ledger) -> Result<(), Error> {
    for (index, hook) in list.hooks.iter().enumerate() {
        let name = format!("{}/{index}", list.name);
        let ran = run_one(proc, list, hook, &name, ledger);
        ledger.note(None)?;
        ran?;
    }
    Ok(())
}

fn run_one(
    proc: Option<&Procfs>,
    list: &List<'_>,
    hook: &Hook,
    name: &str,
    ledger: &mut dyn Ledger,
) -> Result<(), Error> {
    let failed = |reason: String| Error::Hook { name: name.to_owned(), path: hook.path.clone(), reason };
    let (mut running, process) =
        spawn(proc, hook, list.heritage, name, ledger).map_err(|error| match error {
            Error::NotStarted(cause) => failed(cause.to_string()),
            error @ (Error::Launch(_) | Error::Step { .. }) => failed(crate::error::chain(&error)),
            other => other,
        })?;
    let outcome = running.attend(&process, list.state, hook, name);
    let ended = match outcome {
        Ok(ended) => ended,
        Err(reason) => {
            end_group(&process);
            return Err(failed(reason));
        }
    };
    match ended {
        launch::Ended::Exited(0) => Ok(()),
        launch::Ended::Exited(status) => Err(failed(running.with_tail(format!("exit status {status}")))),
        launch::Ended::Signaled(signal) => {
            Err(failed(running.with_tail(format!("ended by signal {signal}"))))
        }
    }
}

/// Kills a hook's whole process group.
fn end_group(process: &Process) {
    if let Some(group) = rustix::process::Pid::from_raw(process.pid) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = launch::process::wait_dead(process.pidfd.as_fd(), Duration::from_secs(2));
    let _ = launch::process::ended(process, launch::process::Reap::Yes);
}

/// What the child of a hook needs; raw parts only, see crate `child`.
struct HookPlan<'a> {
    input: OwnedFd,
    error: OwnedFd,
    gate: OwnedFd,
    /// None: where its parent is.
    directory: Option<&'a CStr>,
    program: Program<'a>,
}

/// The parent's ends of a running hook's streams.
struct Running {
    /// Our end and the hook's: while its end is held, a hook that does not read its state raises no SIGPIPE here.
    input: Option<(OwnedFd, OwnedFd)>,
    /// `None` after the hook closed its end.
    error: Option<OwnedFd>,
    tail: Vec<u8>,
}

fn spawn(
    proc: Option<&Procfs>,
    hook: &Hook,
    heritage: Heritage<'_>,
    name: &str,
    ledger: &mut dyn Ledger,
) -> Result<(Running, Process), Error> {
    let wrap = |source| Error::Step { step: "make the pipes of a hook", source };
    let (input, our_input) = pipe_with(PipeFlags::CLOEXEC).map_err(wrap)?;
    let (our_error, error) = pipe_with(PipeFlags::CLOEXEC).map_err(wrap)?;
    let (gate, our_gate) = pipe_with(PipeFlags::CLOEXEC).map_err(wrap)?;
    let path = c_string(&hook.path.to_string_lossy(), "hooks/path")?;
    let mut arguments = texts(&hook.args, "hooks/args")?;
    if arguments.is_empty() {
        arguments.push(path.clone());
    }
    let variables = variables(hook, heritage)?;
    let environment = match (&hook.env, heritage) {
        (None, Heritage::Process(inherited)) => inherited.to_vec(),
        _ => entries(&variables),
    };
    let arguments = entries(&arguments);
    let directory = directory(heritage)?;
    let invalid = || Error::Step { step: "build the argument vector", source: Errno::INVAL };
    let plan = HookPlan {
        input,
        error,
        gate,
        directory: directory.as_deref(),
        program: Program {
            paths: &[&path],
            arguments: Vector::new(&arguments).ok_or_else(invalid)?,
            environment: Vector::new(&environment).ok_or_else(invalid)?,
        },
    };
    let launched = launch::spawn(&Birth::default(), &plan, child_of_hook).map_err(Error::Launch)?;
    let HookPlan { input, .. } = plan;
    // Compat: a hook's group must exist before it is noted; the child makes it too, whoever comes first.
    if let Some(pid) = rustix::process::Pid::from_raw(launched.pid()) {
        let _ = rustix::process::setpgid(Some(pid), Some(pid));
    }
    if let Some(proc) = proc {
        let leader = crate::status::identity(proc, launched.pid())?;
        ledger.note(Some(RunningHook { leader, name: name.to_owned() }))?;
    }
    rustix::io::write(&our_gate, b"go").map_err(wrap)?;
    let process = executed(proc, launched, hook)?;
    let ours = Running { input: Some((our_input, input)), error: Some(our_error), tail: Vec::new() };
    Ok((ours, process))
}

fn texts(list: &[String], place: &str) -> Result<Vec<CString>, Error> {
    list.iter().map(|text| c_string(text, place)).collect()
}

/// The variables to hold while the hook starts: its own, or the runtime's.
fn variables(hook: &Hook, heritage: Heritage<'_>) -> Result<Vec<CString>, Error> {
    match (&hook.env, heritage) {
        (Some(own), _) => texts(own, "hooks/env"),
        (None, Heritage::Runtime(_)) => Ok(std::env::vars_os().filter_map(variable).collect()),
        (None, Heritage::Process(_)) => Ok(Vec::new()),
    }
}

/// The form of `environ(7)`; none is never the answer, as the kernel gave the texts with a NUL at their end.
fn variable((mut entry, value): (OsString, OsString)) -> Option<CString> {
    entry.push("=");
    entry.push(value);
    CString::new(entry.into_vec()).ok()
}

fn directory(heritage: Heritage<'_>) -> Result<Option<CString>, Error> {
    match heritage {
        Heritage::Runtime(path) => {
            c_string(&path.to_string_lossy(), "the working directory of hooks").map(Some)
        }
        Heritage::Process(_) => Ok(None),
    }
}

fn executed(proc: Option<&Procfs>, launched: launch::Launched, hook: &Hook) -> Result<Process, Error> {
    const LIMIT: Duration = Duration::from_secs(10);
    let path = hook.path.display().to_string();
    match launched.outcome(proc, LIMIT).map_err(Error::Launch)? {
        Outcome::Executed(process) => Ok(process),
        Outcome::Refused(failure) => Err(Error::NotStarted(crate::cause::Cause::Step {
            stage: failure.stage,
            operand: String::new(),
            errno: format!("{path}: {}", errno_text(failure.errno)),
        })),
        Outcome::Died { stage, ended } => {
            Err(Error::NotStarted(crate::cause::Cause::Died { stage, how: crate::evidence::how(ended) }))
        }
        Outcome::Stuck { stage, waited, launched } => {
            Err(Error::NotStarted(crate::evidence::stuck(proc, stage, waited, launched.pid())))
        }
    }
}

#[inline(never)]
fn child_of_hook(report: child::Report<'_>, plan: &HookPlan<'_>) -> ! {
    let Err(failure) = steps_of_hook(report, plan);
    report.end(failure)
}

fn steps_of_hook(report: child::Report<'_>, plan: &HookPlan<'_>) -> Result<Infallible, child::Failure> {
    let mut kept = [plan.input.as_fd(), plan.error.as_fd(), plan.gate.as_fd(), report.pipe]
        .map(|fd| fd.as_raw_fd().unsigned_abs());
    kept.sort_unstable();
    // Above all its copy of the runtime's end of the gate, else the runtime's death could not be noticed.
    child::session::close_others(report, 0, &kept)?;
    report.step(child::Stage::Session, || rustix::process::setpgid(None, None))?;
    let mut word = [0; 2];
    let released = report.step(child::Stage::Start, || rustix::io::read(&plan.gate, &mut word))?;
    if released == 0 {
        sys::clone::exit(255);
    }
    child::session::reset_signals(report)?;
    // What a hook prints must not become the answer of the runtime.
    let error = plan.error.as_fd();
    child::session::take_streams(report, Some([plan.input.as_fd(), error, error]))?;
    if let Some(directory) = plan.directory {
        let enter = || rustix::process::chdir(directory).or_else(|_| rustix::process::chdir(c"/"));
        report.step(child::Stage::WorkingDirectory, enter)?;
    }
    Err(child::program::run(report, &Finish::from(plan.program)))
}

impl Running {
    /// Feeds the state, drains stderr, waits for the end; the text of a failure otherwise.
    fn attend(
        &mut self,
        process: &Process,
        state: &[u8],
        hook: &Hook,
        name: &str,
    ) -> Result<launch::Ended, String> {
        let begun = Instant::now();
        let limit = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let mut left = state;
        let mut named = Instant::now();
        loop {
            let next = limit.map_or(PATIENCE, |limit| limit.saturating_sub(begun.elapsed()).min(PATIENCE));
            let ready = self.poll(process, next, left.is_empty()).map_err(errno_text)?;
            if ready.input && self.feed(&mut left).is_err() {
                left = &[];
            }
            if ready.error {
                self.drain();
            }
            if ready.ended {
                self.drain();
                let ended = launch::process::ended(process, launch::process::Reap::Yes);
                return ended
                    .map_err(|error| error.to_string())?
                    .ok_or_else(|| "its end was lost".to_owned());
            }
            if limit.is_some_and(|limit| begun.elapsed() >= limit) {
                let seconds = begun.elapsed().as_secs();
                return Err(self.with_tail(format!("timeout after {seconds} s; it was killed")));
            }
            if named.elapsed() >= PATIENCE {
                named = Instant::now();
                let (pid, seconds) = (process.pid, begun.elapsed().as_secs());
                log::warn!(
                    "still waiting for hook {name} ({}), process {pid}, {seconds} s",
                    hook.path.display()
                );
            }
        }
    }

    fn poll(&self, process: &Process, limit: Duration, fed: bool) -> Result<Ready, Errno> {
        let mut fds = vec![PollFd::new(&process.pidfd, PollFlags::IN)];
        let error = self.error.as_ref().map(|error| {
            fds.push(PollFd::new(error, PollFlags::IN));
            fds.len() - 1
        });
        let input = self.input.as_ref().filter(|_| !fed).map(|(input, _)| {
            fds.push(PollFd::new(input, PollFlags::OUT));
            fds.len() - 1
        });
        match poll(&mut fds, Some(&launch::process::timespec(limit))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let fired = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready { ended: fired(0), error: error.is_some_and(fired), input: input.is_some_and(fired) })
    }

    /// Writes what the pipe takes; closes it after the last byte.
    fn feed(&mut self, left: &mut &[u8]) -> Result<(), Errno> {
        let Some((input, _)) = &self.input else { return Ok(()) };
        let chunk = left.get(..left.len().min(4096)).unwrap_or(left);
        match rustix::io::write(input, chunk) {
            Ok(count) => *left = left.get(count..).unwrap_or(&[]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                self.input = None;
                return Err(errno);
            }
        }
        if left.is_empty() {
            self.input = None;
        }
        Ok(())
    }

    fn drain(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(error) = &self.error {
            let mut fds = [PollFd::new(error, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&launch::process::timespec(Duration::ZERO)));
            if !matches!(ready, Ok(1)) {
                return;
            }
            let Ok(count) = rustix::io::read(error, &mut chunk) else { return };
            if count == 0 {
                // Polled on, a closed pipe would be ready at once, for ever.
                self.error = None;
                return;
            }
            self.tail.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
            let excess = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..excess);
        }
    }

    fn with_tail(&self, text: String) -> String {
        let tail = String::from_utf8_lossy(&self.tail);
        let tail = tail.trim();
        if tail.is_empty() { text } else { format!("{text}, stderr: {tail}") }
    }
}

struct Ready {
    ended: bool,
    error: bool,
    input: bool,
}
