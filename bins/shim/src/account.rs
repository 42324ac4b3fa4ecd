//! Counting, and the file that the counts go to: at most once a second, and only when something was counted.
//!
//! The same worker writes what the journal still waits for: that containerd has taken an exit can be a second late.

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
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(task) = task.upgrade() else { return };
            let subject = Arc::clone(&task);
            let work = workers::Task { name: format!("write the counters of {}", task.id), limit: LIMIT };
            let more = matches!(pod.workers.run(work, move || subject.write_down()).await, Ok(true));
            if !more || !task.count(|_| ()) {
                return;
            }
        }
    });
}
