//! `Exec`: makes a process known; `Start` starts it.

use std::sync::Arc;

use containerd_shim_protos::api::ExecProcessRequest;
use containerd_shim_protos::events::task::TaskExecAdded;
use containerd_shim_protos::topics::TASK_EXEC_ADDED_EVENT_TOPIC;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::process::{Process, Streams};

pub(crate) async fn exec(
    pod: Arc<Pod>,
    _operation: Operation,
    request: ExecProcessRequest,
) -> Result<Empty, Failure> {
    let task = pod.task(&request.id)?;
    let ExecProcessRequest { exec_id, terminal, stdin, stdout, stderr, spec, .. } = request;
    if exec_id.is_empty() {
        return Err(Failure::Invalid { field: "exec_id", reason: "must not be empty".to_owned() });
    }
    let spec = spec.into_option().map(|any| any.value).unwrap_or_default();
    let streams = Streams { stdin, stdout, stderr, terminal };
    task.add(Process::new(&exec_id, streams, spec))?;
    let event = TaskExecAdded { container_id: request.id, exec_id, ..TaskExecAdded::default() };
    pod.events.push(TASK_EXEC_ADDED_EVENT_TOPIC, &event);
    Ok(Empty::new())
}
