//! The subcommand `delete`: after a shim that is gone, ends what is left, unmounts, and tells what was true.
//!
//! containerd calls it when the connection to a shim has closed, gives it five seconds, and takes the answer as the end
//! of the container. For execs it tells nobody anything, so this does: every exec whose end containerd has not taken is
//! told of, with its own status when the journal has one, else with 137, and nobody waits for it for ever. What cannot be
//! told in time, because containerd is just starting, is left to a process of its own (`forward`).
//!
//! **Invariant:** the answer is there within four seconds, whatever hangs; nothing that can sleep in the kernel is done by
//! this process itself.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::events::task::TaskExit;
use containerd_shim_protos::topics::TASK_EXIT_EVENT_TOPIC;
use protobuf::{Message as _, MessageField};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::events::{self, Events};
use crate::failure::Failure;
use crate::journal::{self, Container, Exit, Ledger, Process};
use crate::operations::Operations;
use crate::options::{Options, Owned};
use crate::reap::Children;
use crate::verb::ask::Verbs;
use crate::verb::{Request as VerbRequest, Verb};
use crate::wire;
use crate::workers::{Task, Workers};

/// How long the container may take to be ended, removed and unmounted.
const END: Duration = Duration::from_millis(2500);

/// How long a look may take whether containerd is there.
const LOOK: Duration = Duration::from_millis(700);

/// After this the answer is on its way, whatever containerd has taken.
const ANSWER: Duration = Duration::from_millis(3700);

/// How long the journal may take to be read.
const READ: Duration = Duration::from_millis(400);

/// For how long exits that containerd did not take are offered to it.
const OFFER: Duration = Duration::from_mins(2);

/// When they are offered again: a client of containerd that lost it, too, hears only what comes after its own return.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// The status of a process that was killed, as a shell would show it.
const KILLED: u32 = 137;

/// What is to be cleaned up.
#[derive(Clone, Debug)]
pub struct Remains {
    /// containerd's namespace.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// Its bundle, absolute.
    pub bundle: PathBuf,
    /// containerd's socket for events; empty for none.
    pub events: String,
}

/// An end that somebody has to be told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// The exec; empty for the init.
    pub exec: String,
    /// Its pid on the host.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
}

/// What the process that forwards is given on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// containerd's namespace.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// containerd's socket for events.
    pub events: String,
    /// Whose ends.
    pub untold: Vec<Untold>,
    /// The bundle of what has ended.
    pub bundle: PathBuf,
    /// Its number in the file system; another one there is that of the next run.
    pub inode: u64,
}

/// Cleans up and gives the encoded answer. What goes wrong is written to the standard error, which containerd logs.
#[must_use]
pub fn clean_up(remains: &Remains) -> Vec<u8> {
    let exit = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(remains));
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            log::error!("make the event loop: {error}");
            Untold { exec: String::new(), pid: 0, exit: Exit::now(KILLED) }
        }
    };
    let answer = DeleteResponse {
        pid: wire::pid(exit.pid),
        exit_status: exit.exit.status,
        exited_at: MessageField::some(wire::timestamp(&exit.exit)),
        ..DeleteResponse::default()
    };
    answer.write_to_bytes().unwrap_or_default()
}

/// Gives the end of the init.
async fn run(remains: &Remains) -> Untold {
    let until = Instant::now() + ANSWER;
    let workers = Workers::default();
    let inode = inode(&remains.bundle);
    let bundle = remains.bundle.clone();
    let task = Task { name: "read the journal".to_owned(), container: remains.id.clone(), limit: READ };
    let ledger = match workers.run(task, move || journal::read(&bundle)).await {
        Ok(Ok(ledger)) => ledger,
        Ok(Err(error)) => {
            log::info!("{}: {}", remains.id, container::chain(&error));
            Ledger::default()
        }
        Err(failure) => {
            log::warn!("{}: {failure}", remains.id);
            Ledger::default()
        }
    };
    if tokio::time::timeout(END, end(remains, inode, &ledger, &workers)).await.is_err() {
        log::warn!("{}: not everything is removed after {} ms", remains.id, END.as_millis());
    }
    let (init, untold) = ends(&ledger, Exit::now(KILLED));
    for lost in ledger.processes.iter().filter(|(_, process)| process.exit.is_none()) {
        log::warn!("{}: shim lost: process {} (exec {:?}) counts as killed", remains.id, lost.1.pid, lost.0);
    }
    if !remains.events.is_empty() {
        let Remains { namespace, id, events, bundle } = remains.clone();
        let forward = Forward { namespace, id, events, untold, bundle, inode: inode.unwrap_or(0) };
        tell(forward, until).await;
    }
    init
}

/// The end of the init, and all ends that containerd has not taken. Whoever has none was killed now.
///
/// Compat: containerd tells of the init's end itself, but while it starts nobody hears it.
/// The init comes last: dockerd forgets the execs of a container that has ended, and never answers who waits for one.
fn ends(ledger: &Ledger, killed: Exit) -> (Untold, Vec<Untold>) {
    let end = |(exec, process): (&String, &Process)| Untold {
        exec: exec.clone(),
        pid: process.pid,
        exit: process.exit.unwrap_or(killed),
    };
    let init = ledger.processes.get_key_value("").map(end);
    let untold = || ledger.processes.iter().filter(|(_, process)| !process.told);
    let execs = untold().filter(|(exec, _)| !exec.is_empty());
    let untold = execs.chain(untold().filter(|(exec, _)| exec.is_empty()));
    let none = Untold { exec: String::new(), pid: 0, exit: killed };
    (init.unwrap_or(none), untold.map(end).collect())
}

/// Kills what is left, removes the container, unmounts its root.
async fn end(remains: &Remains, inode: Option<u64>, ledger: &Ledger, workers: &Workers) {
    let verb = inode.map_or(Verb::Delete, |inode| Verb::CleanUp { init: ledger.init(), inode });
    if let Err(failure) = remove(remains, ledger, verb, workers).await {
        log::info!("{}: {failure}", remains.id);
    }
    kill_the_rest(ledger.clone(), workers).await;
}

/// Without a journal: what the shim would have chosen without options.
fn unknown(remains: &Remains) -> Container {
    Container {
        id: remains.id.clone(),
        namespace: remains.namespace.clone(),
        root: Options::default().state_root(&remains.namespace, Owned::Here),
        binary: None,
        systemd_cgroup: false,
    }
}

/// By a process of its own, which may hang in the kernel without this one.
///
/// Compat: containerd may make the next container of that id before this is through.
async fn remove(remains: &Remains, ledger: &Ledger, verb: Verb, workers: &Workers) -> Result<(), Failure> {
    let container = ledger.container.clone().unwrap_or_else(|| unknown(remains));
    let verbs = Verbs { workers: workers.clone(), children: Children::default() };
    let operation = Operations::default().begin("Delete", &remains.id, "");
    let request = VerbRequest {
        root: container.root,
        id: remains.id.clone(),
        bundle: remains.bundle.clone(),
        binary: container.binary,
        systemd_cgroup: container.systemd_cgroup,
        verb,
    };
    verbs.ask(&operation, &request, None).await.map(drop)
}

/// What the runtime does not know any more, by its identity.
async fn kill_the_rest(ledger: Ledger, workers: &Workers) {
    let task = Task { name: "kill what is left".to_owned(), container: String::new(), limit: READ };
    let work = move || {
        let Ok(proc) = proc::Procfs::host() else { return };
        for (exec, process) in ledger.processes.iter().filter(|(_, process)| process.exit.is_none()) {
            let identity = container::record::ProcessId { pid: process.pid, start_time: process.start_time };
            let Ok(Some(found)) = container::status::find(&proc, identity) else { continue };
            log::warn!("process {} (exec {exec:?}) was left and is killed", process.pid);
            let _ = rustix::process::pidfd_send_signal(&found.pidfd, Signal::KILL);
        }
    };
    if let Err(failure) = workers.run(task, work).await {
        log::warn!("{failure}");
    }
}

/// Offers the exits to containerd, and leaves what it does not take to a process of its own.
///
/// A containerd that is there and slow gets all the time that is left: as soon as it has the answer it tells of init's end,
/// and whoever hears that first forgets the execs. One that is just coming back gets none: its clients come later, and only
/// that process tells them again.
///
/// Compat: one that is there tells of init's end itself. It calls `delete` after each shim, also after one whose container
/// was deleted as it should be, and then tells nobody. The same id may run again by that time, and dockerd since 23 takes
/// any exit of it for that of the new run, whose network it takes down (moby, daemon/monitor.go).
async fn tell(mut forward: Forward, until: Instant) {
    if forward.untold.is_empty() {
        return;
    }
    if events::is_there(&forward.events, LOOK).await {
        forward.untold = forward.execs();
        let time = until.saturating_duration_since(Instant::now());
        if offer(&forward, time).await == 0 {
            return;
        }
    }
    if let Err(error) = forward.leave() {
        log::error!("{}: leave {} exits to another process: {error}", forward.id, forward.untold.len());
    }
}

/// The number of a bundle in its file system: another one in its place is that of another container.
pub(crate) fn inode(bundle: &Path) -> Option<u64> {
    std::fs::symlink_metadata(bundle).ok().map(|bundle| bundle.ino())
}

/// Gives how many were not taken.
async fn offer(forward: &Forward, limit: Duration) -> usize {
    let events = Events::new(&forward.namespace);
    for untold in &forward.untold {
        events.push(TASK_EXIT_EVENT_TOPIC, &forward.event(untold));
    }
    let sender = tokio::spawn(events.clone().send(forward.events.clone()));
    events.flush(limit).await;
    sender.abort();
    events.figures().0
}

impl Forward {
    fn event(&self, untold: &Untold) -> TaskExit {
        TaskExit {
            container_id: self.id.clone(),
            id: if untold.exec.is_empty() { self.id.clone() } else { untold.exec.clone() },
            pid: wire::pid(untold.pid),
            exit_status: untold.exit.status,
            exited_at: MessageField::some(wire::timestamp(&untold.exit)),
            ..TaskExit::default()
        }
    }

    /// Starts the process that goes on offering; it reads its orders from a pipe and outlives this one.
    fn leave(&self) -> std::io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::process::CommandExt as _;
        let text = serde_json::to_vec(self)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("containerd-shim-sluice-v2").arg("forward").process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        child.stdin.take().map_or(Ok(()), |mut input| input.write_all(&text))
    }

    /// The process that goes on: offers until containerd takes, then again for those who came back later than it.
    ///
    /// Compat: dockerd comes back at any moment, also between two exits, and must not hear init's first: see [`ends`]. So as
    /// long as it may be on its way, those of the execs are told alone. And it takes the end of an init for that of the run
    /// that it knows now, so nothing is told of a container that was started again.
    ///
    /// # Errors
    /// When the event loop cannot be made.
    pub fn run(&self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let first = self.before_init();
            if offer(&first, OFFER).await > 0 {
                return;
            }
            for (pause, forward) in AGAIN.into_iter().zip([&first, self, self]) {
                tokio::time::sleep(pause).await;
                if self.runs_again() {
                    return;
                }
                offer(forward, OFFER).await;
            }
        });
        Ok(())
    }

    fn runs_again(&self) -> bool {
        inode(&self.bundle).is_some_and(|now| now != self.inode)
    }

    /// The ends of the execs.
    fn execs(&self) -> Vec<Untold> {
        self.untold.iter().filter(|untold| !untold.exec.is_empty()).cloned().collect()
    }

    /// The ends of the execs; where there are none, that of init is all there is.
    fn before_init(&self) -> Self {
        let execs = self.execs();
        let untold = if execs.is_empty() { self.untold.clone() } else { execs };
        Self { untold, ..self.clone() }
    }

    /// Reads the orders.
    ///
    /// # Errors
    /// For what is none.
    pub fn read(from: impl std::io::Read) -> Result<Self, serde_json::Error> {
        serde_json::from_reader(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Exit = Exit { status: 7, seconds: 1, nanoseconds: 2 };
    const LOST: Exit = Exit { status: KILLED, seconds: 3, nanoseconds: 4 };

    fn ledger(processes: &[(&str, Option<Exit>)]) -> Ledger {
        let process = |exit| Process { pid: 42, start_time: 1, exit, told: false };
        let processes = processes.iter().map(|(exec, exit)| ((*exec).to_owned(), process(*exit)));
        Ledger { processes: processes.collect(), ..Ledger::default() }
    }

    #[test]
    fn an_exit_in_the_journal_is_told_as_it_was_and_the_others_as_killed() {
        let (init, untold) = ends(&ledger(&[("", None), ("done", Some(EXIT)), ("open", None)]), LOST);
        assert_eq!((init.exec.as_str(), init.pid, init.exit), ("", 42, LOST));
        let told: Vec<_> = untold.iter().map(|untold| (untold.exec.as_str(), untold.exit)).collect();
        assert_eq!(told, [("done", EXIT), ("open", LOST), ("", LOST)]);
    }

    #[test]
    fn an_init_that_had_ended_keeps_its_status() {
        let (init, untold) = ends(&ledger(&[("", Some(EXIT))]), LOST);
        assert_eq!((init.exit, untold[0].exit, untold.len()), (EXIT, EXIT, 1));
    }

    #[test]
    fn without_a_journal_the_answer_is_that_of_a_killed_container() {
        let bundle = tempfile::tempdir().unwrap();
        let remains = Remains {
            namespace: "sluice-test".to_owned(),
            id: format!("sluice-test-{}", std::process::id()),
            bundle: bundle.path().to_owned(),
            events: String::new(),
        };
        let (init, _) = ends(&Ledger::default(), Exit::now(KILLED));
        assert_eq!((init.pid, init.exit.status), (0, KILLED));
        assert_eq!(unknown(&remains).root, PathBuf::from("/run/containerd/sluice/sluice-test"));
    }

    #[test]
    fn orders_are_read_back() {
        let forward = Forward {
            namespace: "moby".to_owned(),
            id: "c".to_owned(),
            events: "/s".to_owned(),
            untold: vec![Untold { exec: "e".to_owned(), pid: 3, exit: EXIT }],
            bundle: PathBuf::from("/b"),
            inode: 5,
        };
        let text = serde_json::to_vec(&forward).unwrap();
        assert_eq!(Forward::read(text.as_slice()).unwrap(), forward);
        assert_eq!(forward.event(&forward.untold[0]).exit_status, 7);
    }
}
