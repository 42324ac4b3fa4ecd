//! The end of a process: who learns of it, and in which order.
//!
//! | before the exit of | comes |
//! |---|---|
//! | an exec | its exec-started: nobody attends to it before that is queued |
//! | an init | its start, and the exits of all its running execs |
//!
//! **Invariant:** one exit per process that was started, reported at once and written down before it is reported; only
//! a disk that stalls is waited for no longer than [`DISK`] and a second, and one that refuses not at all. The log says so.

use std::sync::Arc;
use std::time::Duration;

use container::record::ProcessId;
use containerd_shim_protos::events::task::TaskExit;
use containerd_shim_protos::topics::TASK_EXIT_EVENT_TOPIC;
use launch::Ended;
use protobuf::MessageField;

use crate::account;
use crate::journal::{Exit, Record};
use crate::oom_watch as oom;
use crate::pod::Pod;
use crate::process::Process;
use crate::reap::Child;
use crate::task::{Freezer, Task};
use crate::tree::Group;
use crate::verb::Verb;
use crate::wire;
use crate::workers;

/// How long an init's exit waits for those of its execs. The kernel kills them with the init of a pid namespace; the
/// others are killed.
const EXECS: Duration = Duration::from_secs(10);

/// How long the disk may take to note a start or an exit before it is told without; a busy machine gets that far, too.
const DISK: Duration = Duration::from_secs(3);

/// How long the removal of a group may take.
const REMOVAL: Duration = Duration::from_secs(5);

/// Reports the end of an exec when it comes.
pub fn exec(pod: &Arc<Pod>, task: &Arc<Task>, process: &Arc<Process>, child: Child) {
    let (pod, task, process) = (Arc::clone(pod), Arc::clone(task), Arc::clone(process));
    task.exec_began();
    tokio::spawn(async move {
        let exit = end_of(child).await;
        oom::look_before(&pod, &task, &exit).await;
        tell(&pod, &task, &process, exit).await;
        count(&pod, &task, &process, &exit);
        task.exec_ended();
        if let Some(stdio) = process.stdio() {
            stdio.leader_exited();
        }
        if let Some(group) = process.take_group() {
            put_back(&pod, &task, group);
        }
    });
}

/// Keeps the group of an exec for a later one, or has it removed by a worker.
pub fn put_back(pod: &Pod, task: &Task, group: Group) {
    let Some(spent) = task.exec_groups.put_back(group) else { return };
    let (workers, name) = (pod.workers.clone(), format!("remove the group of a killed exec of {}", task.id));
    let container = task.id.clone();
    tokio::spawn(async move {
        let work = workers::Task { name, container, limit: REMOVAL };
        if let Err(failure) = workers.run(work, move || spent.remove()).await {
            log::debug!("{failure}");
        }
    });
}

/// Reports the end of an init when it comes.
pub fn init(pod: &Arc<Pod>, task: &Arc<Task>, child: Child) {
    let (pod, task) = (Arc::clone(pod), Arc::clone(task));
    tokio::spawn(async move {
        if let Err(error) = child.dead().await {
            log::error!("{}: wait for init: {error}", task.id);
        }
        // Whoever starts it looks at it, so it has to stay that long; and its start comes before its exit.
        task.init.settled().await;
        // As long as it is not taken away: after that its pid may be another's.
        let known = task.identity(child.pid());
        let exit = end_of(child).await;
        task.set_freezer(Freezer::Thawed);
        task.let_go();
        end_the_others(&pod, &task, known).await;
        oom::look_before(&pod, &task, &exit).await;
        tell(&pod, &task, &task.init, exit).await;
        if let Some(stdio) = task.init.stdio() {
            stdio.leader_exited();
        }
    });
}

/// Ends what outlives an init: a container that shares the pids of another has no kernel to do that. The exits are waited
/// for and not the kill, which may get stuck on the way to processes that have ended meanwhile. It names `init`, so one
/// that comes late does nothing to the next container of that id.
async fn end_the_others(pod: &Arc<Pod>, task: &Arc<Task>, init: Option<ProcessId>) {
    if !task.execs().iter().all(|exec| exec.exit().is_some() || exec.known().is_none()) {
        match init {
            Some(init) => {
                task.ends_others(tokio::spawn(kill_the_others(Arc::clone(pod), Arc::clone(task), init)));
            }
            None => log::warn!("{}: init cannot be told from others; its execs are not killed", task.id),
        }
    }
    let operation = pod.operations.begin("end", &task.id, "");
    operation.stage("the exits of its execs");
    if tokio::time::timeout(EXECS, task.without_execs()).await.is_err() {
        log::warn!("{}: init has ended, and some execs have not after {} s", task.id, EXECS.as_secs());
    }
}

async fn kill_the_others(pod: Arc<Pod>, task: Arc<Task>, init: ProcessId) {
    let operation = pod.operations.begin("end the execs", &task.id, "");
    if let Err(failure) = pod.verbs.ask(&operation, &task.request(Verb::EndOthers { init }), None).await {
        log::debug!("{}: end what outlives init: {failure}", task.id);
    }
}

fn count(pod: &Arc<Pod>, task: &Arc<Task>, process: &Process, exit: &Exit) {
    let lived = process.begun().map(|begun| begun.elapsed()).unwrap_or_default();
    account::count(pod, task, |counters| counters.ended(exit.status, lived));
}

async fn end_of(child: Child) -> Exit {
    let pid = child.pid();
    let status = match child.end().await {
        Ok(Some(Ended::Exited(status))) => u32::from(status),
        Ok(Some(Ended::Signaled(signal))) => 128 + u32::from(signal),
        Ok(None) => {
            log::error!("process {pid} was taken away by somebody else; how it ended is not known");
            255
        }
        Err(error) => {
            log::error!("wait for process {pid}: {error}");
            255
        }
    };
    Exit::now(status)
}

/// Has a record of a process, its start or its exit, written down before somebody is told of that. `number` is the one
/// that it was noted under. A disk that stalls keeps nobody waiting for long: it is told all the same, and the log says so;
/// one that refuses is told of by [`crate::journal::Writer`].
pub async fn write_down(pod: &Pod, task: &Arc<Task>, process: &Process, what: &'static str, number: u64) {
    if !write(pod, task).await || !task.journal.written(number).await {
        let (id, exec) = (&task.id, &process.exec_id);
        log::warn!("{id}: the {what} of {exec:?} is told and not in the journal: the disk does not take it");
    }
}

/// Writes what waits here when it goes to memory, else on a worker. False when the disk does not take it in time.
async fn write(pod: &Pod, task: &Arc<Task>) -> bool {
    if task.journal.is_in_memory() {
        task.journal.write();
        return true;
    }
    let work = workers::Task {
        name: format!("write the journal of {}", task.id),
        container: task.id.clone(),
        limit: DISK,
    };
    let subject = Arc::clone(task);
    pod.workers.run(work, move || subject.journal.write()).await.is_ok()
}

async fn tell(pod: &Arc<Pod>, task: &Arc<Task>, process: &Arc<Process>, exit: Exit) {
    let exec = process.exec_id.clone();
    let number = task.journal.note(Record::Exited { exec: exec.clone(), exit });
    write_down(pod, task, process, "exit", number).await;
    let id = if exec.is_empty() { &task.id } else { &exec };
    let event = TaskExit {
        container_id: task.id.clone(),
        id: id.clone(),
        pid: wire::pid(process.pid()),
        exit_status: exit.status,
        exited_at: MessageField::some(wire::timestamp(&exit)),
        ..TaskExit::default()
    };
    let (there, told, pid) = (Arc::downgrade(pod), Arc::downgrade(task), process.pid());
    let taken = Box::new(move || {
        if let Some((pod, task)) = there.upgrade().zip(told.upgrade()) {
            task.journal.note(Record::Told { exec, pid });
            // Nothing to count; but after an init, or after an outage of containerd, nobody else comes to write it.
            account::count(&pod, &task, |_| ());
        }
    });
    pod.events.push_and_tell(TASK_EXIT_EVENT_TOPIC, &event, taken);
    process.stop(exit);
}
