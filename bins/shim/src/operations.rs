//! What the shim is doing right now: which operation, since when, and what it waits for.
//!
//! **Invariant:** reading this never waits for an operation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Operations under way.
#[derive(Clone, Debug, Default)]
pub struct Operations(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    running: BTreeMap<u64, Running>,
}

/// One operation as it is now.
#[derive(Clone, Debug)]
pub struct Running {
    /// The name of the RPC.
    pub name: &'static str,
    /// The container.
    pub id: String,
    /// The exec; empty for the container's init.
    pub exec_id: String,
    /// What it waits for.
    pub stage: Cow<'static, str>,
    /// Since when it runs.
    pub since: Instant,
    /// Since when it is in its stage.
    pub stage_since: Instant,
}

/// An operation's own entry; it goes with the operation.
#[derive(Debug)]
pub struct Operation {
    table: Operations,
    number: u64,
}

impl Operations {
    /// Notes a new operation.
    #[must_use]
    pub fn begin(&self, name: &'static str, id: &str, exec_id: &str) -> Operation {
        let now = Instant::now();
        let running = Running {
            name,
            id: id.to_owned(),
            exec_id: exec_id.to_owned(),
            stage: Cow::Borrowed("begin"),
            since: now,
            stage_since: now,
        };
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.running.insert(number, running);
        drop(table);
        Operation { table: self.clone(), number }
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Running> {
        self.table().running.values().cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operation {
    /// Says what the operation waits for from now on.
    pub fn stage(&self, stage: impl Into<Cow<'static, str>>) {
        if let Some(running) = self.table.table().running.get_mut(&self.number) {
            running.stage = stage.into();
            running.stage_since = Instant::now();
        }
    }

    /// What it waits for.
    #[must_use]
    pub fn current(&self) -> String {
        self.table
            .table()
            .running
            .get(&self.number)
            .map_or_else(String::new, |running| running.stage.to_string())
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.table.table().running.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_listed_with_its_stage_until_it_ends() {
        let operations = Operations::default();
        let first = operations.begin("Kill", "c", "");
        let second = operations.begin("Start", "c", "e");
        second.stage("clone3");
        let listed = operations.list();
        assert_eq!((listed[0].name, &*listed[1].stage, listed[1].exec_id.as_str()), ("Kill", "clone3", "e"));
        drop(first);
        assert_eq!(operations.list().len(), 1);
        drop(second);
        assert!(operations.list().is_empty());
    }
}
