//! The task service: from a request on the wire to an operation, and back.
//!
//! An operation runs in a task of its own. A client that goes away, or loses patience, takes nothing with it but the
//! answer; a panic ends that operation only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::api;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::shim_async::{Task as TaskService, create_task};
use ttrpc::r#async::{Service, TtrpcContext};

use crate::failure::Failure;
use crate::operations::Operation;
use crate::pod::Pod;
use crate::rpc;

/// The name of the service that the generated code knows, and its older name; the messages are the same.
const NAMES: [&str; 2] = ["containerd.task.v3.Task", "containerd.task.v2.Task"];

/// The service under both of its names.
#[must_use]
pub fn services(pod: &Arc<Pod>) -> HashMap<String, Service> {
    let named = |name: &str| {
        let mut made = create_task(Arc::new(Adapter(Arc::clone(pod))));
        made.drain().next().map(|(_, service)| (name.to_owned(), service))
    };
    NAMES.into_iter().filter_map(named).collect()
}

struct Adapter(Arc<Pod>);

/// Who is asked for.
struct Subject<'a> {
    name: &'static str,
    id: &'a str,
    exec_id: &'a str,
}

impl Adapter {
    async fn detached<T, F>(
        &self,
        subject: Subject<'_>,
        begin: impl FnOnce(Arc<Pod>, Operation) -> F,
    ) -> ttrpc::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let Subject { name, id, exec_id } = subject;
        let operation = self.0.operations.begin(name, id, exec_id);
        let answer = tokio::spawn(begin(Arc::clone(&self.0), operation)).await;
        let answer = answer.unwrap_or(Err(Failure::Panicked));
        if let Err(failure) = &answer {
            log::debug!("{name} {id} {exec_id}: {failure}");
        }
        answer.map_err(ttrpc::Error::from)
    }
}

/// One row per RPC: its name on the wire, its method, its request, its answer, and which process is asked for.
macro_rules! rpcs {
    ($($name:literal, $method:ident, $request:ty => $answer:ty, $subject:expr;)*) => {
        #[async_trait]
        impl TaskService for Adapter {
            $(async fn $method(&self, _: &TtrpcContext, request: $request) -> ttrpc::Result<$answer> {
                let of: fn(&$request) -> &str = $subject;
                let (id, exec_id) = (request.id.clone(), of(&request).to_owned());
                let subject = Subject { name: $name, id: &id, exec_id: &exec_id };
                self.detached(subject, |pod, operation| rpc::$method::$method(pod, operation, request)).await
            })*
        }
    };
}

rpcs! {
    "Create", create, api::CreateTaskRequest => api::CreateTaskResponse, |_| "";
    "Start", start, api::StartRequest => api::StartResponse, |it| &it.exec_id;
    "Exec", exec, api::ExecProcessRequest => Empty, |it| &it.exec_id;
    "State", state, api::StateRequest => api::StateResponse, |it| &it.exec_id;
    "Wait", wait, api::WaitRequest => api::WaitResponse, |it| &it.exec_id;
    "Kill", kill, api::KillRequest => Empty, |it| &it.exec_id;
    "Delete", delete, api::DeleteRequest => api::DeleteResponse, |it| &it.exec_id;
    "Pids", pids, api::PidsRequest => api::PidsResponse, |_| "";
    "Pause", pause, api::PauseRequest => Empty, |_| "";
    "Resume", resume, api::ResumeRequest => Empty, |_| "";
    "Checkpoint", checkpoint, api::CheckpointTaskRequest => Empty, |_| "";
    "ResizePty", resize_pty, api::ResizePtyRequest => Empty, |it| &it.exec_id;
    "CloseIO", close_io, api::CloseIORequest => Empty, |it| &it.exec_id;
    "Update", update, api::UpdateTaskRequest => Empty, |_| "";
    "Stats", stats, api::StatsRequest => api::StatsResponse, |_| "";
    "Connect", connect, api::ConnectRequest => api::ConnectResponse, |_| "";
    "Shutdown", shutdown, api::ShutdownRequest => Empty, |_| "";
}

/// After this long an operation is named in the log, and again each time. `Wait` waits for a process, which is its use.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names in the log what does not come to an end, for ever.
pub async fn watch(pod: Arc<Pod>) {
    loop {
        tokio::time::sleep(PATIENCE).await;
        for running in pod.operations.list() {
            let age = running.since.elapsed();
            if running.name != "Wait" && age >= PATIENCE {
                let crate::operations::Running { name, id, exec_id, stage, .. } = &running;
                log::warn!("{name} {id} {exec_id} waits since {} s: {stage}", age.as_secs());
            }
        }
    }
}
