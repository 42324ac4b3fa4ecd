//! `Shutdown`: the shim ends when no container is left, nor one that is being created and wanted; else nothing happens.

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
    pod.close();
    Ok(Empty::new())
}
