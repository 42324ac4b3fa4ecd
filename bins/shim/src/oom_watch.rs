//! Out-of-memory kills, told to containerd: when the kernel says so, and before the exit of whoever was killed.

use std::sync::Arc;
use std::time::Duration;

use cgroup::Cgroup;
use containerd_shim_protos::events::task::TaskOOM;
use containerd_shim_protos::topics::TASK_OOM_EVENT_TOPIC;

use crate::journal::Exit;
use crate::oom::{Found, Oom};
use crate::pod::Pod;
use crate::task::Task;
use crate::workers;

/// How long a look may take before an exit goes without it.
const LIMIT: Duration = Duration::from_secs(1);

/// The status of a process that SIGKILL ended.
const KILLED: u32 = 137;

/// Begins to watch a container, for as long as it is there.
pub fn begin(pod: &Arc<Pod>, task: &Arc<Task>) {
    let (pod, task) = (Arc::clone(pod), Arc::clone(task));
    tokio::spawn(async move {
        let groups = task.groups.clone();
        let work = workers::Task {
            name: format!("watch the memory of {}", task.id),
            container: task.id.clone(),
            limit: LIMIT,
        };
        match pod.workers.run(work, move || Oom::register(&Cgroup::new(groups))).await {
            Ok(Ok(oom)) => task.watch_oom(oom),
            Ok(Err(error)) => return log::debug!("{}: no word of OOM kills: {error}", task.id),
            Err(failure) => return log::warn!("{failure}"),
        }
        while let Some(oom) = task.oom() {
            // Kernel: on v2 nobody tells of the end of a group.
            let woken = tokio::select! {
                happened = oom.happened() => happened.is_ok(),
                _ = task.init.ended() => false,
            };
            if !woken || look(&pod, &task).await {
                return;
            }
        }
    });
}

/// Looks before an exit is told that may be that of a victim.
pub async fn look_before(pod: &Arc<Pod>, task: &Arc<Task>, exit: &Exit) {
    if exit.status == KILLED && task.oom().is_some() {
        look(pod, task).await;
    }
}

/// Whether nothing will follow.
async fn look(pod: &Arc<Pod>, task: &Arc<Task>) -> bool {
    let (events, subject) = (pod.events.clone(), Arc::clone(task));
    let work = workers::Task {
        name: format!("look at the OOM kills of {}", task.id),
        container: task.id.clone(),
        limit: LIMIT,
    };
    let looked = move || {
        let event = TaskOOM { container_id: subject.id.clone(), ..TaskOOM::default() };
        subject.oom().map(|oom| oom.look(|| events.push(TASK_OOM_EVENT_TOPIC, &event)))
    };
    matches!(pod.workers.run(work, looked).await, Ok(Some(Found::Gone) | None))
}
