//! Whether a container stands still, asked of the kernel: after a verb that broke off in the middle nobody else knows.

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

/// Lets a container go on whose pause broke off, as any pause that fails does, and notes where it is then.
pub(crate) async fn undo_pause(pod: &Pod, task: &Arc<Task>) {
    look_after(pod, task, |cgroup| cgroup.thaw(THAW)).await;
}

/// Notes where a container is whose resume broke off.
pub(crate) async fn look(pod: &Pod, task: &Arc<Task>) {
    look_after(pod, task, |_| Ok(())).await;
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
