//! Requests to the shim: what comes over its socket and on the standard input of `start`, up to where it is believed.

use container::config::Process;
use containerd_shim_protos::api::{CreateTaskRequest, ExecProcessRequest, UpdateTaskRequest};
use protobuf::Message;
use shim::bootstrap::Given;
use shim::io::Address;
use shim::options::Options;

pub(crate) fn run(bytes: &[u8]) {
    let given = Given::decode(bytes, "ns", "id");
    assert!(!given.answer("unix:///s").is_empty());
    let _ = Options::decode(given.options.as_ref());
    if let Ok(request) = CreateTaskRequest::parse_from_bytes(bytes) {
        let _ = Options::decode(request.options.as_ref());
        for stream in [&request.stdin, &request.stdout, &request.stderr] {
            let _ = Address::parse(stream);
        }
        written_as_read(&request);
    }
    if let Ok(request) = ExecProcessRequest::parse_from_bytes(bytes) {
        let _ = serde_json::from_slice::<Process>(&request.spec.value);
        written_as_read(&request);
    }
    if let Ok(request) = UpdateTaskRequest::parse_from_bytes(bytes) {
        written_as_read(&request);
    }
}

fn written_as_read<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = message.write_to_bytes().unwrap_or_default();
    let again = M::parse_from_bytes(&bytes);
    assert!(again.is_ok_and(|again| again == *message), "{message:?}");
}
