//! `Connect`: who serves, and which process is the container's first.
//!
//! Compat: an unknown id is no error; containerd asks while it loads shims, and takes one for a reason to kill the shim.

use std::sync::Arc;

use containerd_shim_protos::api::{ConnectRequest, ConnectResponse};

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn connect(
    pod: Arc<Pod>,
    _operation: Operation,
    request: ConnectRequest,
) -> Result<ConnectResponse, Failure> {
    let task_pid = pod.task(&request.id).map_or(0, |task| task.init.pid().unsigned_abs());
    Ok(ConnectResponse {
        shim_pid: std::process::id(),
        task_pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..ConnectResponse::default()
    })
}
