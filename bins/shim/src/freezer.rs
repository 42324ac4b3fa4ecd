//! Whether a container stands still, asked of the kernel: after a verb that failed nobody else knows.
//!
//! **Invariant:** who asks has the claim of the freezer, so nobody freezes or thaws between the look and its note. As long
//! as it is not known whether a container runs, it is noted to be on its way.

use std::sync::Arc;
use std::time::Duration;

use cgroup::Cgroup;

use crate::pod::Pod;
use crate::task::{Freezer, Task};
use crate::workers;

/// How long the kernel may take to let all processes go on.
const THAW: Duration = Duration::from_secs(10);

/// How long the look may take, the thawing included.
const LIMIT: Duration = Duration::from_secs(15);

/// Lets a container go on whose pause broke off, as any pause that fails does, and notes where it is then. What it had
/// called is dead by now, and freezes nothing any more.
pub(crate) async fn undo_pause(pod: &Pod, task: &Arc<Task>) {
    look_after(pod, task, |cgroup| cgroup.thaw(THAW)).await;
}

/// Notes where a container is whose pause or resume failed: a refusal, too, tells that what was noted is wrong.
pub(crate) async fn look(pod: &Pod, task: &Arc<Task>) {
    look_after(pod, task, |_| Ok(())).await;
}

/// Looks at a container that is noted to be on its way though nobody freezes or thaws it.
pub(crate) async fn settle(pod: &Pod, task: &Arc<Task>) {
    if task.freezer() != Freezer::Freezing {
        return;
    }
    let Ok(_claim) = task.claim_freezer("look at") else { return };
    look(pod, task).await;
}

/// Lets a container go on whose init was killed and has not ended, whoever has frozen it.
///
/// Kernel: on cgroup v1 a process of a frozen group does not die of SIGKILL. Compat: runc thaws with that signal since 1.1.
pub(crate) async fn let_die(pod: &Pod, task: &Arc<Task>) {
    // Else it is being frozen or thawed at this moment; the next look comes.
    let Ok(_claim) = task.claim_freezer("kill") else { return };
    let id = task.id.clone();
    let step = move |cgroup: &Cgroup| {
        if cgroup.freezer()? == cgroup::Freezer::Thawed {
            return Ok(());
        }
        log::warn!("{id}: its init was killed and stands still, frozen by somebody else: it is thawed");
        cgroup.thaw(THAW)
    };
    look_after(pod, task, step).await;
}

/// Where nobody can tell, what was noted stays.
async fn look_after(
    pod: &Pod,
    task: &Arc<Task>,
    step: impl FnOnce(&Cgroup) -> cgroup::Result<()> + Send + 'static,
) {
    let cgroup = Cgroup::new(task.groups.clone());
    let work = workers::Task {
        name: format!("look whether {} stands still", task.id),
        container: task.id.clone(),
        limit: LIMIT,
    };
    let looked = pod.workers.run(work, move || (step(&cgroup), cgroup.freezer())).await;
    match looked {
        Ok((done, state)) => {
            if let Err(error) = done {
                log::warn!("{}: {}", task.id, container::chain(&error));
            }
            match state {
                Ok(state) => task.set_freezer(noted(state)),
                Err(error) => log::warn!("{}: {}", task.id, container::chain(&error)),
            }
        }
        Err(failure) => log::warn!("{}: {failure}", task.id),
    }
}

fn noted(state: cgroup::Freezer) -> Freezer {
    match state {
        cgroup::Freezer::Thawed => Freezer::Thawed,
        cgroup::Freezer::Freezing => Freezer::Freezing,
        cgroup::Freezer::Frozen => Freezer::Frozen,
    }
}
