//! `Pause`: every process of the container stands still when this answers.

use std::sync::Arc;

use containerd_shim_protos::api::PauseRequest;
use containerd_shim_protos::events::task::TaskPaused;
use containerd_shim_protos::topics::TASK_PAUSED_EVENT_TOPIC;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::freezer;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::Phase;
use crate::task::Freezer;
use crate::verb::Verb;

pub(crate) async fn pause(
    pod: Arc<Pod>,
    operation: Operation,
    request: PauseRequest,
) -> Result<Empty, Failure> {
    let task = pod.task(&request.id)?;
    if task.init.phase() != Phase::Running {
        return Err(Failure::State { verb: "pause", what: "a container that does not run" });
    }
    // Kept until a pause that failed is undone: else the undoing would thaw what the next pause has frozen.
    let _claim = task.claim_freezer("pause")?;
    let before = task.freezer();
    task.set_freezer(Freezer::Freezing);
    if let Err(failure) = pod.verbs.ask(&operation, &task.request(Verb::Pause), None).await {
        if failure.is_broken_off() && before == Freezer::Thawed {
            operation.stage("let the container go on");
            freezer::undo_pause(&pod, &task).await;
        } else {
            operation.stage("look whether the container stands still");
            task.set_freezer(before);
            freezer::look(&pod, &task).await;
        }
        return Err(failure);
    }
    task.set_freezer(Freezer::Frozen);
    let event = TaskPaused { container_id: request.id, ..TaskPaused::default() };
    pod.events.push(TASK_PAUSED_EVENT_TOPIC, &event);
    Ok(Empty::new())
}
