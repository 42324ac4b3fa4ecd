//! What the shim notices and tells besides its answers: out-of-memory kills, counters, dumps, processes that do not end.
//!
//! **Invariant:** nothing here holds an operation up, but for the look at the counter of out-of-memory kills before an
//! exit by SIGKILL is told, which has a bound.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use containerd_shim_protos::events::task::TaskOOM;
use containerd_shim_protos::topics::TASK_OOM_EVENT_TOPIC;

use crate::dump::{Dump, Waiting};
use crate::journal::Exit;
use crate::oom::{Found, Oom};
use crate::pod::Pod;
use crate::process::Process;
use crate::task::{OomWatch, Task};
use crate::workers::Task as Work;
use crate::{log as own_log, stuck};

/// How long a look at a few control files may take.
const LOOK: Duration = Duration::from_secs(1);

/// The status of a process that was killed, as a shell would show it.
const KILLED: u32 = 137;

/// How often counters are written at most.
const PAUSE: Duration = Duration::from_secs(1);

/// After how long a killed process that has not ended is named in the log, each counted from the one before.
const UNDEAD: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(8), Duration::from_secs(50)];

/// Watches a container for out-of-memory kills as long as it is known.
pub fn oom(pod: &Arc<Pod>, task: &Arc<Task>) {
    let (pod, cgroup) = (Arc::clone(pod), task.cgroup.clone());
    let task = Arc::downgrade(task);
    tokio::spawn(async move {
        let work = Work { name: "register for out-of-memory kills".to_owned(), limit: LOOK };
        let registered = pod.workers.run(work, move || Oom::register(&cgroup::Cgroup::new(cgroup))).await;
        let oom = match registered {
            Ok(Ok(oom)) => Arc::new(oom),
            Ok(Err(error)) => return log::info!("no out-of-memory events: {}", container::chain(&error)),
            Err(failure) => return log::warn!("no out-of-memory events: {failure}"),
        };
        let waiter = tokio::spawn(wait(Arc::clone(&pod), Weak::clone(&task), Arc::clone(&oom)));
        if let Some(task) = task.upgrade() {
            task.keep_oom(OomWatch { oom, waiter: waiter.abort_handle() });
        }
    });
}

async fn wait(pod: Arc<Pod>, task: Weak<Task>, oom: Arc<Oom>) {
    while oom.happened().await.is_ok() {
        let Some(task) = task.upgrade() else { return };
        if look(&pod, &task, Arc::clone(&oom)).await == Some(Found::Gone) {
            return;
        }
    }
}

/// Tells of an out-of-memory kill before the end of the killed.
pub async fn oom_before(pod: &Arc<Pod>, task: &Arc<Task>, exit: Exit) {
    if let Some(oom) = task.oom().filter(|_| exit.status == KILLED) {
        look(pod, task, oom).await;
    }
}

async fn look(pod: &Arc<Pod>, task: &Arc<Task>, oom: Arc<Oom>) -> Option<Found> {
    let work = Work { name: format!("look for out-of-memory kills in {}", task.id), limit: LOOK };
    let event = TaskOOM { container_id: task.id.clone(), ..TaskOOM::default() };
    let events = pod.events.clone();
    let found = pod.workers.run(work, move || oom.look(|| events.push(TASK_OOM_EVENT_TOPIC, &event))).await;
    found.inspect_err(|failure| log::warn!("{failure}")).ok()
}

/// Writes counters that have changed, for ever.
pub async fn counters(pod: Arc<Pod>) {
    loop {
        pod.counted.notified().await;
        for task in pod.all() {
            let Some(counters) = task.news() else { continue };
            let work = Work { name: format!("write the counters of {}", task.id), limit: LOOK };
            let written = pod.workers.run(work, move || counters.write(&task.bundle)).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(errno)) => log::debug!("write counters: {errno}"),
                Err(failure) => log::warn!("{failure}"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Writes into every bundle, or else into that of the shim, what each operation waits for.
///
/// On a thread of its own: it is asked for when workers are stuck.
pub fn dump(pod: &Arc<Pod>, bundle: &Path) {
    let tasks = pod.all();
    let mut bundles: Vec<PathBuf> = tasks.iter().map(|task| task.bundle.clone()).collect();
    if bundles.is_empty() {
        bundles.push(bundle.to_owned());
    }
    let operation = |running: crate::operations::Running| Waiting {
        name: running.name.to_owned(),
        id: running.id,
        exec_id: running.exec_id,
        stage: running.stage.into(),
        since: running.since,
        stage_since: running.stage_since,
    };
    let mut parts = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("workers", format!("{:?}", pod.workers)),
        ("events", format!("{:?}", pod.events)),
        ("log lines dropped", own_log::dropped().to_string()),
    ];
    parts.extend(tasks.iter().flat_map(|task| processes(task)));
    let dump = Dump { operations: pod.operations.list().into_iter().map(operation).collect(), parts };
    let write = move || {
        for bundle in bundles {
            if let Err(errno) = dump.write(&bundle, Instant::now()) {
                log::warn!("write a dump into {}: {errno}", bundle.display());
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().stack_size(128 << 10).spawn(write) {
        log::warn!("make a thread for a dump: {error}");
    }
}

fn processes(task: &Task) -> Vec<(&'static str, String)> {
    let line = |process: &Process| {
        let exec = &process.exec_id;
        format!("{:?} exec={exec:?} pid={} {:?} exit={:?}", task.id, process.pid(), process.phase(), process.exit())
    };
    let init = std::iter::once(Arc::clone(&task.init));
    init.chain(task.execs()).map(|process| ("process", line(&process))).collect()
}

/// Names in the log a process that was killed and has not ended, and what it sleeps in.
pub fn end(pod: &Arc<Pod>, process: &Arc<Process>) {
    let (pod, process) = (Arc::clone(pod), Arc::downgrade(process));
    tokio::spawn(async move {
        for pause in UNDEAD {
            tokio::time::sleep(pause).await;
            let Some(process) = process.upgrade().filter(|process| process.exit().is_none()) else { return };
            let pid = process.pid();
            let work = Work { name: format!("look at process {pid}"), limit: LOOK };
            let found = pod.workers.run(work, move || look_at(pid)).await;
            if let Ok(Some(found)) = found {
                log::warn!("killed and not ended: {found}");
            }
        }
    });
}

/// A child that nobody has taken away: its pid is nobody else's.
fn look_at(pid: i32) -> Option<stuck::Stuck> {
    let proc = proc::Procfs::host().ok()?;
    let start_time = proc.stat(pid).ok()?.start_time;
    stuck::look(&proc, pid, start_time)
}
