//! `Stats`: what the container uses.

use std::sync::Arc;

use containerd_shim_protos::api::{StatsRequest, StatsResponse};

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn stats(
    pod: Arc<Pod>,
    _operation: Operation,
    request: StatsRequest,
) -> Result<StatsResponse, Failure> {
    pod.task(&request.id)?;
    Err(Failure::Unsupported { what: "Stats" })
}
