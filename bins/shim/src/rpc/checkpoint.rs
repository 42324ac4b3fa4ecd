//! `Checkpoint`: not done here.

use std::sync::Arc;

use containerd_shim_protos::api::CheckpointTaskRequest;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn checkpoint(
    pod: Arc<Pod>,
    _operation: Operation,
    request: CheckpointTaskRequest,
) -> Result<Empty, Failure> {
    pod.task(&request.id)?;
    Err(Failure::Unsupported { what: "checkpoint" })
}
