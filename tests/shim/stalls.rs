//! A verb that is stuck, one test for each: questions and another container's execs are answered, and the dump names it.
//!
//! The stalls of `create`, `start` and `delete` are in `questions`: hooks make them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use containerd_shim_protos::api::{
    ConnectRequest, ConnectResponse, CreateTaskResponse, PauseRequest, PidsRequest, PidsResponse,
    ResumeRequest, StatsRequest, StatsResponse, Status, UpdateTaskRequest,
};
use protobuf::MessageField;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::empty::Empty;
use rustix::process::Signal;
use testkit::hang::{eventually, eventually_some};
use testkit::{Config, Container, process};
use ttrpc::Client;

use crate::questions::remove;
use crate::session::{Session, call, sessions};

/// The first container, run by a runtime that stalls in one verb until the file `go` is there.
struct Stalling<'a, 'lab> {
    session: &'a Session<'lab>,
    /// A container of the same shim that is not stuck.
    other: Container<'lab>,
}

impl<'a, 'lab> Stalling<'a, 'lab> {
    fn new(session: &'a Session<'lab>, verb: &str) -> Self {
        let path = |name: &str| session.lab.path(name).display().to_string();
        let runc = session.lab.binary().display();
        let (stalled, go) = (path("stalled"), path("go"));
        let text = format!(
            "#!/bin/sh\ncase \" $* \" in *\" {verb} \"*) touch {stalled}; while [ ! -e {go} ]; do sleep 0.01; done;; esac\n\
             exec {runc} \"$@\"\n"
        );
        let script = session.lab.write("wrapper", &text);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = script.display().to_string());
        let _made: CreateTaskResponse = session.ok("Create", &request);
        session.start_process(session.first().id(), "").unwrap();
        Self { session, other: other(session) }
    }

    /// Asks for the verb, and looks around while it is stuck; `stage` is what the dump says that it waits for.
    fn check(&self, line: &str, ask: impl FnOnce(&Client) + Send) {
        let Self { session, other } = self;
        std::thread::scope(|scope| {
            let client = session.another_client();
            let asked = scope.spawn(move || ask(&client));
            eventually("the verb to stall", || session.lab.path("stalled").exists());
            assert!(matches!(session.status(""), Status::RUNNING | Status::PAUSING));
            assert_answers(session, other);
            assert_dumped(session, line, "the runtime's answer");
            session.lab.write("go", "");
            asked.join().unwrap();
        });
        remove(session, other.id());
        session.remove_first();
    }
}

/// A second container in the shim of the first, which runs.
fn other<'lab>(session: &Session<'lab>) -> Container<'lab> {
    let other = session.lab.bundle(&Config::new());
    session.create(&other).unwrap();
    session.start_process(other.id(), "").unwrap();
    other
}

/// What must be answered about the first container while something in it is stuck, and an exec in another.
fn assert_answers(session: &Session<'_>, other: &Container<'_>) {
    let id = session.first().id();
    let pids: PidsResponse = session.ok("Pids", &PidsRequest { id: id.into(), ..PidsRequest::default() });
    assert!(!pids.processes.is_empty());
    let _stats: StatsResponse =
        session.ok("Stats", &StatsRequest { id: id.into(), ..StatsRequest::default() });
    let connect: ConnectResponse =
        session.ok("Connect", &ConnectRequest { id: id.into(), ..ConnectRequest::default() });
    assert_eq!(connect.task_pid, session.state("").pid);
    let mut request = session.exec_request("aside", &["/bin/sh", "-c", "exit 7"]);
    request.id = other.id().to_owned();
    let _added: Empty = session.ok("Exec", &request);
    session.start_process(other.id(), "aside").unwrap();
    assert_eq!(session.exit_of("aside").exit_status, 7);
}

/// The dump has a line that begins so, with the age of the operation and what it waits for.
fn assert_dumped(session: &Session<'_>, line: &str, stage: &str) {
    let request = ConnectRequest::new();
    let connect: ConnectResponse = session.ok("Connect", &request);
    let dump = session.first().bundle().join("sluice.dump");
    let found = eventually_some(&format!("{line:?} in the dump"), || {
        process::signal(i32::try_from(connect.shim_pid).unwrap(), Signal::USR1);
        let text = fs::read_to_string(&dump).unwrap_or_default();
        text.lines().map(str::trim).find(|found| found.starts_with(line)).map(str::to_owned)
    });
    assert!(found.contains(" age=") && found.contains(stage) && found.contains(" since="), "{found}");
}

sessions! {
    ours
    /// With the stock shim `Pids` and `Connect` wait for the lock of the exec that is being started.
    fn an_exec_that_is_stuck_holds_up_nobody(session) {
        let stalling = Stalling::new(session, "exec");
        session.add_exec("e", &["/bin/sh", "-c", "exit 3"]).unwrap();
        let id = session.first().id().to_owned();
        let line = format!("Start container={id:?} exec=\"e\"");
        stalling.check(&line, |client| {
            let start = containerd_shim_protos::api::StartRequest { id, exec_id: "e".into(), ..Default::default() };
            let _begun: containerd_shim_protos::api::StartResponse = call(client, "Start", &start).unwrap();
        });
        assert_eq!(session.exit_of("e").exit_status, 3);
    }

    ours
    /// With the stock shim `State` waits for the lock of the init that is being updated.
    fn an_update_that_is_stuck_holds_up_nobody(session) {
        let stalling = Stalling::new(session, "update");
        let id = session.first().id().to_owned();
        let line = format!("Update container={id:?}");
        stalling.check(&line, |client| {
            let value = b"{\"pids\": {\"limit\": 321}}".to_vec();
            let resources = MessageField::some(Any { value, ..Any::default() });
            let _updated: Empty =
                call(client, "Update", &UpdateTaskRequest { id, resources, ..UpdateTaskRequest::default() }).unwrap();
        });
    }

    ours
    /// With the stock shim `State` waits for the lock of the init that is being signalled.
    fn a_kill_that_is_stuck_holds_up_nobody(session) {
        let stalling = Stalling::new(session, "kill");
        let request = containerd_shim_protos::api::KillRequest { all: true, ..session.kill_request("", 12) };
        let line = format!("Kill container={:?}", session.first().id());
        stalling.check(&line, |client| {
            let _sent: Result<Empty, _> = call(client, "Kill", &request);
        });
    }

    ours
    /// With the stock shim `State` waits for the lock of the init that is being paused.
    fn a_pause_that_is_stuck_holds_up_nobody(session) {
        let stalling = Stalling::new(session, "pause");
        let id = session.first().id().to_owned();
        let line = format!("Pause container={id:?}");
        stalling.check(&line, |client| {
            let request = PauseRequest { id: id.clone(), ..PauseRequest::default() };
            let _paused: Empty = call(client, "Pause", &request).unwrap();
            assert_eq!(session.status(""), Status::PAUSED);
            let request = ResumeRequest { id, ..ResumeRequest::default() };
            let _resumed: Empty = call(client, "Resume", &request).unwrap();
        });
    }
}
