//! `Start`: an init's program, or an exec.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use container::ContainerId;
use container::config::Process as Configured;
use container::create::Terminal;
use container::exec::{ExecProcess, ExecRequest, Running};
use containerd_shim_protos::api::{StartRequest, StartResponse};
use containerd_shim_protos::events::task::{TaskExecStarted, TaskStart};
use containerd_shim_protos::topics::{TASK_EXEC_STARTED_EVENT_TOPIC, TASK_START_EVENT_TOPIC};
use launch::Process as Born;

use crate::account;
use crate::attend;
use crate::counters::Outcome;
use crate::failure::{Failure, Kind};
use crate::freezer;
use crate::io::{Owner, Stdio};
use crate::journal::Exit;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::{NEVER_RAN, Phase, Process};
use crate::reap::Birth;
use crate::rpc::create::{open, pipes};
use crate::task::{Freezer, Task};
use crate::verb::Verb;
use crate::wire;
use crate::workers;

/// How long an exec may take to its program: longer than the library, which then knows better what is wrong.
const LIMIT: Duration = Duration::from_secs(15);

/// Compat: the words of the stock shim and of runc before the cause.
const PREFIX: &str = "OCI runtime exec failed: exec failed: ";

pub(crate) async fn start(
    pod: Arc<Pod>,
    operation: Operation,
    request: StartRequest,
) -> Result<StartResponse, Failure> {
    let task = pod.task(&request.id)?;
    let pid = if request.exec_id.is_empty() {
        start_init(&pod, &task, &operation).await?
    } else {
        let process = task.process(&request.exec_id)?;
        start_exec(&pod, &task, &process, &operation).await?
    };
    Ok(StartResponse { pid: wire::pid(pid), ..StartResponse::default() })
}

async fn start_init(pod: &Arc<Pod>, task: &Arc<Task>, operation: &Operation) -> Result<i32, Failure> {
    let init = &task.init;
    init.claim_start()?;
    let request = task.request(Verb::Start);
    if let Err(failure) = pod.verbs.ask(operation, &request, None).await {
        if failure.is_broken_off() {
            end_half_started(task);
        }
        init.not_started();
        return Err(failure);
    }
    let pid = init.pid();
    let event = TaskStart { container_id: task.id.clone(), pid: wire::pid(pid), ..TaskStart::default() };
    pod.events.push(TASK_START_EVENT_TOPIC, &event);
    init.runs();
    Ok(pid)
}

/// Nobody knows how far it came: it is no init any more that waits to be started. Its end is told like any other.
fn end_half_started(task: &Task) {
    let Some(known) = task.init.known() else { return };
    log::warn!("{}: its start was broken off; init is killed", task.id);
    let _ = rustix::process::pidfd_send_signal(&known.pidfd, rustix::process::Signal::KILL);
}

async fn start_exec(
    pod: &Arc<Pod>,
    task: &Arc<Task>,
    process: &Arc<Process>,
    operation: &Operation,
) -> Result<i32, Failure> {
    freezer::settle(pod, task).await;
    refuse_hopeless(task)?;
    process.claim_start()?;
    let owner = Owner { uid: task.options.io_uid, gid: task.options.io_gid };
    operation.stage("open the streams");
    let birth = pod.children.birth();
    let opened = open(&pod.namespace, &process.exec_id, &process.streams, owner).await;
    let (stdio, ends) = opened.inspect_err(|_| process.stop(Exit::now(NEVER_RAN)))?;
    process.keep_streams(Arc::clone(&stdio));
    operation.stage("start the process");
    let begun = match &task.binary {
        None => launch(pod, task, process, pipes(ends)).await,
        Some(_) => launch_elsewhere(pod, task, process, (operation, pipes(ends))).await,
    };
    match begun.and_then(|started| settle(started, &stdio)) {
        Ok(running) => {
            let took = process.begun().map(|begun| begun.elapsed()).unwrap_or_default();
            account::count(pod, task, |counters| counters.started(took));
            Ok(announce(pod, task, process, (running, birth)))
        }
        Err(failure) => {
            account::count(pod, task, |counters| counters.count(Outcome::Refused));
            stdio.close();
            process.stop(Exit::now(NEVER_RAN));
            if let Some(group) = process.take_group() {
                attend::put_back(pod, task, group);
            }
            Err(failure)
        }
    }
}

/// What needs no look at the kernel. The library looks again.
fn refuse_hopeless(task: &Task) -> Result<(), Failure> {
    let what = match (task.init.phase(), task.freezer()) {
        (Phase::Stopped, _) => "a stopped container",
        // Compat: containerd and dockerd refuse by themselves and with their own words.
        (_, Freezer::Frozen | Freezer::Freezing) => "a paused container",
        _ => return Ok(()),
    };
    Err(Failure::Told { prefix: PREFIX, kind: Kind::State, text: format!("cannot exec in {what}") })
}

/// A process that nobody was told of: dropped, it is killed.
#[derive(Debug)]
struct Started(Option<Running>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            let _ = rustix::process::pidfd_send_signal(&running.pidfd, rustix::process::Signal::KILL);
        }
    }
}

async fn launch(
    pod: &Pod,
    task: &Arc<Task>,
    process: &Arc<Process>,
    streams: Option<[OwnedFd; 3]>,
) -> Result<Started, Failure> {
    let name = format!("exec {} in {}", process.exec_id, task.id);
    let (subject, known) = (Arc::clone(task), Arc::clone(process));
    let work = move || -> Result<_, Failure> {
        let request = request(&subject, &known, streams)?;
        let mut held = subject.hold().map_err(|error| Failure::of_library(PREFIX, &error))?;
        let running = held.exec(&request).map_err(|error| Failure::of_library(PREFIX, &error))?;
        // After a failure it is not kept: the next one looks at the container anew.
        subject.keep(held);
        let number = subject.note_started(&known.exec_id, running.pid);
        Ok((Started(Some(running)), number))
    };
    let (started, number) =
        pod.workers.run(workers::Task { name, container: task.id.clone(), limit: LIMIT }, work).await??;
    attend::write_down(pod, task, process, "start", number).await;
    Ok(started)
}

/// Compat: a container of another runtime gets its execs through that runtime, which knows what it needs.
async fn launch_elsewhere(
    pod: &Pod,
    task: &Arc<Task>,
    process: &Arc<Process>,
    (operation, streams): (&Operation, Option<[OwnedFd; 3]>),
) -> Result<Started, Failure> {
    let invalid = |_| Failure::Invalid { field: "spec", reason: "not UTF-8".to_owned() };
    let spec = String::from_utf8(process.spec.clone()).map_err(invalid)?;
    let terminal = process.streams.terminal;
    let verb = Verb::Exec { exec_id: process.exec_id.clone(), spec, terminal };
    let done = pod.verbs.ask(operation, &task.request(verb), streams).await?;
    let mut descriptors = done.descriptors.into_iter();
    let missing = || Failure::VerbDied { verb: "exec", how: "it sent no pidfd".to_owned() };
    let pidfd = descriptors.next().ok_or_else(missing)?;
    let running = Running { pid: done.pid, pidfd, console: descriptors.next() };
    let started = Started(Some(running));
    let number = task.note_started(&process.exec_id, done.pid);
    attend::write_down(pod, task, process, "start", number).await;
    Ok(started)
}

fn request(task: &Task, process: &Process, streams: Option<[OwnedFd; 3]>) -> Result<ExecRequest, Failure> {
    let invalid = |error: serde_json::Error| Failure::Invalid { field: "spec", reason: error.to_string() };
    let mut described: Configured = serde_json::from_slice(&process.spec).map_err(invalid)?;
    described.terminal = process.streams.terminal;
    let group = task.exec_groups.take();
    let nested = group.as_ref().map(crate::tree::Group::directory);
    if let Some(group) = group {
        process.keep_group(group);
    }
    let id = ContainerId::parse(&task.id).map_err(|error| Failure::of_library(PREFIX, &error))?;
    let process = ExecProcess::Described(Box::new(described));
    let streams = streams.map(Arc::new);
    Ok(ExecRequest { streams, terminal: Terminal::Relay, nested, ..ExecRequest::new(id, process) })
}

fn settle(mut started: Started, stdio: &Stdio) -> Result<Running, Failure> {
    if let Some(master) = started.0.as_mut().and_then(|running| running.console.take()) {
        stdio.attach(master)?;
    }
    started.0.take().ok_or(Failure::Panicked)
}

fn announce(
    pod: &Arc<Pod>,
    task: &Arc<Task>,
    process: &Arc<Process>,
    (running, birth): (Running, Birth),
) -> i32 {
    let pid = running.pid;
    let born = Arc::new(Born { pid, pidfd: running.pidfd });
    process.born(Arc::clone(&born));
    let child = pod.children.adopt(born);
    drop(birth);
    let event = TaskExecStarted {
        container_id: task.id.clone(),
        exec_id: process.exec_id.clone(),
        pid: wire::pid(pid),
        ..TaskExecStarted::default()
    };
    pod.events.push(TASK_EXEC_STARTED_EVENT_TOPIC, &event);
    process.runs();
    attend::exec(pod, task, process, child);
    pid
}
