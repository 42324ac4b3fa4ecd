//! `State`: what is known about a process, from memory.

use std::sync::Arc;

use containerd_shim_protos::api::{StateRequest, StateResponse, Status};
use protobuf::MessageField;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::{Phase, Process};
use crate::task::{Freezer, Task};
use crate::wire;

pub(crate) async fn state(
    pod: Arc<Pod>,
    _operation: Operation,
    request: StateRequest,
) -> Result<StateResponse, Failure> {
    let task = pod.task(&request.id)?;
    let process = task.process(&request.exec_id)?;
    let exit = process.exit();
    let streams = process.streams.clone();
    Ok(StateResponse {
        id: request.id,
        exec_id: request.exec_id,
        bundle: task.bundle.to_string_lossy().into_owned(),
        pid: process.pid().unsigned_abs(),
        status: status(&task, &process).into(),
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        terminal: streams.terminal,
        exit_status: exit.map_or(0, |exit| exit.status),
        exited_at: exit.map_or(MessageField::none(), |exit| MessageField::some(wire::timestamp(&exit))),
        ..StateResponse::default()
    })
}

fn status(task: &Task, process: &Process) -> Status {
    match (process.phase(), task.freezer()) {
        (Phase::Stopped, _) => Status::STOPPED,
        (Phase::Added, _) => Status::CREATED,
        // Compat: the processes of a paused container say so, execs too.
        (_, Freezer::Frozen) => Status::PAUSED,
        (_, Freezer::Freezing) => Status::PAUSING,
        // Compat: a process that is being started is one that is not started.
        (Phase::Starting, _) => Status::CREATED,
        (Phase::Running, _) => Status::RUNNING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Exit;
    use crate::options::Options;
    use crate::process::Streams;
    use crate::task::Place;

    #[test]
    fn an_exec_of_a_paused_container_is_paused_and_an_ended_one_is_not() {
        let new = |id: &str| Process::new(id, Streams::default(), Vec::new());
        let task = Task::new(Place::default(), Options::default(), Arc::new(new("")));
        let exec = new("e");
        assert_eq!(status(&task, &exec), Status::CREATED);
        exec.claim_start().expect("added");
        exec.runs();
        assert_eq!(status(&task, &exec), Status::RUNNING);
        task.set_freezer(Freezer::Frozen);
        assert_eq!(status(&task, &exec), Status::PAUSED);
        exec.stop(Exit::now(0));
        assert_eq!(status(&task, &exec), Status::STOPPED);
    }
}
