//! `ResizePty`: a new size for a terminal; of a process without one nothing happens.

use std::sync::Arc;

use containerd_shim_protos::api::ResizePtyRequest;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;

pub(crate) async fn resize_pty(
    pod: Arc<Pod>,
    _operation: Operation,
    request: ResizePtyRequest,
) -> Result<Empty, Failure> {
    let process = pod.task(&request.id)?.process(&request.exec_id)?;
    let side = |field, value: u32| {
        u16::try_from(value).map_err(|_| Failure::Invalid {
            field,
            reason: format!("{value} is more than a terminal can have"),
        })
    };
    let (width, height) = (side("width", request.width)?, side("height", request.height)?);
    if let Some(stdio) = process.stdio().filter(|_| process.streams.terminal) {
        stdio.resize(width, height)?;
    }
    Ok(Empty::new())
}
