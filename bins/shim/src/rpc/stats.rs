//! `Stats`: what the container uses.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::{StatsRequest, StatsResponse};
use protobuf::MessageField;
use protobuf::well_known_types::any::Any;

use crate::failure::{Failure, Kind};
use crate::operations::Operation;
use crate::pod::Pod;
use crate::stats;
use crate::workers::Task;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn stats(
    pod: Arc<Pod>,
    operation: Operation,
    request: StatsRequest,
) -> Result<StatsResponse, Failure> {
    let task = pod.task(&request.id)?;
    operation.stage("read the control files");
    let work = Task { name: format!("stats of {}", request.id), limit: LIMIT };
    let read = pod.workers.run(work, move || stats::metrics(&task.cgroup)).await?;
    let metrics = read.map_err(|error| {
        let gone = matches!(error, stats::Error::Gone { .. });
        let kind = if gone { Kind::NotFound } else { Kind::Other };
        Failure::Told { prefix: "", kind, text: container::chain(&error) }
    })?;
    let stats::Metrics { type_url, value } = metrics;
    let any = Any { type_url: type_url.to_owned(), value, ..Any::default() };
    Ok(StatsResponse { stats: MessageField::some(any), ..StatsResponse::default() })
}
