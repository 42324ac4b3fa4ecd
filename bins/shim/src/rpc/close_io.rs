//! `CloseIO`: the process sees the end of its input once the client has let go of it too.

use std::sync::Arc;

use containerd_shim_protos::api::CloseIORequest;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn close_io(
    pod: Arc<Pod>,
    _operation: Operation,
    request: CloseIORequest,
) -> Result<Empty, Failure> {
    let process = pod.task(&request.id)?.process(&request.exec_id)?;
    if let Some(stdio) = process.stdio().filter(|_| request.stdin) {
        stdio.close_stdin();
    }
    Ok(Empty::new())
}
