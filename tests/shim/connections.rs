//! Connections that break, are many, or speak nonsense.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use containerd_shim_protos::api::{ConnectRequest, ConnectResponse, StateResponse, Status};
use testkit::hang::eventually;
use ttrpc::Code;

use crate::session::{call, call_of, sessions};

sessions! {
    #[doc = "Two clients at a time see the same container."]
    fn two_clients_are_served(session) {
        session.run_first();
        let other = session.another_client();
        let state: StateResponse = call(&other, "State", &session.state_request("")).unwrap();
        assert_eq!(state.pid, session.state("").pid);
        session.remove_first();
    }
}

sessions! {
    ours
    /// The service has its newer name too; what has no name is no service.
    fn both_names_of_the_service_are_served(session) {
        let request = ConnectRequest { id: "x".into(), ..ConnectRequest::default() };
        let client = session.another_client();
        let _served: ConnectResponse = call_of(&client, "containerd.task.v3.Task", "Connect", &request).unwrap();
        let unknown = call_of::<_, ConnectResponse>(&client, "containerd.task.v3.Task", "Nothing", &request);
        let Err(ttrpc::Error::RpcStatus(status)) = unknown else { panic!("{unknown:?}") };
        assert_eq!(status.code(), Code::UNIMPLEMENTED);
    }

    ours
    /// With a server that drops what it does when the asking connection closes, the exec would be torn.
    fn an_operation_goes_on_when_its_client_has_gone(session) {
        let hook = "while [ ! -e /go ]; do /bin/sleep 0.01; done";
        let slow = session.lab.bundle(&testkit::Config::new().hook("startContainer", hook));
        session.create(&slow).unwrap();
        let mut stream = UnixStream::connect(session.socket()).unwrap();
        let request = start_frame(slow.id());
        stream.write_all(&request).unwrap();
        eventually("the operation to begin", || {
            let request = containerd_shim_protos::api::StateRequest { id: slow.id().into(), ..Default::default() };
            let state: StateResponse = session.ok("State", &request);
            state.status.enum_value() == Ok(Status::CREATED)
        });
        drop(stream);
        session.lab.write(&format!("{}/rootfs/go", slow.id()), "");
        eventually("the container to run", || {
            let request = containerd_shim_protos::api::StateRequest { id: slow.id().into(), ..Default::default() };
            let state: StateResponse = session.ok("State", &request);
            state.status.enum_value() == Ok(Status::RUNNING)
        });
        session.place("its start", |event| event.topic == "/tasks/start");
        crate::questions::remove(session, slow.id());
    }

    ours
    /// Bytes that are no request end their own connection at most.
    fn garbage_harms_nobody(session) {
        session.run_first();
        let frames: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\n\r\n",
            &[0xff; 64],
            &[0; 10],
            // A request that says to be longer than any may be, and one that is empty.
            &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0],
            &[0, 0, 0, 0, 0, 0, 0, 1, 1, 0],
        ];
        for frame in frames {
            let mut stream = UnixStream::connect(session.socket()).unwrap();
            let _taken = stream.write_all(frame);
        }
        assert_eq!(session.status(""), Status::RUNNING);
        session.remove_first();
    }

    ours
    /// More connections than it has descriptors for: it serves again when they are closed.
    fn many_connections_are_survived(session) {
        session.run_first();
        let many: Vec<_> = (0..2000).map_while(|_| UnixStream::connect(session.socket()).ok()).collect();
        assert_eq!(session.status(""), Status::RUNNING);
        drop(many);
        let client = session.another_client();
        let state: StateResponse = call(&client, "State", &session.state_request("")).unwrap();
        assert_eq!(state.status.enum_value(), Ok(Status::RUNNING));
        session.remove_first();
    }
}

/// `Start` as it is on the wire: length, stream, type, flags, then the request.
fn start_frame(id: &str) -> Vec<u8> {
    use protobuf::Message as _;
    let start = containerd_shim_protos::api::StartRequest { id: id.into(), ..Default::default() };
    let mut request = ttrpc::Request::new();
    request.service = "containerd.task.v2.Task".into();
    request.method = "Start".into();
    request.payload = start.write_to_bytes().unwrap();
    let body = request.write_to_bytes().unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &1_u32.to_be_bytes(), &[1, 0], &body].concat()
}
