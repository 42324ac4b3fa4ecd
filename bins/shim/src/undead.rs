//! Processes that were killed and do not end.
//!
//! SIGKILL waits for an uninterruptible sleep to end. The kill was delivered and answered; `Wait` goes on, because the
//! process has not ended; what it sleeps in is told in the log, again and again at growing distances. On cgroup v1 it waits
//! for a frozen group to be thawed, too: for an init, with which the container was to end, that is done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::freezer;
use crate::pod::Pod;
use crate::process::Process;
use crate::stuck;
use crate::task::Task;
use crate::workers;

/// How long a process may take to end before it is one that does not.
const AT_ONCE: Duration = Duration::from_millis(200);

/// When to look for the first time, and at most how rarely.
const LOOKS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_mins(5));

/// How long a look may take: it reads files of a process that is in trouble.
const LIMIT: Duration = Duration::from_secs(5);

/// Tells of a process that was just killed until it has ended.
pub fn watch(pod: &Arc<Pod>, task: &Arc<Task>, process: &Arc<Process>) {
    let (pod, task, process) = (Arc::clone(pod), Arc::clone(task), Arc::clone(process));
    tokio::spawn(async move {
        let killed = Instant::now();
        let mut pause = LOOKS.0;
        if has_ended(&process, AT_ONCE).await {
            return;
        }
        loop {
            if process.exec_id.is_empty() {
                freezer::let_die(&pod, &task).await;
            }
            if has_ended(&process, pause).await {
                return;
            }
            tell(&pod, &task, &process, killed).await;
            pause = (pause * 2).min(LOOKS.1);
        }
    });
}

async fn has_ended(process: &Process, within: Duration) -> bool {
    tokio::time::timeout(within, process.ended()).await.is_ok()
}

async fn tell(pod: &Pod, task: &Task, process: &Process, killed: Instant) {
    let pid = process.pid();
    let name = format!("look at process {pid}, which was killed");
    let look = move || {
        let proc = proc::Procfs::host().ok()?;
        let start_time = proc.stat(pid).ok()?.start_time;
        stuck::look(&proc, pid, start_time)
    };
    let found = pod.workers.run(workers::Task { name, container: task.id.clone(), limit: LIMIT }, look).await;
    let age = killed.elapsed().as_secs();
    match found {
        Ok(Some(stuck)) => {
            log::warn!("{} {:?}: killed {age} s ago and not ended: {stuck}", task.id, process.exec_id);
        }
        Ok(None) => {}
        Err(failure) => log::warn!("{} {:?}: killed {age} s ago: {failure}", task.id, process.exec_id),
    }
}
