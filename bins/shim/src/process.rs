//! One process that containerd knows: a container's init, or an exec.
//!
//! ```text
//!     Added --start--> Starting --> Running --> Stopped
//!                         |                       ^
//!                         `---- refused ----------'
//! ```
//!
//! **Invariant:** everything that a question asks for is in memory, behind a lock that is never held across a wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use launch::Process as Known;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::io::Stdio;
use crate::journal::Exit;
use crate::tree::Group;

/// The status of a process that never came to run.
pub(crate) const NEVER_RAN: u32 = 255;

/// Where a process's streams go to, as containerd wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub stdin: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Whether all three are a terminal.
    pub terminal: bool,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Known, not started; an init is parked before its program.
    Added,
    /// Being started.
    Starting,
    /// Started; it may have ended since.
    Running,
    /// Ended, and its exit is known; or it never came to run.
    Stopped,
}

/// One process.
#[derive(Debug)]
pub struct Process {
    /// The exec id; empty for an init.
    pub exec_id: String,
    /// Its streams as they were named.
    pub streams: Streams,
    /// What is to be executed, as JSON; empty for an init.
    pub spec: Vec<u8>,
    now: Mutex<Now>,
    starting: watch::Sender<bool>,
    exit: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    pid: i32,
    known: Option<Arc<Known>>,
    stdio: Option<Arc<Stdio>>,
    /// The nested group that an exec was born in.
    group: Option<Group>,
    begun: Option<Instant>,
}

impl Process {
    /// A process that is known and not started.
    #[must_use]
    pub fn new(exec_id: &str, streams: Streams, spec: Vec<u8>) -> Self {
        let now = Now { phase: Phase::Added, pid: 0, known: None, stdio: None, group: None, begun: None };
        Self {
            exec_id: exec_id.to_owned(),
            streams,
            spec,
            now: Mutex::new(now),
            starting: watch::Sender::new(false),
            exit: watch::Sender::new(None),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.now().phase
    }

    /// Its pid on the host; 0 before there is one.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.now().pid
    }

    /// Its identity; none before it is there and after it was reaped.
    #[must_use]
    pub fn known(&self) -> Option<Arc<Known>> {
        self.now().known.clone()
    }

    /// Its streams, as long as they are open.
    #[must_use]
    pub fn stdio(&self) -> Option<Arc<Stdio>> {
        self.now().stdio.clone()
    }

    /// Its end, if it has come.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Since when it is being started, or runs.
    #[must_use]
    pub fn begun(&self) -> Option<Instant> {
        self.now().begun
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        let known = exit.wait_for(Option::is_some).await;
        known.ok().and_then(|exit| *exit).unwrap_or_else(|| Exit::now(255))
    }

    /// Takes the right to start it.
    ///
    /// # Errors
    /// [`Failure::State`] unless it is there and not started.
    pub fn claim_start(&self) -> Result<(), Failure> {
        let mut now = self.now();
        let what = match now.phase {
            Phase::Added => {
                now.phase = Phase::Starting;
                now.begun = Some(Instant::now());
                self.starting.send_replace(true);
                return Ok(());
            }
            Phase::Starting => "a process that is being started",
            Phase::Running => "a process that runs already",
            Phase::Stopped => "a process that has ended",
        };
        Err(Failure::State { verb: "start", what })
    }

    /// Gives the right back: a parked init may be started again.
    pub fn not_started(&self) {
        self.now().phase = Phase::Added;
        self.starting.send_replace(false);
    }

    /// Waits until nobody is starting it: before that, nobody may take it away or tell of its end.
    pub async fn settled(&self) {
        let _ = self.starting.subscribe().wait_for(|starting| !*starting).await;
    }

    /// It is there.
    pub fn born(&self, known: Arc<Known>) {
        let mut now = self.now();
        now.pid = known.pid;
        now.known = Some(known);
    }

    /// It runs its program.
    pub fn runs(&self) {
        let mut now = self.now();
        if now.phase == Phase::Starting {
            now.phase = Phase::Running;
        }
        self.starting.send_replace(false);
    }

    /// Keeps its streams.
    pub fn keep_streams(&self, stdio: Arc<Stdio>) {
        self.now().stdio = Some(stdio);
    }

    /// Keeps the group that it is born in.
    pub fn keep_group(&self, group: Group) {
        self.now().group = Some(group);
    }

    /// Whether it was born in a group of its own.
    #[must_use]
    pub fn has_group(&self) -> bool {
        self.now().group.is_some()
    }

    /// Gives the group up.
    #[must_use]
    pub fn take_group(&self) -> Option<Group> {
        self.now().group.take()
    }

    /// It has ended, or will never run. The first word counts.
    pub fn stop(&self, exit: Exit) {
        let mut now = self.now();
        now.phase = Phase::Stopped;
        now.known = None;
        drop(now);
        self.starting.send_replace(false);
        self.exit.send_if_modified(|known| {
            let news = known.is_none();
            if news {
                *known = Some(exit);
            }
            news
        });
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_started_once_and_ends_once() {
        let process = Process::new("e", Streams::default(), Vec::new());
        assert!(process.claim_start().is_ok());
        assert!(matches!(process.claim_start(), Err(Failure::State { .. })));
        process.runs();
        process.stop(Exit::now(3));
        process.stop(Exit::now(4));
        assert_eq!(process.exit().map(|exit| exit.status), Some(3));
        assert!(matches!(process.claim_start(), Err(Failure::State { .. })));
    }

    #[test]
    fn a_refused_start_can_be_tried_again() {
        let process = Process::new("", Streams::default(), Vec::new());
        assert!(process.claim_start().is_ok());
        process.not_started();
        assert!(process.claim_start().is_ok());
    }
}
