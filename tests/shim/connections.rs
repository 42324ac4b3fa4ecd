//! Connections that break, are many, or speak nonsense.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::{ConnectRequest, ConnectResponse, StateResponse, Status};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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
    /// Ten thousand, or as many as fit: who is connected is served, and so is who comes when they have gone.
    fn many_connections_are_survived(session) {
        session.run_first();
        let shim = session.ok::<_, ConnectResponse>("Connect", &ConnectRequest::new()).shim_pid;
        let before = descriptors(shim);
        let many: Vec<_> = (0..room_for(10_000)).map_while(|_| connect(&session.socket())).collect();
        eprintln!("{} connections; the shim has {} descriptors", many.len(), descriptors(shim));
        assert!(many.len() > 500, "{}", many.len());
        assert_eq!(session.status(""), Status::RUNNING);
        drop(many);
        let client = session.another_client();
        let state: StateResponse = call(&client, "State", &session.state_request("")).unwrap();
        assert_eq!(state.status.enum_value(), Ok(Status::RUNNING));
        eventually("the descriptors to be closed", || descriptors(shim) <= before + 5);
        session.exec("e", &["/bin/sh", "-c", "exit 3"]);
        assert_eq!(session.wait("e"), 3);
        session.remove_first();
    }
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Sees to it that this process may have as many connections, or gives how many it may have.
fn room_for(wanted: u64) -> u64 {
    const OTHERS: u64 = 300;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX).min(wanted + OTHERS).max(current.unwrap_or(u64::MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).unwrap();
    wanted.min(most - OTHERS)
}

/// A connection; `None` when a minute has not been enough to be taken, since the shim takes no more.
fn connect(socket: &Path) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connection = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let address = SocketAddrUnix::new(socket).unwrap();
    // A full backlog is emptied as fast as the shim accepts.
    (0..6000).find_map(|_| match rustix::net::connect(&connection, &address) {
        Ok(()) => Some(()),
        Err(_) => {
            std::thread::sleep(Duration::from_millis(10));
            None
        }
    })?;
    Some(connection)
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
