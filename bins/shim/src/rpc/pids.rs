//! `Pids`: every process of the container; of execs also which one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use container::{ContainerId, Store};
use containerd_shim_protos::api::{PidsRequest, PidsResponse, ProcessInfo};
use containerd_shim_protos::shim::oci::ProcessDetails;
use protobuf::MessageField;

use crate::events::any;
use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::wire;
use crate::workers::Task;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn pids(
    pod: Arc<Pod>,
    operation: Operation,
    request: PidsRequest,
) -> Result<PidsResponse, Failure> {
    let task = pod.task(&request.id)?;
    let (root, id) = (task.root.clone(), request.id.clone());
    operation.stage("read the processes of the cgroup");
    let work = move || container::ps::pids(&Store::open(&root)?, &ContainerId::parse(&id)?);
    let read = pod.workers.run(Task { name: format!("pids of {}", request.id), limit: LIMIT }, work).await?;
    let pids = read.map_err(|error| Failure::of_library("", &error))?;
    let execs: HashMap<i32, String> =
        task.execs().iter().map(|exec| (exec.pid(), exec.exec_id.clone())).collect();
    let info = |pid: i32| {
        let details = |exec_id: &String| {
            let details = ProcessDetails { exec_id: exec_id.clone(), ..ProcessDetails::default() };
            any("containerd.runc.v1", &details)
        };
        ProcessInfo {
            pid: wire::pid(pid),
            info: MessageField(execs.get(&pid).map(details).map(Box::new)),
            ..ProcessInfo::default()
        }
    };
    Ok(PidsResponse { processes: pids.into_iter().map(info).collect(), ..PidsResponse::default() })
}
