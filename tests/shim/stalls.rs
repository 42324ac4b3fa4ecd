//! A verb that is stuck, one test for each: questions and another container's execs are answered, and the dump names it.
//!
//! Each verb is stuck once in the runtime of a wrapper, and once in our own library. The stalls of `create`, `start` and
//! `delete` are in `questions`: hooks make them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use containerd_shim_protos::api::{
    ConnectRequest, ConnectResponse, CreateTaskResponse, PauseRequest, PidsRequest, PidsResponse,
    ResumeRequest, StartRequest, StartResponse, StatsRequest, StatsResponse, Status, UpdateTaskRequest,
    WaitRequest, WaitResponse,
};
use protobuf::MessageField;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::empty::Empty;
use rustix::fs::FlockOperation;
use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::disk::Disk;
use testkit::fd_socket::FdSocket;
use testkit::hang::{eventually, eventually_some};
use testkit::{Config, Container, process};
use ttrpc::Client;

use crate::disk::root_on_disk;
use crate::questions::remove;
use crate::session::{NAMESPACE, Session, call, sessions};

/// The first container, run by a runtime that stalls in one verb until the file `go` is there.
struct Stalling<'a, 'lab> {
    session: &'a Session<'lab>,
    /// A container of the same shim that is not stuck.
    other: Container<'lab>,
    /// The pid of an exec that runs.
    runs: u32,
}

impl<'a, 'lab> Stalling<'a, 'lab> {
    fn new(session: &'a Session<'lab>, verb: &str) -> Self {
        let path = |name: &str| session.lab.path(name).display().to_string();
        let runc = session.lab.binary().display();
        let (armed, stalled, go) = (path("armed"), path("stalled"), path("go"));
        let text = format!(
            "#!/bin/sh\ncase \" $* \" in *\" {verb} \"*)\n\
             [ -e {armed} ] && touch {stalled} && while [ ! -e {go} ]; do sleep 0.01; done;; esac\n\
             exec {runc} \"$@\"\n"
        );
        let script = session.lab.write("wrapper", &text);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = script.display().to_string());
        let _made: CreateTaskResponse = session.ok("Create", &request);
        session.start_process(session.first().id(), "").unwrap();
        let runs = session.exec("runs", &["/bin/sleep", "1000000"]);
        end_one(session);
        session.lab.write("armed", "");
        Self { session, other: other(session), runs }
    }

    /// Asks for the verb, and looks around while it is stuck; `stage` is what the dump says that it waits for.
    fn check(&self, line: &str, ask: impl FnOnce(&Client) + Send) {
        let Self { session, other, runs } = self;
        std::thread::scope(|scope| {
            let client = session.another_client();
            let asked = scope.spawn(move || ask(&client));
            eventually("the verb to stall", || session.lab.path("stalled").exists());
            assert!(matches!(session.status(""), Status::RUNNING | Status::PAUSING));
            assert_answers(session, other);
            assert_waits(session, *runs);
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

/// An exec in the first container that is over, and that nobody has deleted.
fn end_one(session: &Session<'_>) {
    session.exec("over", &["/bin/sh", "-c", "exit 5"]);
    assert_eq!(session.wait("over"), 5);
}

/// `Wait` for a process that runs is taken, and answered when that ends.
fn assert_waits(session: &Session<'_>, pid: u32) {
    let id = session.first().id().to_owned();
    let line = format!("Wait container={id:?} exec=\"runs\"");
    std::thread::scope(|scope| {
        let client = session.another_client();
        let request = WaitRequest { id, exec_id: "runs".to_owned(), ..WaitRequest::default() };
        let waits = scope.spawn(move || call::<_, WaitResponse>(&client, "Wait", &request).unwrap());
        assert_dumped(session, &line, "the end of the process");
        process::signal(i32::try_from(pid).unwrap(), Signal::KILL);
        assert_eq!(waits.join().unwrap().exit_status, 137);
    });
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
    assert_eq!(session.wait("over"), 5);
    let mut request = session.exec_request("aside", &["/bin/sh", "-c", "exit 7"]);
    request.id = other.id().to_owned();
    let _added: Empty = session.ok("Exec", &request);
    session.start_process(other.id(), "aside").unwrap();
    assert_eq!(session.exit_of("aside").exit_status, 7);
}

/// The dump has a line that begins so, with the age of the operation and what it waits for.
pub(crate) fn assert_dumped(session: &Session<'_>, line: &str, stage: &str) {
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

/// The process that carries out a verb for the shim.
pub(crate) fn verb_process(session: &Session<'_>) -> i32 {
    let connect: ConnectResponse = session.ok("Connect", &ConnectRequest::new());
    eventually_some("the process of the verb", || verb_process_of(connect.shim_pid))
}

fn verb_process_of(shim: u32) -> Option<i32> {
    let is_one = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"verb")
            && process::stat(*pid).is_some_and(|stat| u32::try_from(stat.ppid) == Ok(shim))
    };
    process::all().into_iter().find(is_one)
}

/// Runs the first container with its root and its state on a disk that takes nothing any more, and with a process that
/// sleeps there uninterruptibly. `None` without the tools for it.
fn on_stalled_disk<'lab>(session: &Session<'lab>) -> Option<Disk<'lab>> {
    let disk = root_on_disk(session)?;
    let mut request = session.create_request(session.first());
    let root = session.lab.path("disk/state").display().to_string();
    Session::options(&mut request, |options| options.root = root);
    let _made: CreateTaskResponse = session.ok("Create", &request);
    session.start_process(session.first().id(), "").unwrap();
    end_one(session);
    disk.freeze();
    let sleeper = session.exec("sleeps", &["/bin/sh", "-c", "echo x > /file"]);
    let sleeper = i32::try_from(sleeper).unwrap();
    eventually("the sleep", || process::status_line(sleeper, "State").starts_with('D'));
    Some(disk)
}

/// Asks for a verb that our library carries out and that is held up until `release`, and looks around. It gives up by
/// itself, some after a tenth of a second: so it is stopped, and asked for again until it could be.
fn check_in_process(session: &Session<'_>, name: &str, ask: impl Fn(&Client) + Send, release: impl FnOnce()) {
    let other = other(session);
    let connect: ConnectResponse = session.ok("Connect", &ConnectRequest::new());
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (client, stopped) = (session.another_client(), &stopped);
        let asked = scope.spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                ask(&client);
            }
        });
        let verb = eventually_some("the process of the verb to be stopped", || {
            let verb = verb_process_of(connect.shim_pid)?;
            process::signal(verb, Signal::STOP);
            // Who sleeps uninterruptibly stops when it wakes.
            let state = || process::stat(verb).map(|stat| stat.state);
            eventually("it to stop or to end", || !matches!(state(), Some('R' | 'S')));
            matches!(state(), Some('T' | 'D')).then_some(verb)
        });
        stopped.store(true, Ordering::SeqCst);
        assert!(matches!(session.status(""), Status::RUNNING | Status::PAUSING));
        assert_answers(session, &other);
        assert_dumped(session, &format!("{name} container={:?}", session.first().id()), "");
        process::signal(verb, Signal::CONT);
        release();
        asked.join().unwrap();
    });
    remove(session, other.id());
    session.remove_first();
}

/// A configuration whose execs as user 1234 sleep in a system call until the descriptor that `socket` receives is closed.
fn asking(session: &Session<'_>, socket: &FdSocket) -> Config {
    let condition = json!({"index": 0, "value": 1234, "op": "SCMP_CMP_EQ"});
    let rule = json!({"names": ["setresuid"], "action": "SCMP_ACT_NOTIFY", "args": [condition]});
    let filter =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket.path(), "syscalls": [rule]});
    Config::new().set("/linux/cgroupsPath", json!(session.first().group())).set("/linux/seccomp", filter)
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

    ours
    /// With the stock shim `State` waits for the lock of the init that is being resumed.
    fn a_resume_that_is_stuck_holds_up_nobody(session) {
        let Stalling { other, .. } = Stalling::new(session, "resume");
        let id = session.first().id().to_owned();
        let _paused: Empty = session.ok("Pause", &PauseRequest { id: id.clone(), ..PauseRequest::default() });
        std::thread::scope(|scope| {
            let (client, request) = (session.another_client(), ResumeRequest { id: id.clone(), ..ResumeRequest::default() });
            let asked = scope.spawn(move || call::<_, Empty>(&client, "Resume", &request));
            eventually("the verb to stall", || session.lab.path("stalled").exists());
            assert_eq!(session.status(""), Status::PAUSED);
            assert_answers(session, &other);
            assert_dumped(session, &format!("Resume container={id:?}"), "the runtime's answer");
            session.lab.write("go", "");
            let _resumed = asked.join().unwrap().unwrap();
        });
        assert_eq!(session.status(""), Status::RUNNING);
        remove(session, other.id());
        session.remove_first();
    }

    ours
    /// The stock shim has runc start an exec, and holds its lock meanwhile.
    fn an_exec_that_is_stuck_in_the_shim_holds_up_nobody(session) {
        let other = other(session);
        let socket = FdSocket::bind(&session.lab.path("listener"));
        session.first().write_config(&asking(session, &socket));
        session.run_first();
        let _of_init = socket.receive();
        session.exec("over", &["/bin/sh", "-c", "exit 5"]);
        let _of_exec = socket.receive();
        let mut request = session.exec_request("e", &["/bin/true"]);
        let spec = request.spec.as_mut().unwrap();
        let mut described: Value = serde_json::from_slice(&spec.value).unwrap();
        described["user"]["uid"] = json!(1234);
        spec.value = described.to_string().into();
        let _added: Empty = session.ok("Exec", &request);
        let id = session.first().id().to_owned();
        std::thread::scope(|scope| {
            let client = session.another_client();
            let start = StartRequest { id: id.clone(), exec_id: "e".into(), ..StartRequest::default() };
            let asked = scope.spawn(move || call::<_, StartResponse>(&client, "Start", &start));
            let agent = socket.receive();
            // Before its child is given up, which takes ten seconds.
            assert_dumped(session, &format!("Start container={id:?} exec=\"e\""), "start the process");
            assert_answers(session, &other);
            drop(agent);
            let refused = asked.join().unwrap().unwrap_err().to_string();
            assert!(refused.contains("set the user id"), "{refused}");
        });
        remove(session, other.id());
        session.remove_first();
    }

    ours
    /// The state lies on a disk that takes no record.
    fn an_update_that_is_stuck_in_our_library_holds_up_nobody(session) {
        let Some(disk) = on_stalled_disk(session) else { return };
        let id = session.first().id().to_owned();
        let update = |client: &Client| {
            let value = b"{\"pids\": {\"limit\": 321}}".to_vec();
            let resources = MessageField::some(Any { value, ..Any::default() });
            let id = id.clone();
            let _updated: Empty =
                call(client, "Update", &UpdateTaskRequest { id, resources, ..UpdateTaskRequest::default() }).unwrap();
        };
        check_in_process(session, "Update", update, || disk.thaw());
    }

    ours
    /// A process that cannot die, in a container all of whose processes are killed.
    fn a_kill_that_is_stuck_in_our_library_holds_up_nobody(session) {
        let request = containerd_shim_protos::api::KillRequest { all: true, ..session.kill_request("", 9) };
        let Some(disk) = on_stalled_disk(session) else { return };
        let kill = |client: &Client| drop(call::<_, Empty>(client, "Kill", &request));
        check_in_process(session, "Kill", kill, || disk.thaw());
    }

    ours
    /// Another command has the right to change the container.
    fn a_pause_that_is_stuck_in_our_library_holds_up_nobody(session) {
        let id = session.first().id().to_owned();
        session.run_first();
        end_one(session);
        let state = session.lab.path("state").join(NAMESPACE).join(&id);
        let held = fs::File::open(state).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
        let request = PauseRequest { id, ..PauseRequest::default() };
        // Refused when its own bound has passed meanwhile.
        let pause = |client: &Client| drop(call::<_, Empty>(client, "Pause", &request));
        check_in_process(session, "Pause", pause, || drop(held));
    }
}
