//! What one shim serves: the containers of a pod, or a single one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::events::Events;
use crate::failure::Failure;
use crate::operations::Operations;
use crate::reap::Children;
use crate::task::Task;
use crate::verb::ask::Verbs;
use crate::workers::Workers;
use tokio::sync::Notify;

/// The containers, and everything that operations on them share.
#[derive(Debug)]
pub struct Pod {
    /// containerd's namespace.
    pub namespace: String,
    /// The way to containerd.
    pub events: Events,
    /// Threads for what may sleep.
    pub workers: Workers,
    /// Processes for what may sleep and needs a process.
    pub verbs: Verbs,
    /// Child processes.
    pub children: Children,
    /// What is going on.
    pub operations: Operations,
    /// Told when the shim shall end.
    pub end: Notify,
    /// Files by which the shim is found; they go before it does.
    pub found_by: Vec<PathBuf>,
    /// `PATH`, for the runtimes that options name.
    pub search: Option<String>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    known: BTreeMap<String, Entry>,
    closed: bool,
    /// The shim ends when the last container that nobody wants is gone.
    leaving: bool,
}

/// What an id stands for.
#[derive(Debug)]
enum Entry {
    /// A container that is being created.
    Coming(Wanted),
    /// A container.
    There(Arc<Task>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// It was deleted before it was there.
    No,
}

/// An id that is being created; freed when nothing comes of it.
#[derive(Debug)]
pub struct Reserved {
    pod: Arc<Pod>,
    id: String,
}

impl Pod {
    /// Without containers.
    #[must_use]
    pub fn new(namespace: &str, search: Option<String>, found_by: Vec<PathBuf>) -> Self {
        let (workers, children) = (Workers::default(), Children::default());
        Self {
            namespace: namespace.to_owned(),
            events: Events::new(namespace),
            workers: workers.clone(),
            verbs: Verbs { workers, children: children.clone() },
            children,
            operations: Operations::default(),
            end: Notify::new(),
            found_by,
            search,
            tasks: Mutex::default(),
        }
    }

    /// A container that is there.
    ///
    /// # Errors
    /// [`Failure::NoContainer`].
    pub fn task(&self, id: &str) -> Result<Arc<Task>, Failure> {
        match self.tasks().known.get(id) {
            Some(Entry::There(task)) => Ok(Arc::clone(task)),
            Some(Entry::Coming(_)) | None => Err(Failure::NoContainer { id: id.to_owned() }),
        }
    }

    /// All containers that are there.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Task>> {
        let there = |entry: &Entry| match entry {
            Entry::There(task) => Some(Arc::clone(task)),
            Entry::Coming(_) => None,
        };
        self.tasks().known.values().filter_map(there).collect()
    }

    /// Takes an id for a new container.
    ///
    /// # Errors
    /// [`Failure::Exists`], [`Failure::ShuttingDown`].
    pub fn reserve(self: &Arc<Self>, id: &str) -> Result<Reserved, Failure> {
        let mut tasks = self.tasks();
        if tasks.closed {
            return Err(Failure::ShuttingDown);
        }
        if tasks.known.contains_key(id) {
            return Err(Failure::Exists { what: "container", id: id.to_owned() });
        }
        tasks.known.insert(id.to_owned(), Entry::Coming(Wanted::Yes));
        tasks.leaving = false;
        Ok(Reserved { pod: Arc::clone(self), id: id.to_owned() })
    }

    /// Nobody wants the container with this id if it is one that is being created: then it is not to stay.
    ///
    /// Compat: containerd deletes a container whose creation it gave up, takes `NotFound` for an answer, and never asks for
    /// it again.
    pub fn disown(&self, id: &str) {
        if let Some(Entry::Coming(wanted)) = self.tasks().known.get_mut(id) {
            *wanted = Wanted::No;
        }
    }

    /// Forgets a container.
    pub fn forget(&self, id: &str) {
        self.tasks().known.remove(id);
    }

    /// Takes no container any more and lets the shim end; not while there is a container. Those that are being created and
    /// that nobody wants are waited for: with the last one the shim ends, unless another container comes before.
    pub fn close(&self) {
        let mut tasks = self.tasks();
        let unwanted = |entry: &Entry| matches!(entry, Entry::Coming(Wanted::No));
        tasks.leaving |= tasks.known.values().all(unwanted);
        self.leave(tasks);
    }

    fn leave(&self, mut tasks: MutexGuard<'_, Tasks>) {
        // Once: what is found there later is another shim.
        if tasks.closed || !tasks.leaving || !tasks.known.is_empty() {
            return;
        }
        tasks.closed = true;
        drop(tasks);
        // Before the answer: whoever comes after it finds no socket, and starts a new shim.
        self.withdraw();
        self.end.notify_one();
    }

    /// Makes the shim one that nobody finds any more.
    pub fn withdraw(&self) {
        for path in &self.found_by {
            if let Err(errno) = rustix::fs::unlink(path)
                && errno != rustix::io::Errno::NOENT
            {
                log::warn!("remove {}: {errno}", path.display());
            }
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// The container is there.
    ///
    /// # Errors
    /// [`Failure::State`] when it was deleted meanwhile; the id stays taken until this is dropped.
    pub fn fill(&self, task: &Arc<Task>) -> Result<(), Failure> {
        match self.pod.tasks().known.get_mut(&self.id) {
            Some(entry @ Entry::Coming(Wanted::Yes)) => *entry = Entry::There(Arc::clone(task)),
            _ => {
                return Err(Failure::State {
                    verb: "create",
                    what: "a container that was deleted meanwhile",
                });
            }
        }
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut tasks = self.pod.tasks();
        if let Some(Entry::Coming(_)) = tasks.known.get(&self.id) {
            tasks.known.remove(&self.id);
        }
        self.pod.leave(tasks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_while_it_is_created_and_free_after_a_failure() {
        let pod = Arc::new(Pod::new("ns", None, Vec::new()));
        let reserved = pod.reserve("c").expect("free");
        assert!(matches!(pod.reserve("c"), Err(Failure::Exists { .. })));
        assert!(matches!(pod.task("c"), Err(Failure::NoContainer { .. })));
        pod.close();
        assert!(pod.reserve("d").is_ok(), "a container is being created");
        drop(reserved);
        pod.close();
        assert!(matches!(pod.reserve("c"), Err(Failure::ShuttingDown)));
    }

    fn task(id: &str) -> Arc<Task> {
        let place = crate::task::Place { id: id.to_owned(), ..crate::task::Place::default() };
        let init = crate::process::Process::new("", crate::process::Streams::default(), Vec::new());
        Arc::new(Task::new(place, crate::options::Options::default(), Arc::new(init)))
    }

    /// A pod that is to end when "c" is gone, which is being created and which nobody wants.
    fn pod_with_an_unwanted() -> (Arc<Pod>, Reserved) {
        let pod = Arc::new(Pod::new("ns", None, Vec::new()));
        let reserved = pod.reserve("c").expect("free");
        pod.disown("c");
        pod.close();
        (pod, reserved)
    }

    #[test]
    fn the_last_unwanted_container_takes_the_shim_with_it() {
        let (pod, reserved) = pod_with_an_unwanted();
        assert!(matches!(reserved.fill(&task("c")), Err(Failure::State { .. })));
        assert!(matches!(pod.reserve("c"), Err(Failure::Exists { .. })), "it is not removed yet");
        drop(reserved);
        assert!(matches!(pod.reserve("c"), Err(Failure::ShuttingDown)));
    }

    #[test]
    fn a_shim_stays_for_a_container_that_comes_after_an_unwanted_one() {
        let (pod, unwanted) = pod_with_an_unwanted();
        pod.reserve("d").expect("free").fill(&task("d")).expect("wanted");
        drop(unwanted);
        pod.forget("d");
        assert!(pod.reserve("e").is_ok());
    }
}
