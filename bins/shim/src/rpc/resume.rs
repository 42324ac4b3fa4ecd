//! `Resume`: a paused container goes on.

use std::sync::Arc;

use containerd_shim_protos::api::ResumeRequest;
use containerd_shim_protos::events::task::TaskResumed;
use containerd_shim_protos::topics::TASK_RESUMED_EVENT_TOPIC;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::freezer;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::Phase;
use crate::task::Freezer;
use crate::verb::Verb;

pub(crate) async fn resume(
    pod: Arc<Pod>,
    operation: Operation,
    request: ResumeRequest,
) -> Result<Empty, Failure> {
    let task = pod.task(&request.id)?;
    if task.init.phase() != Phase::Running {
        return Err(Failure::State { verb: "resume", what: "a container that does not run" });
    }
    let _claim = task.claim_freezer("resume")?;
    if let Err(failure) = pod.verbs.ask(&operation, &task.request(Verb::Resume), None).await {
        operation.stage("look whether the container stands still");
        freezer::look(&pod, &task).await;
        return Err(failure);
    }
    task.set_freezer(Freezer::Thawed);
    let event = TaskResumed { container_id: request.id, ..TaskResumed::default() };
    pod.events.push(TASK_RESUMED_EVENT_TOPIC, &event);
    Ok(Empty::new())
}
