//! Which call is allowed when, and with which code the others are refused.

use containerd_shim_protos::api::{
    CheckpointTaskRequest, ConnectRequest, ConnectResponse, DeleteResponse, PauseRequest, PidsRequest,
    PidsResponse, ResizePtyRequest, ResumeRequest, Status, UpdateTaskRequest,
};
use containerd_shim_protos::shim::oci::ProcessDetails;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::empty::Empty;
use protobuf::{Message, MessageField};
use rustix::fs::{FileType, Mode};
use serde_json::{Value, json};
use testkit::freezer::Freezer;
use testkit::hang::eventually;
use testkit::process;
use ttrpc::Code;

use crate::session::sessions;

sessions! {
    #[doc = "What is not there is NotFound; `Connect` alone says that no process is."]
    fn an_unknown_id_is_not_found(session) {
        session.refused("State", &session.state_request(""), Code::NOT_FOUND);
        session.refused("Kill", &session.kill_request("", 9), Code::NOT_FOUND);
        session.refused("Delete", &session.delete_request(""), Code::NOT_FOUND);
        session.run_first();
        session.refused("State", &session.state_request("none"), Code::NOT_FOUND);
        session.refused("Kill", &session.kill_request("none", 9), Code::NOT_FOUND);
        session.refused("Delete", &session.delete_request("none"), Code::NOT_FOUND);
        session.remove_first();
    }

    #[doc = "An id is taken once."]
    fn an_id_is_taken_once(session) {
        let pid = session.run_first();
        session.add_exec("e", &["/bin/true"]).unwrap();
        session.refused("Exec", &session.exec_request("e", &["/bin/true"]), Code::ALREADY_EXISTS);
        if !session.stock_differs("makes a second container over the first one, or says Unknown") {
            let twice = session.create(session.first()).unwrap_err().to_string();
            assert!(twice.contains("exists"), "{twice}");
        }
        assert_eq!(session.state("").pid, pid);
        session.remove_first();
    }

    #[doc = "A process is deleted when it has ended or never ran, and once."]
    fn a_process_is_deleted_once_and_not_while_it_runs(session) {
        session.run_first();
        session.exec("runs", &["/bin/sleep", "1000000"]);
        for exec_id in ["runs", ""] {
            let refused = session.call::<_, Empty>("Delete", &session.delete_request(exec_id));
            assert!(refused.is_err(), "{exec_id:?}");
        }
        if !session.stock_differs("refuses with Unknown") {
            session.refused("Delete", &session.delete_request("runs"), Code::FAILED_PRECONDITION);
        }
        let _killed: Empty = session.ok("Kill", &session.kill_request("runs", 9));
        assert_eq!(session.wait("runs"), 137);
        let deleted: DeleteResponse = session.ok("Delete", &session.delete_request("runs"));
        assert_eq!(deleted.exit_status, 137);
        session.refused("Delete", &session.delete_request("runs"), Code::NOT_FOUND);
        session.add_exec("never", &["/bin/true"]).unwrap();
        let _deleted: DeleteResponse = session.ok("Delete", &session.delete_request("never"));
        session.remove_first();
        session.refused("Delete", &session.delete_request(""), Code::NOT_FOUND);
    }

    #[doc = "Every signal can be sent while a process lives, and none after."]
    fn signals_reach_what_lives(session) {
        session.run_first();
        session.exec("e", &["/bin/sh", "-c", "trap 'exit 5' 64; while :; do sleep 0.01; done"]);
        eventually("the trap", || {
            let path = format!("/proc/{}/status", session.state("e").pid);
            std::fs::read_to_string(path).unwrap().contains("SigCgt:\t8000000")
        });
        let _asked: Empty = session.ok("Kill", &session.kill_request("e", 0));
        let _sent: Empty = session.ok("Kill", &session.kill_request("e", 64));
        assert_eq!(session.wait("e"), 5);
        session.refused("Kill", &session.kill_request("e", 9), Code::NOT_FOUND);
        session.remove_first();
    }

    #[doc = "An end is told to everybody who waits, then and later, and always the same."]
    fn everybody_who_waits_gets_the_same_answer(session) {
        session.run_first();
        session.exec("e", &["/bin/sh", "-c", "read x; exit 9"]);
        assert_eq!(session.wait("e"), 9);
        session.exec("f", &["/bin/sleep", "1000000"]);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| session.wait("f"))).collect();
            let _killed: Empty = session.ok("Kill", &session.kill_request("f", 9));
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), 137);
            }
        });
        assert_eq!(session.wait("f"), 137);
        assert_eq!(session.status("f"), Status::STOPPED);
        session.remove_first();
    }

    #[doc = "In a container that has ended nothing is started, and the refusal says so at once."]
    fn an_exec_in_a_stopped_container_is_refused(session) {
        session.run_first();
        session.add_exec("e", &["/bin/true"]).unwrap();
        let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
        assert_eq!(session.wait(""), 137);
        let refused = session.start_process(session.first().id(), "e").unwrap_err().to_string();
        if !session.stock_differs("says Unknown or \"process already finished\"") {
            assert!(refused.contains("FAILED_PRECONDITION") || refused.contains("stopped"), "{refused}");
        }
        session.remove_first();
    }

    #[doc = "A paused container says so, takes no exec, and goes on."]
    fn a_paused_container_takes_no_exec(session) {
        session.run_first();
        let id = session.first().id().to_owned();
        session.exec("before", &["/bin/sleep", "1000000"]);
        let _paused: Empty = session.ok("Pause", &PauseRequest { id: id.clone(), ..PauseRequest::default() });
        assert_eq!(session.status(""), Status::PAUSED);
        assert_eq!(session.status("before"), Status::PAUSED);
        session.add_exec("e", &["/bin/true"]).ok();
        assert!(session.start_process(&id, "e").is_err());
        let _resumed: Empty = session.ok("Resume", &ResumeRequest { id, ..ResumeRequest::default() });
        assert_eq!(session.status(""), Status::RUNNING);
        session.exec("after", &["/bin/true"]);
        assert_eq!(session.wait("after"), 0);
        let paused = session.place("the pause", |event| event.topic == "/tasks/paused");
        let resumed = session.place("the resume", |event| event.topic == "/tasks/resumed");
        assert!(paused < resumed, "pause at {paused}, resume at {resumed}");
        // Nobody tells the shim of this one.
        let freezer = Freezer::of(&session.first().group());
        freezer.freeze();
        session.add_exec("late", &["/bin/true"]).unwrap();
        let refused = session.start_process(session.first().id(), "late").unwrap_err().to_string();
        assert!(refused.contains("paused"), "{refused}");
        freezer.thaw();
        session.remove_first();
    }

    #[doc = "SIGKILL ends a container that stands still, whoever has frozen it: on v1 the signal alone would wait."]
    fn sigkill_ends_a_frozen_container(session) {
        let pause = PauseRequest { id: session.first().id().to_owned(), ..PauseRequest::default() };
        session.run_first();
        let _paused: Empty = session.ok("Pause", &pause);
        assert_eq!(session.remove_first().exit_status, 137);
        let init = i32::try_from(session.run_first()).unwrap();
        // Kernel: on v1 a process with threads that is frozen while it begins a program never stands still.
        eventually("init's program", || process::status_line(init, "Name") == "sleep");
        Freezer::of(&session.first().group()).freeze();
        assert_eq!(session.status(""), Status::RUNNING, "nobody has told the shim");
        assert_eq!(session.remove_first().exit_status, 137);
    }

    #[doc = "New limits are in force when the answer comes."]
    fn limits_are_changed(session) {
        session.run_first();
        let (first, value) = (session.first(), json!({"pids": {"limit": 321}}).to_string().into_bytes());
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".to_owned();
        let resources = MessageField::some(Any { type_url, value, ..Any::default() });
        let request = UpdateTaskRequest { id: first.id().into(), resources, ..UpdateTaskRequest::default() };
        let _updated: Empty = session.ok("Update", &request);
        assert_eq!(first.read_control("pids", "pids.max"), "321");
        assert_eq!(session.status(""), Status::RUNNING);
        session.remove_first();
    }

    #[doc = "The size of a terminal is changed; a process without one has none to change."]
    fn a_terminal_gets_its_size(session) {
        session.run_first();
        let out = session.lab.path("out");
        rustix::fs::mknodat(rustix::fs::CWD, &out, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _reader = std::fs::File::options().read(true).write(true).open(&out).unwrap();
        let script = "until /bin/stty size | /bin/grep '20 60'; do /bin/sleep 0.05; done; exit 8";
        let mut request = session.exec_request("e", &["/bin/sh", "-c", script]);
        let mut spec: Value = serde_json::from_slice(&request.spec.value).unwrap();
        spec["terminal"] = json!(true);
        request.spec.as_mut().unwrap().value = spec.to_string().into();
        (request.terminal, request.stdout) = (true, out.display().to_string());
        let _added: Empty = session.ok("Exec", &request);
        session.start_process(session.first().id(), "e").unwrap();
        let size = ResizePtyRequest {
            id: session.first().id().into(),
            exec_id: "e".into(),
            width: 60,
            height: 20,
            ..ResizePtyRequest::default()
        };
        let _resized: Empty = session.ok("ResizePty", &size);
        assert_eq!(session.wait("e"), 8);
        let _killed: Result<Empty, _> = session.call("ResizePty", &ResizePtyRequest { exec_id: String::new(), ..size });
        assert_eq!(session.status(""), Status::RUNNING);
        session.remove_first();
    }

    #[doc = "A container that has ended is there until it is deleted: containerd takes away what lists no process."]
    fn a_container_that_has_ended_lists_its_init(session) {
        let init = session.run_first();
        let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
        assert_eq!(session.wait(""), 137);
        if !session.stock_differs("lists none") {
            let request = PidsRequest { id: session.first().id().into(), ..PidsRequest::default() };
            let listed: PidsResponse = session.ok("Pids", &request);
            let pids: Vec<u32> = listed.processes.iter().map(|process| process.pid).collect();
            assert_eq!(pids, [init]);
        }
        session.remove_first();
    }

    #[doc = "The processes of a container, with the name of the exec at its leader."]
    fn the_processes_are_listed_with_their_execs(session) {
        let init = session.run_first();
        let exec = session.exec("e", &["/bin/sleep", "1000000"]);
        let request = PidsRequest { id: session.first().id().into(), ..PidsRequest::default() };
        let listed: PidsResponse = session.ok("Pids", &request);
        let mut pids: Vec<u32> = listed.processes.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        let mut expected = vec![init, exec];
        expected.sort_unstable();
        assert_eq!(pids, expected);
        let info = listed.processes.iter().find(|process| process.pid == exec).unwrap().info.clone().unwrap();
        assert!(info.type_url.ends_with("containerd.runc.v1.ProcessDetails"), "{}", info.type_url);
        assert_eq!(ProcessDetails::parse_from_bytes(&info.value).unwrap().exec_id, "e");
        session.remove_first();
    }

    #[doc = "A program that is not there is named, and its exec can be deleted."]
    fn a_missing_program_is_named(session) {
        session.run_first();
        session.add_exec("e", &["/no/such"]).unwrap();
        let refused = session.start_process(session.first().id(), "e").unwrap_err().to_string();
        assert!(refused.contains("no such file or directory"), "{refused}");
        let _deleted: DeleteResponse = session.ok("Delete", &session.delete_request("e"));
        session.remove_first();
    }
}

sessions! {
    ours
    /// Somebody else has thawed or frozen it. The stock shim has no note that could be wrong: it asks runc.
    fn a_refused_pause_or_resume_tells_where_the_container_is(session) {
        session.run_first();
        let (id, freezer) = (session.first().id().to_owned(), Freezer::of(&session.first().group()));
        let pause = PauseRequest { id: id.clone(), ..PauseRequest::default() };
        let resume = ResumeRequest { id, ..ResumeRequest::default() };
        let _paused: Empty = session.ok("Pause", &pause);
        freezer.thaw();
        session.refused("Resume", &resume, Code::FAILED_PRECONDITION);
        assert_eq!(session.status(""), Status::RUNNING);
        session.exec("e", &["/bin/true"]);
        assert_eq!(session.wait("e"), 0);
        freezer.freeze();
        session.refused("Pause", &pause, Code::FAILED_PRECONDITION);
        assert_eq!(session.status(""), Status::PAUSED);
        let _resumed: Empty = session.ok("Resume", &resume);
        assert_eq!(session.status(""), Status::RUNNING);
        session.remove_first();
    }

    ours
    /// The stock shim answers `Connect` of an unknown id with NotFound since 1.7, and signal 65 with Unknown.
    fn what_is_wrong_in_itself_is_said_to_be(session) {
        let request = ConnectRequest { id: "none".into(), ..ConnectRequest::default() };
        let answer: ConnectResponse = session.ok("Connect", &request);
        assert_eq!(answer.task_pid, 0);
        session.run_first();
        session.refused("Kill", &session.kill_request("", 65), Code::INVALID_ARGUMENT);
        let mut exec = session.exec_request("", &["/bin/true"]);
        session.refused("Exec", &exec, Code::INVALID_ARGUMENT);
        exec.exec_id = "garbage".into();
        exec.spec.as_mut().unwrap().value = b"{".to_vec();
        let _added: Empty = session.ok("Exec", &exec);
        let refused = session.start_process(session.first().id(), "garbage").unwrap_err().to_string();
        assert!(refused.contains("spec"), "{refused}");
        let checkpoint = CheckpointTaskRequest { id: session.first().id().into(), ..CheckpointTaskRequest::default() };
        session.refused("Checkpoint", &checkpoint, Code::UNIMPLEMENTED);
        session.remove_first();
    }

    ours
    /// The stock shim takes the options of a type it does not know for none.
    fn options_of_an_unknown_type_are_refused(session) {
        let mut request = session.create_request(session.first());
        request.options.as_mut().unwrap().type_url = "x.Options".into();
        let text = session.refused("Create", &request, Code::INVALID_ARGUMENT);
        assert!(text.contains("x.Options"), "{text}");
    }
}
