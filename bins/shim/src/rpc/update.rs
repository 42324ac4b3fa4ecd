//! `Update`: new limits.

use std::sync::Arc;

use containerd_shim_protos::api::UpdateTaskRequest;
use protobuf::well_known_types::empty::Empty;

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::verb::Verb;

pub(crate) async fn update(
    pod: Arc<Pod>,
    operation: Operation,
    request: UpdateTaskRequest,
) -> Result<Empty, Failure> {
    let task = pod.task(&request.id)?;
    let bytes = request.resources.into_option().map(|any| any.value).unwrap_or_default();
    let invalid = |_| Failure::Invalid { field: "resources", reason: "not UTF-8".to_owned() };
    let resources = String::from_utf8(bytes).map_err(invalid)?;
    pod.verbs.ask(&operation, &task.request(Verb::Update { resources }), None).await?;
    Ok(Empty::new())
}
