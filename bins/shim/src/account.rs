//! Counting, and the file that the counts go to: at most once a second, and only when something was counted.

use std::sync::Arc;
use std::time::Duration;

use crate::counters::Counters;
use crate::pod::Pod;
use crate::task::Task;
use crate::workers;

/// How old the file may be.
const EVERY: Duration = Duration::from_secs(1);

/// How long the disk may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Counts something about a container's execs.
pub fn count(pod: &Arc<Pod>, task: &Arc<Task>, count: impl FnOnce(&mut Counters)) {
    if !task.count(count) {
        return;
    }
    let (pod, task) = (Arc::clone(pod), Arc::downgrade(task));
    tokio::spawn(async move {
        tokio::time::sleep(EVERY).await;
        let Some(task) = task.upgrade() else { return };
        let (counters, bundle) = (task.counters(), task.bundle.clone());
        let work = workers::Task { name: "write the counters".to_owned(), limit: LIMIT };
        // A bundle that is gone takes no more counts.
        if let Ok(Err(errno)) = pod.workers.run(work, move || counters.write(&bundle)).await {
            log::debug!("{}: write the counters: {errno}", task.id);
        }
    });
}
