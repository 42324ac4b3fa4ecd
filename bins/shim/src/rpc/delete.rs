//! `Delete`: a process that has ended, or never ran, is forgotten; with its init the container goes.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::{DeleteRequest, DeleteResponse};
use containerd_shim_protos::events::task::TaskDelete;
use containerd_shim_protos::topics::TASK_DELETE_EVENT_TOPIC;
use protobuf::MessageField;

use crate::failure::Failure;
use crate::journal::Exit;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::{NEVER_RAN, Phase, Process};
use crate::task::Task;
use crate::verb::Verb;
use crate::wire;

/// How long a killed init may take to be reported as ended.
const END: Duration = Duration::from_secs(10);

/// How long another runtime's kill of what outlived an init is waited for: longer than it is given, so that none comes
/// late to the next container of that id.
const KILL: Duration = Duration::from_secs(15);

pub(crate) async fn delete(
    pod: Arc<Pod>,
    operation: Operation,
    request: DeleteRequest,
) -> Result<DeleteResponse, Failure> {
    let task = pod.task(&request.id).inspect_err(|_| disown(&pod, &request))?;
    let process = task.process(&request.exec_id)?;
    match process.phase() {
        Phase::Added | Phase::Stopped => {}
        Phase::Starting | Phase::Running => {
            return Err(Failure::State { verb: "delete", what: "a running process" });
        }
    }
    if request.exec_id.is_empty() {
        task.claim_delete()?;
        delete_container(&pod, &task, &operation).await.inspect_err(|_| task.not_deleted())?;
    } else {
        close_streams(&process, &operation).await;
        task.forget(&request.exec_id);
    }
    let exit = process.exit().unwrap_or_else(|| Exit::now(0));
    // Who waits for a process that was refused or never started would wait for ever, at our cost.
    process.stop(Exit::now(NEVER_RAN));
    if request.exec_id.is_empty() {
        tell(&pod, &task, &exit);
    }
    Ok(DeleteResponse {
        pid: wire::pid(process.pid()),
        exit_status: exit.status,
        exited_at: MessageField::some(wire::timestamp(&exit)),
        ..DeleteResponse::default()
    })
}

/// Who wants to delete an exec does not say that nobody wants its container.
fn disown(pod: &Pod, request: &DeleteRequest) {
    if request.exec_id.is_empty() {
        pod.disown(&request.id);
    }
}

async fn delete_container(pod: &Pod, task: &Task, operation: &Operation) -> Result<(), Failure> {
    let request = task.request(Verb::Delete);
    task.let_go();
    if task.binary.is_some() {
        operation.stage("the end of the kill of what outlived init");
        task.others_ended(KILL).await;
    }
    pod.verbs.ask(operation, &request, None).await?;
    operation.stage("the end of init");
    if tokio::time::timeout(END, task.init.ended()).await.is_err() {
        log::warn!("{}: deleted, and init is not reported as ended", task.id);
    }
    for exec in task.execs() {
        close_streams(&exec, operation).await;
        if exec.phase() == Phase::Added {
            // Nobody can start it any more.
            exec.stop(Exit::now(NEVER_RAN));
        }
    }
    close_streams(&task.init, operation).await;
    pod.forget(&task.id);
    Ok(())
}

/// The client waits for the end of the streams, and we for the client, but not for ever.
async fn close_streams(process: &Process, operation: &Operation) {
    let Some(stdio) = process.stdio() else { return };
    operation.stage("the readers of its output");
    let outcome = stdio.finish().await;
    if outcome.lost > 0 {
        log::warn!("exec {:?}: {} bytes of output had no reader and are lost", process.exec_id, outcome.lost);
    }
}

fn tell(pod: &Pod, task: &Task, exit: &Exit) {
    let event = TaskDelete {
        container_id: task.id.clone(),
        pid: wire::pid(task.init.pid()),
        exit_status: exit.status,
        exited_at: MessageField::some(wire::timestamp(exit)),
        ..TaskDelete::default()
    };
    pod.events.push(TASK_DELETE_EVENT_TOPIC, &event);
}
