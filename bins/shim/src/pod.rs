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
    /// None while a container is being created.
    known: BTreeMap<String, Option<Arc<Task>>>,
    closed: bool,
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
        let known = self.tasks().known.get(id).cloned().flatten();
        known.ok_or_else(|| Failure::NoContainer { id: id.to_owned() })
    }

    /// All containers that are there.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Task>> {
        self.tasks().known.values().flatten().cloned().collect()
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
        tasks.known.insert(id.to_owned(), None);
        Ok(Reserved { pod: Arc::clone(self), id: id.to_owned() })
    }

    /// Forgets a container.
    pub fn forget(&self, id: &str) {
        self.tasks().known.remove(id);
    }

    /// Takes no container any more; not while there is one.
    pub fn close(&self) -> bool {
        let mut tasks = self.tasks();
        tasks.closed |= tasks.known.is_empty();
        tasks.closed
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
    pub fn fill(self, task: Arc<Task>) {
        self.pod.tasks().known.insert(self.id.clone(), Some(task));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut tasks = self.pod.tasks();
        if let Some(None) = tasks.known.get(&self.id) {
            tasks.known.remove(&self.id);
        }
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
        assert!(!pod.close(), "a container is being created");
        drop(reserved);
        assert!(pod.close());
        assert!(matches!(pod.reserve("c"), Err(Failure::ShuttingDown)));
    }
}
