//! What was begun and comes to nothing: given up by its caller, broken off, or never started.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use containerd_shim_protos::api::{
    CreateTaskResponse, DeleteResponse, PauseRequest, ShutdownRequest, StartRequest, StartResponse, Status,
    WaitRequest, WaitResponse,
};
use protobuf::well_known_types::empty::Empty;
use rustix::process::Signal;
use serde_json::json;
use testkit::freezer::Freezer;
use testkit::hang::{eventually, eventually_some};
use testkit::{Config, process};
use ttrpc::Code;

use crate::questions::Stall;
use crate::session::{NAMESPACE, Session, call, sessions};
use crate::stalls::{assert_dumped, verb_process};

/// A hook of the first container's creation that stalls.
fn stall(session: &Session<'_>) -> Stall {
    let stall = Stall::new(session);
    configure(session, Config::new().hook("createRuntime", &stall.script()));
    stall
}

fn configure(session: &Session<'_>, config: Config) {
    let group = session.first().group();
    session.first().write_config(&config.set("/linux/cgroupsPath", json!(group)));
}

/// Creates the first container, does something as soon as that stalls, and says how the creation was refused.
fn refusal_of_a_create(session: &Session<'_>, stall: &Stall, meanwhile: impl FnOnce()) -> String {
    let (client, request) = (session.another_client(), session.create_request(session.first()));
    std::thread::scope(|scope| {
        let creating = scope.spawn(move || call::<_, CreateTaskResponse>(&client, "Create", &request));
        stall.wait();
        meanwhile();
        creating.join().unwrap().unwrap_err().to_string()
    })
}

/// Nothing is left of the first container, neither a group nor a state.
fn assert_gone(session: &Session<'_>) {
    let group = session.first().control("pids", "cgroup.procs");
    let state = session.lab.path("state").join(NAMESPACE).join(session.first().id());
    eventually("the group and the state to go", || !group.exists() && !state.exists());
}

/// Writes a runtime of that text; gives its path.
fn runtime(session: &Session<'_>, body: &str) -> String {
    let path = session.lab.write("runtime", &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Runs the first container by a runtime that pauses like this; gives its id.
fn run_with_pause(session: &Session<'_>, pause: &str) -> String {
    let runc = session.lab.binary().display();
    let body = format!("case \" $* \" in *\" pause \"*) {pause};; esac\nexec {runc} \"$@\"");
    let name = runtime(session, &body);
    let mut request = session.create_request(session.first());
    Session::options(&mut request, |options| options.binary_name = name);
    let _made: CreateTaskResponse = session.ok("Create", &request);
    let id = session.first().id().to_owned();
    session.start_process(&id, "").unwrap();
    id
}

/// Kills the process of a pause as soon as its runtime has written its pid to `stalled`; gives that pid.
fn break_pause_off(session: &Session<'_>, id: &str) -> i32 {
    let written = || {
        let text = fs::read_to_string(session.lab.path("stalled")).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    };
    std::thread::scope(|scope| {
        let request = PauseRequest { id: id.to_owned(), ..PauseRequest::default() };
        let client = session.another_client();
        let pausing = scope.spawn(move || call::<_, Empty>(&client, "Pause", &request));
        let runtime = eventually_some("the runtime to stall", written);
        process::signal(verb_process(session), Signal::KILL);
        let refused = pausing.join().unwrap().unwrap_err().to_string();
        assert!(refused.contains("ended without an answer"), "{refused}");
        runtime
    })
}

sessions! {
    ours
    /// containerd deletes what its caller has given up, hears that there is no such container, and never comes back. The
    /// stock shim keeps the container that is there in the end; ours removes it, and itself when it was to end.
    fn a_container_that_is_deleted_while_it_is_created_does_not_stay(session) {
        let stall = stall(session);
        let refused = refusal_of_a_create(session, &stall, || {
            session.refused("Delete", &session.delete_request(""), Code::NOT_FOUND);
            let _later: Empty = session.ok("Shutdown", &ShutdownRequest::new());
            stall.end(session);
        });
        assert!(refused.contains("deleted meanwhile"), "{refused}");
        eventually("the socket to go", || !session.socket().exists());
        assert_gone(session);
        assert_eq!(session.events().len(), 0, "nobody was told of a container");
    }

    ours
    /// Whatever of it was made is removed, and the id is free. The stock shim leaves that to who comes next.
    fn a_create_whose_process_is_killed_leaves_nothing(session) {
        let stall = stall(session);
        let kill = || process::signal(verb_process(session), Signal::KILL);
        let refused = refusal_of_a_create(session, &stall, kill);
        assert!(refused.contains("ended without an answer"), "{refused}");
        assert_gone(session);
        stall.end(session);
        configure(session, Config::new());
        session.run_first();
        session.remove_first();
    }

    ours
    /// A line that is longer than a message between the shim and its verbs; the runtime's log is its fourth argument.
    fn a_long_error_of_a_runtime_is_told_by_both_its_ends(session) {
        let line = "{\"level\":\"error\",\"msg\":\"begin%100000s end\"}";
        let name = runtime(session, &format!("printf '{line}' | tr ' ' x > \"$4\"; exit 1"));
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = name);
        let text = session.refused("Create", &request, Code::UNKNOWN);
        assert!(text.contains("beginxxx") && text.contains("xxxend"), "{text}");
    }

    ours
    /// With the stock shim such a `Wait` never ends.
    fn who_waits_for_an_exec_that_never_ran_is_answered_when_its_container_goes(session) {
        session.run_first();
        session.add_exec("never", &["/bin/true"]).unwrap();
        let id = session.first().id().to_owned();
        std::thread::scope(|scope| {
            let client = session.another_client();
            let request = WaitRequest { id: id.clone(), exec_id: "never".into(), ..WaitRequest::default() };
            let waits = scope.spawn(move || call::<_, WaitResponse>(&client, "Wait", &request).unwrap());
            assert_dumped(session, &format!("Wait container={id:?} exec=\"never\""), "the end of the process");
            session.remove_first();
            assert_eq!(waits.join().unwrap().exit_status, 255);
        });
    }

    ours
    /// In a container that has the pids of the host an exec outlives init until it is killed. The stock shim holds back
    /// the exit of init until its call of the runtime has come to an end.
    fn the_exit_of_init_waits_for_the_exits_of_its_execs_and_not_for_their_kill(session) {
        let path = |name: &str| session.lab.path(name).display().to_string();
        let (stalled, go, runc) = (path("stalled"), path("go"), session.lab.binary().display());
        let name = runtime(session, &format!(
            "case \" $* \" in *\" kill \"*) touch {stalled}; while [ ! -e {go} ]; do sleep 0.01; done;; esac\n\
             exec {runc} \"$@\""
        ));
        configure(session, Config::new().without_namespace("pid"));
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = name);
        let _made: CreateTaskResponse = session.ok("Create", &request);
        let init = session.start_process(session.first().id(), "").unwrap();
        let exec = session.exec("e", &["/bin/sleep", "1000000"]);
        process::signal(i32::try_from(init).unwrap(), Signal::KILL);
        eventually("the kill to stall", || session.lab.path("stalled").exists());
        process::signal(i32::try_from(exec).unwrap(), Signal::KILL);
        let id = session.first().id();
        assert_eq!(session.exit_of(id).exit_status, 137);
        assert_dumped(session, &format!("end the execs container={id:?}"), "the runtime's answer");
        assert_eq!(session.exits().iter().map(|exit| exit.id.as_str()).collect::<Vec<_>>(), ["e", id]);
        // That kill knows the container by its id only: before the id is free, it has to be over.
        std::thread::scope(|scope| {
            let (client, request) = (session.another_client(), session.delete_request(""));
            let deleting = scope.spawn(move || call::<_, DeleteResponse>(&client, "Delete", &request));
            assert_dumped(session, &format!("Delete container={id:?}"), "the end of the kill of what outlived init");
            session.lab.write("go", "");
            assert_eq!(deleting.join().unwrap().unwrap().exit_status, 137);
        });
    }

    ours
    /// Its runtime has frozen the container and cannot say so any more.
    fn a_pause_whose_process_is_killed_leaves_nothing_frozen(session) {
        let path = |name: &str| session.lab.path(name).display().to_string();
        let (stalled, go, runc) = (path("stalled"), path("go"), session.lab.binary().display());
        let id = run_with_pause(session, &format!(
            "{runc} \"$@\"; echo $$ > {stalled}; while [ ! -e {go} ]; do sleep 0.01; done; exit 1"
        ));
        break_pause_off(session, &id);
        assert_eq!(session.status(""), Status::RUNNING);
        session.exec("e", &["/bin/true"]);
        assert_eq!(session.wait("e"), 0);
        session.lab.write("go", "");
        session.remove_first();
    }

    ours
    /// Its runtime is on the way, and has a parent between itself and the process that is killed.
    fn a_pause_whose_process_is_killed_freezes_nothing_later(session) {
        let path = |name: &str| session.lab.path(name).display().to_string();
        let (stalled, go, runc) = (path("stalled"), path("go"), session.lab.binary().display());
        let id = run_with_pause(session, &format!(
            "sh -c 'echo $$ > {stalled}; while [ ! -e {go} ]; do sleep 0.01; done; exec {runc} \"$@\"' sh \"$@\"; exit $?"
        ));
        let runtime = break_pause_off(session, &id);
        session.lab.write("go", "");
        eventually("the runtime to end", || !process::is_alive(runtime));
        assert!(Freezer::of(&session.first().group()).is_thawed(), "it was frozen after the thaw");
        assert_eq!(session.status(""), Status::RUNNING);
        let request = PauseRequest { id, ..PauseRequest::default() };
        let _paused: Empty = session.ok("Pause", &request);
        assert_eq!(session.status(""), Status::PAUSED);
        session.remove_first();
    }

    ours
    /// Nobody knows how far it came, so it is no container that can be started once more.
    fn a_start_whose_process_is_killed_ends_its_init(session) {
        let stall = Stall::new(session);
        configure(session, Config::new().hook("poststart", &stall.script()));
        session.create(session.first()).unwrap();
        let id = session.first().id().to_owned();
        std::thread::scope(|scope| {
            let client = session.another_client();
            let request = StartRequest { id: id.clone(), ..StartRequest::default() };
            let starting = scope.spawn(move || call::<_, StartResponse>(&client, "Start", &request));
            stall.wait();
            process::signal(verb_process(session), Signal::KILL);
            let refused = starting.join().unwrap().unwrap_err().to_string();
            assert!(refused.contains("ended without an answer"), "{refused}");
        });
        assert_eq!(session.exit_of(&id).exit_status, 137);
        stall.end(session);
        session.remove_first();
    }
}
