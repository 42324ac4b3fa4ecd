//! `Kill`: a signal to a process, to a container, or to everything that an exec started.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::KillRequest;
use protobuf::well_known_types::empty::Empty;
use rustix::io::Errno;
use rustix::process::Signal;

use crate::attend;
use crate::failure::{Failure, Kind};
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::{Phase, Process};
use crate::task::{Freezer, Task};
use crate::tree::{self, Reach};
use crate::undead;
use crate::verb::Verb;
use crate::workers;

/// How long the processes of an exec may take to end after SIGKILL.
const END: Duration = Duration::from_secs(2);

/// How long the whole kill of an exec may take.
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn kill(
    pod: Arc<Pod>,
    operation: Operation,
    request: KillRequest,
) -> Result<Empty, Failure> {
    let task = pod.task(&request.id)?;
    let process = task.process(&request.exec_id)?;
    let signal = number(request.signal)?;
    if process.phase() == Phase::Stopped {
        return Err(Failure::Finished);
    }
    let is_kill = signal == Signal::KILL.as_raw();
    if !request.exec_id.is_empty() {
        if is_kill {
            kill_tree(&pod, &task, &process).await?;
        } else {
            send(&process, signal)?;
        }
    } else if request.all || (is_kill && task.freezer() != Freezer::Thawed) {
        let verb = task.request(Verb::Kill { signal, all: request.all });
        pod.verbs.ask(&operation, &verb, None).await.map_err(finished)?;
    } else {
        send(&process, signal)?;
    }
    if is_kill {
        undead::watch(&pod, &task, &process);
    }
    Ok(Empty::new())
}

/// Signals 0 (which only asks) to 64.
fn number(signal: u32) -> Result<i32, Failure> {
    let known = i32::try_from(signal).ok().filter(|signal| (0..=64).contains(signal));
    known.ok_or_else(|| Failure::Invalid { field: "signal", reason: format!("there is no signal {signal}") })
}

/// Compat: a container that has ended is one that containerd wants to hear NotFound about.
fn finished(failure: Failure) -> Failure {
    match failure {
        Failure::Told { kind: Kind::State | Kind::NotFound, .. } => Failure::Finished,
        other => other,
    }
}

fn send(process: &Process, signal: i32) -> Result<(), Failure> {
    let Some(known) = process.known() else {
        return match process.phase() {
            Phase::Stopped => Err(Failure::Finished),
            _ => Err(Failure::State { verb: "kill", what: "a process that is not started" }),
        };
    };
    match sys::signalfd::send(&known.pidfd, signal) {
        Ok(()) => Ok(()),
        Err(Errno::SRCH) => Err(Failure::Finished),
        Err(source) => Err(Failure::Step { step: "send the signal", source }),
    }
}

/// Kills an exec with everything that it started. Once it has its signal the answer is yes, whoever does not end.
async fn kill_tree(pod: &Pod, task: &Arc<Task>, process: &Arc<Process>) -> Result<(), Failure> {
    // Without a group the leader is killed last: who has ended has no children to be found by.
    let first = if process.has_group() { Signal::KILL.as_raw() } else { 0 };
    send(process, first)?;
    let Some(known) = process.known() else { return Ok(()) };
    let group = process.take_group();
    let work = move || {
        let reach = tree::kill(&known, group.as_ref(), END);
        (reach, group)
    };
    let name = format!("kill exec {} in {}", process.exec_id, task.id);
    match pod.workers.run(workers::Task { name, container: task.id.clone(), limit: LIMIT }, work).await {
        Ok((reach, group)) => {
            report(task, process, &reach);
            match group {
                Some(group) if process.exit().is_none() => process.keep_group(group),
                Some(group) => attend::put_back(pod, task, group),
                None => {}
            }
        }
        Err(failure) => {
            log::warn!("{failure}");
            // Nobody else may have come to it.
            let _ = send(process, Signal::KILL.as_raw());
        }
    }
    Ok(())
}

fn report(task: &Task, process: &Process, reach: &Reach) {
    let exec = &process.exec_id;
    match reach {
        Reach::Left { pids } => {
            log::warn!("{}: exec {exec} was killed and has not ended: {pids:?}", task.id);
        }
        Reach::Descendants => log::info!(
            "{}: exec {exec} was killed with its descendants; what had been orphaned before could not be told from \
             the rest of the container",
            task.id
        ),
        _ => {}
    }
}
