//! Queues behind locks, and who holds the lock.
//!
//! A stack does not say which locks it holds. It holds one for sure when the function that others wait in to get the
//! lock is also in it, and has gone on from there; for locks that are taken in one function and kept in another the
//! table below knows the second.

use std::collections::BTreeMap;

use super::parse::Dump;
use super::stack::Group;
use super::wait::{Wait, operation};

/// A lock that is taken at several places.
struct Lock {
    name: &'static str,
    /// Functions in which goroutines wait for it.
    takers: &'static [&'static str],
    /// Functions that keep it while they wait for something else.
    keepers: &'static [&'static str],
}

/// Compat: dockerd (daemon/exec.go, container/state.go) and containerd's shims (process/exec.go, task/service.go).
const LOCKS: &[Lock] = &[
    Lock {
        name: "the container's lock",
        takers: &[
            "daemon.(*Daemon).ContainerInspectCurrent",
            "container.(*State).",
            "daemon.(*Daemon).containerStart",
            "daemon.(*Daemon).containerStop",
            "daemon.(*Daemon).handleContainerExit",
            "daemon.(*Daemon).ContainerInspect",
            "daemon.(*Daemon).containerPause",
            "daemon.(*Daemon).ContainerExecCreate",
            "daemon.(*Daemon).cleanupContainer",
            "daemon.(*Daemon).killPossiblyDeadProcess",
            "daemon.(*Daemon).killWithSignal",
            "container.(*Container).",
        ],
        keepers: &[
            "daemon.(*Daemon).ContainerInspectCurrent",
            "daemon.(*Daemon).containerStart",
            "daemon.(*Daemon).handleContainerExit",
            "daemon.(*Daemon).containerPause",
            "daemon.(*Daemon).killWithSignal",
        ],
    },
    Lock {
        name: "the lock of the container's execs",
        takers: &["exec.(*Store).", "container.(*ExecStore)."],
        keepers: &["daemon.(*Daemon).ContainerExecStart"],
    },
    Lock {
        name: "the exec's lock",
        takers: &["process.(*execProcess).", "process.(*safePid).get", "proc.(*execProcess)."],
        keepers: &[
            "process.(*execProcess).start",
            "process.(*execProcess).Start",
            "proc.(*execProcess).start",
        ],
    },
    Lock {
        name: "the shim's lock",
        takers: &["task.(*service).getContainer", "runc.(*Container).", "shim.(*Service)."],
        keepers: &[
            "task.(*service).checkProcesses",
            "task.(*service).processExits",
            "shim.(*Service).checkProcesses",
        ],
    },
];

/// Goroutines that wait for the same lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Which lock, in words; the function that takes it when it has no name.
    pub lock: String,
    /// The address of the mutex, if the dump tells.
    pub mutex: Option<String>,
    /// How many wait.
    pub waiting: u64,
    /// The longest wait, in minutes.
    pub longest_minutes: u64,
    /// On whose behalf they wait, the most frequent first.
    pub operations: Vec<(String, u64)>,
    /// Who holds it, if a goroutine of the dump does.
    pub holder: Option<Holder>,
}

/// The goroutine that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number, if the dump numbers them.
    pub goroutine: Option<u64>,
    /// Which group of the dump it is.
    pub group: usize,
    /// What it does.
    pub operation: String,
    /// What it waits for itself.
    pub wait: Wait,
}

/// Every queue of a dump, the longest first.
#[must_use]
pub fn queues(dump: &Dump) -> Vec<Queue> {
    let mut found: BTreeMap<(String, Option<String>), Vec<usize>> = BTreeMap::new();
    for (at, group) in dump.groups.iter().enumerate() {
        if let Wait::Lock { caller, mutex } = Wait::of(group) {
            found.entry((lock_name(&caller), mutex)).or_default().push(at);
        }
    }
    let mut queues: Vec<Queue> =
        found.into_iter().map(|((name, mutex), groups)| queue(dump, (name, mutex), &groups)).collect();
    queues.sort_by_key(|queue| std::cmp::Reverse(queue.waiting));
    queues
}

fn queue(dump: &Dump, (lock, mutex): (String, Option<String>), waiting: &[usize]) -> Queue {
    let groups: Vec<&Group> = waiting.iter().filter_map(|at| dump.groups.get(*at)).collect();
    let mut operations: BTreeMap<String, u64> = BTreeMap::new();
    for group in &groups {
        let count = operations.entry(operation(group)).or_default();
        *count = count.saturating_add(group.count);
    }
    let mut operations: Vec<(String, u64)> = operations.into_iter().collect();
    operations.sort_by_key(|row| std::cmp::Reverse(row.1));
    Queue {
        holder: holder(dump, &groups),
        lock,
        mutex,
        waiting: groups.iter().fold(0, |sum: u64, group| sum.saturating_add(group.count)),
        longest_minutes: groups.iter().map(|group| group.longest_minutes).max().unwrap_or(0),
        operations,
    }
}

/// The goroutine that got past where the others wait; else one that is known to keep this lock.
fn holder(dump: &Dump, waiting: &[&Group]) -> Option<Holder> {
    let callers: Vec<String> = waiting
        .iter()
        .filter_map(|group| match Wait::of(group) {
            Wait::Lock { caller, .. } => Some(caller),
            _ => None,
        })
        .collect();
    let keepers: Vec<&str> =
        callers.iter().filter_map(|caller| lock_of(caller)).flat_map(|lock| lock.keepers).copied().collect();
    let candidates = |names: &[&str]| best(dump, names);
    let own: Vec<&str> = callers.iter().map(String::as_str).collect();
    candidates(&own).or_else(|| candidates(&keepers))
}

/// Among goroutines that have gone on from one of these functions, the one that waits for another process, if any.
fn best(dump: &Dump, functions: &[&str]) -> Option<Holder> {
    let past = |group: &Group| {
        let asks = match Wait::of(group) {
            Wait::Lock { caller, .. } => Some(caller),
            _ => None,
        };
        functions
            .iter()
            .any(|name| group.depth_of(name).is_some_and(|depth| depth > 0 && asks.as_deref() != Some(*name)))
    };
    let mut candidates: Vec<(u8, Holder)> = Vec::new();
    for (at, group) in dump.groups.iter().enumerate().filter(|row| past(row.1)) {
        let wait = Wait::of(group);
        let rank = match wait {
            Wait::Answer { .. } | Wait::Child { .. } => 0,
            Wait::Lock { .. } => 1,
            Wait::Read | Wait::Write => 2,
            Wait::State(_) => 3,
        };
        let holder = Holder { goroutine: group.first, group: at, operation: operation(group), wait };
        candidates.push((rank, holder));
    }
    candidates.sort_by_key(|row| (row.0, row.1.group));
    candidates.into_iter().next().map(|row| row.1)
}

/// What the lock is called that this function takes: its own name when the table does not know it.
pub(super) fn lock_name(caller: &str) -> String {
    lock_of(caller).map_or(caller, |lock| lock.name).to_owned()
}

fn lock_of(caller: &str) -> Option<&'static Lock> {
    LOCKS.iter().find(|lock| lock.takers.iter().any(|taker| caller.starts_with(taker)))
}
