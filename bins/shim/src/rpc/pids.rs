//! `Pids`: every process of the container; of execs also which one.
//!
//! Compat: containerd from 1.7 on takes a container that lists nobody for a leftover when it starts, and removes it; 1.7
//! and 2.0 also one whose list is an error (runtime/v2/shim_load.go, since 2.0 core/runtime/v2/shim_load.go). What ended
//! while containerd was away would have lost its exit by that, and what runs its life, so a container that has an init
//! always lists somebody, from memory if need be, until it is deleted.

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
    let pids = or_from_memory(&task, read.flatten())?;
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

/// What was read, unless that is nobody or nothing: then the processes that are known here.
fn or_from_memory(task: &task::Task, read: Result<Vec<i32>, Failure>) -> Result<Vec<i32>, Failure> {
    if matches!(&read, Ok(pids) if !pids.is_empty()) || task.init.pid() == 0 {
        return read;
    }
    if let Err(failure) = read {
        log::warn!("{}: its processes are told from memory: {}", task.id, container::chain(&failure));
    }
    let execs = task.execs();
    let alive = execs.iter().filter_map(|exec| exec.known()).map(|known| known.pid);
    Ok(std::iter::once(task.init.pid()).chain(alive).collect())
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
