//! `Wait`: until a process has ended; any number may wait, and one that comes late gets the same answer.

use std::sync::Arc;

use containerd_shim_protos::api::{WaitRequest, WaitResponse};
use protobuf::MessageField;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::wire;

pub(crate) async fn wait(
    pod: Arc<Pod>,
    operation: Operation,
    request: WaitRequest,
) -> Result<WaitResponse, Failure> {
    let process = pod.task(&request.id)?.process(&request.exec_id)?;
    operation.stage("the end of the process");
    let exit = process.ended().await;
    Ok(WaitResponse {
        exit_status: exit.status,
        exited_at: MessageField::some(wire::timestamp(&exit)),
        ..WaitResponse::default()
    })
}
