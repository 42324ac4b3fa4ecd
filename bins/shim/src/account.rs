//! Counting, and the file that the counts go to: at most once a second, and only when something was counted.
//!
//! The same worker writes what the journal still waits for: that containerd has taken an exit can be a second late.
//!
//! **Invariant:** whoever was to write and did not, nobody was told so for ever: the next count finds another.

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
            let duty = Duty(Arc::clone(&task));
            let work = workers::Task {
                name: format!("write the counters of {}", task.id),
                container: task.id.clone(),
                limit: LIMIT,
            };
            // A worker that still has the duty goes on by itself; one that never came leaves it.
            let more = pod.workers.run(work, move || duty.write_down()).await.unwrap_or(true);
            if !more || !task.count(|_| ()) {
                return;
            }
        }
    });
}

/// Having to write down what is counted. Whatever becomes of it, when it is dropped the next one can have it.
#[derive(Debug)]
struct Duty(Arc<Task>);

impl Duty {
    /// Tells whether something came meanwhile that nobody has written.
    fn write_down(self) -> bool {
        let task = Arc::clone(&self.0);
        task.write_down();
        // First this: who counts after the look has to find that nobody will write.
        drop(self);
        task.has_more()
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.not_due();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Record};
    use crate::options::Options;
    use crate::process::{Process, Streams};
    use crate::task::Place;

    fn task(bundle: &std::path::Path) -> Arc<Task> {
        let place = Place { id: "c".to_owned(), bundle: bundle.to_owned(), ..Place::default() };
        let init = Process::new("", Streams::default(), Vec::new());
        Arc::new(Task::new(place, Options::default(), Arc::new(init)))
    }

    fn told() -> Record {
        Record::Told { exec: String::new(), pid: 0 }
    }

    #[test]
    fn a_worker_that_never_came_leaves_the_duty_to_the_next() {
        let bundle = tempfile::tempdir().unwrap();
        let task = task(bundle.path());
        assert!(task.count(|_| ()), "nobody writes yet");
        assert!(!task.count(|_| ()), "somebody will");
        drop(Duty(Arc::clone(&task)));
        assert!(task.count(|_| ()), "nobody has");
    }

    #[test]
    fn a_record_that_comes_while_the_counts_are_written_is_not_forgotten() {
        let bundle = tempfile::tempdir().unwrap();
        let task = task(bundle.path());
        task.journal.keep(Journal::open(bundle.path()).unwrap());
        task.journal.note(told());
        assert!(task.has_more());
        assert!(!Duty(Arc::clone(&task)).write_down());
        task.journal.note(told());
        assert!(task.has_more());
    }

    #[test]
    fn without_a_count_there_is_no_file_of_counts() {
        let bundle = tempfile::tempdir().unwrap();
        let task = task(bundle.path());
        task.write_down();
        assert!(!bundle.path().join(crate::counters::NAME).exists());
        task.count(|counters| counters.started(EVERY));
        assert!(task.has_more());
        task.write_down();
        assert!(bundle.path().join(crate::counters::NAME).exists() && !task.has_more());
    }
}
