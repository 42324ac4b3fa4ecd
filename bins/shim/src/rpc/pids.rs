//! `Pids`: every process of the container; of execs also which one.
//!
//! Compat: containerd from 1.7 on takes a container that lists nobody for a leftover when it starts, and removes it
//! (core/runtime/v2/task_manager.go, `shouldCleanupShim`). What ended while containerd was away would have lost its exit
//! by that, so init is listed until the container is deleted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use container::{ContainerId, Store};
use containerd_shim_protos::api::{PidsRequest, PidsResponse, ProcessInfo};
use containerd_shim_protos::shim::oci::ProcessDetails;
use protobuf::MessageField;

use crate::events::any;
use crate::failure::{Failure, Kind};
use crate::operations::Operation;
use crate::pod::Pod;
use crate::task;
use crate::wire;
use crate::workers::Task;
use crate::wrapper::Runtime;

/// Longer than another runtime may take.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) async fn pids(
    pod: Arc<Pod>,
    operation: Operation,
    request: PidsRequest,
) -> Result<PidsResponse, Failure> {
    let task = pod.task(&request.id)?;
    operation.stage("read the processes of the cgroup");
    let subject = Arc::clone(&task);
    let work = move || read(&subject);
    // Another runtime is a child of ours for a moment, and no stranger to be taken away.
    let birth = task.binary.is_some().then(|| pod.children.birth());
    let read = pod
        .workers
        .run(
            Task { name: format!("pids of {}", request.id), container: request.id.clone(), limit: LIMIT },
            work,
        )
        .await;
    drop(birth);
    let mut pids = read??;
    if pids.is_empty() && task.init.exit().is_some() {
        pids.push(task.init.pid());
    }
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

fn read(task: &task::Task) -> Result<Vec<i32>, Failure> {
    let Some(binary) = &task.binary else {
        let read =
            ContainerId::parse(&task.id).and_then(|id| container::ps::pids(&Store::open(&task.root)?, &id));
        return read.map_err(|error| Failure::of_library("", &error));
    };
    let (root, bundle) = (task.root.clone(), task.bundle.clone());
    let systemd_cgroup = task.options.systemd_cgroup;
    let runtime = Runtime { binary: binary.clone(), root, systemd_cgroup, bundle };
    runtime.ps(&task.id).map_err(|error| Failure::Told {
        prefix: "",
        kind: Kind::Other,
        text: container::chain(&error),
    })
}
