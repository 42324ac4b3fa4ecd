//! `Shutdown`: the shim ends when no container is left; else nothing happens.

use std::sync::Arc;

use containerd_shim_protos::api::ShutdownRequest;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn shutdown(
    pod: Arc<Pod>,
    _operation: Operation,
    _request: ShutdownRequest,
) -> Result<Empty, Failure> {
    if pod.close() {
        // Before the answer: whoever comes after it finds no socket, and starts a new shim.
        pod.withdraw();
        pod.end.notify_one();
    }
    Ok(Empty::new())
}
