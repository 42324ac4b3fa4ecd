//! `Stats`: what the container uses.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::{StatsRequest, StatsResponse};
use protobuf::MessageField;
use protobuf::well_known_types::any::Any;

use crate::failure::{Failure, Kind};
use crate::operations::Operation;
use crate::pod::Pod;
use crate::stats::{self, Error};
use crate::workers;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn stats(
    pod: Arc<Pod>,
    operation: Operation,
    request: StatsRequest,
) -> Result<StatsResponse, Failure> {
    let task = pod.task(&request.id)?;
    operation.stage("read the control files of the cgroup");
    let work = workers::Task {
        name: format!("stats of {}", request.id),
        container: request.id.clone(),
        limit: LIMIT,
    };
    let metrics = pod.workers.run(work, move || stats::metrics(&task.groups)).await?;
    let metrics = metrics.map_err(|error| {
        let kind = if matches!(error, Error::Gone { .. }) { Kind::NotFound } else { Kind::Other };
        Failure::Told { prefix: "", kind, text: container::chain(&error) }
    })?;
    let any = Any { type_url: metrics.type_url.to_owned(), value: metrics.value, ..Any::default() };
    Ok(StatsResponse { stats: MessageField::some(any), ..StatsResponse::default() })
}
