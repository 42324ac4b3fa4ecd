//! A runtime that the options name is the one that runs: crun, and scripts with any name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{CreateTaskResponse, PidsRequest, PidsResponse, ProcessInfo};
use protobuf::well_known_types::empty::Empty;
use serde_json::{Value, json};
use testkit::hang::eventually;
use testkit::{Lab, partner};

use crate::ctr::{Ctr, lab, ours};
use crate::session::{Session, call, sessions};

/// How many threads of a shim work at once.
const THREADS: usize = 8;

/// A script that notes each call and then becomes the runtime.
fn script(lab: &Lab, name: &str, first: &str, runtime: &Path) -> PathBuf {
    let calls = lab.path("calls");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {}\n{first}\nexec {} \"$@\"\n",
        calls.display(),
        runtime.display()
    );
    let path = lab.write(name, &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn calls(lab: &Lab) -> String {
    fs::read_to_string(lab.path("calls")).unwrap_or_default()
}

/// The life of a container with a runtime that is driven by its command line.
fn life(ctr: &Ctr<'_>, runtime: &Path) {
    let flags = ["--runc-binary", runtime.to_str().unwrap()];
    ctr.run(&[&["--rm"], &flags[..]].concat(), "one", &["/bin/sh", "-c", "echo out; exit 9"])
        .run()
        .code(9)
        .prints("out");
    ctr.sleeper(&flags, "c");
    ctr.exec("c", "e1", &["/bin/sh", "-c", "echo inside; exit 3"]).run().code(3).prints("inside");
    ctr.exec("c", "e2", &["/no/such"]).run().code(1);
    ctr.cli(&["tasks", "pause", "c"]).ok();
    assert!(ctr.cli(&["tasks", "ls"]).ok().stdout.contains("PAUSED"));
    ctr.cli(&["tasks", "resume", "c"]).ok();
    ctr.cli(&["tasks", "ps", "c"]).ok();
    ctr.cli(&["tasks", "metrics", "c"]).ok();
    let exec = ctr.exec("c", "e3", &["/bin/sleep", "4301"]).spawn();
    eventually("the exec to be there", || ctr.cli(&["tasks", "ps", "c"]).ok().stdout.contains("e3"));
    ctr.kill(&["--exec-id", "e3", "--signal", "SIGKILL"], "c").ok();
    exec.wait().code(137);
    ctr.remove("c");
}

/// Compat: crun 1.8, `cgroups in hybrid mode not supported, drop all controllers from cgroupv2`.
fn has_hybrid_controllers() -> bool {
    let controllers = fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers");
    controllers.is_ok_and(|controllers| !controllers.trim().is_empty())
}

#[test]
fn crun_runs_what_it_is_named_for() {
    let (Some(lab), Some(shim), Some(crun)) = (lab(), ours(), partner::find("crun")) else { return };
    if has_hybrid_controllers() {
        return partner::not_run(
            "crun refuses a v2 tree with controllers beside v1; the guest of the tests has v2 alone",
        );
    }
    let ctr = Ctr::start(&lab, &shim);
    life(&ctr, &crun);
    ctr.end();
}

#[test]
fn a_script_named_runc_is_called_for_every_verb() {
    let (Some(lab), Some(shim), Some(runc)) = (lab(), ours(), partner::find("runc")) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let wrapper = script(&lab, "runc", "", &runc);
    life(&ctr, &wrapper);
    let calls = calls(&lab);
    for verb in ["create", "start", "exec", "pause", "resume", "delete"] {
        assert!(calls.lines().any(|line| line.split(' ').any(|word| word == verb)), "{verb}: {calls}");
    }
    ctr.end();
}

/// Stock: the exec hangs for ever, and with it inspect, top and stop of the container.
#[test]
fn a_wrapper_that_floods_its_standard_error_holds_nobody_up() {
    let (Some(lab), Some(shim), Some(runc)) = (lab(), ours(), partner::find("runc")) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let flood = "case \" $* \" in *\" exec \"*) dd if=/dev/zero bs=1000 count=200 2>/dev/null | tr '\\0' x >&2;; esac";
    let wrapper = script(&lab, "flood", flood, &runc);
    ctr.sleeper(&["--runc-binary", wrapper.to_str().unwrap()], "c");
    let exec = ctr.exec("c", "e", &["/bin/sh", "-c", "echo inside; exit 4"]).run();
    exec.code(4).prints("inside");
    ctr.cli(&["tasks", "ps", "c"]).ok();
    ctr.remove("c");
    ctr.end();
}

#[test]
fn the_runc_of_the_distribution_is_ours_and_not_called() {
    let (Some(lab), Some(shim), Some(runc)) = (lab(), ours(), partner::find("runc")) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&["--runc-binary", runc.to_str().unwrap()], "c");
    let state = lab.path("state/test/c/state.json");
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains("\"writer\":\"sluice"), "{}: {text}", state.display());
    ctr.remove("c");
    ctr.end();
}

sessions! {
    #[doc = "As in a namespace with many services, each of which Kubernetes writes into the environment."]
    fn an_exec_by_a_wrapper_has_a_large_environment(session) {
        let wrapper = script(session.lab, "runc", "", session.lab.binary());
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = wrapper.display().to_string());
        let _made: CreateTaskResponse = session.ok("Create", &request);
        session.start_process(session.first().id(), "").unwrap();
        let mut request = session.exec_request("e", &["/bin/sh", "-c", "exit $((${#V0} / 1000 + ${#V199} / 1000))"]);
        let spec = request.spec.as_mut().unwrap();
        let mut described: Value = serde_json::from_slice(&spec.value).unwrap();
        for number in 0..200 {
            described["env"].as_array_mut().unwrap().push(json!(format!("V{number}={}", "\"".repeat(3000))));
        }
        spec.value = described.to_string().into();
        let _added: Empty = session.ok("Exec", &request);
        session.start_process(session.first().id(), "e").unwrap();
        assert_eq!(session.wait("e"), 6);
        assert!(calls(session.lab).contains(" exec "));
        session.remove_first();
    }
}

sessions! {
    ours
    /// Its execs have no group of ours: what they started is found by its parents, as long as these live. The stock shim
    /// kills the leader alone.
    fn a_killed_exec_of_a_wrapper_takes_its_descendants_with_it(session) {
        let (stalled, go) = (session.lab.path("stalled"), session.lab.path("go"));
        fs::create_dir(&stalled).unwrap();
        let stall = format!(
            "case \" $* \" in *\" ps \"*) touch {}/$$; while [ ! -e {} ]; do sleep 0.05; done;; esac",
            stalled.display(),
            go.display()
        );
        let wrapper = script(session.lab, "runc", &stall, session.lab.binary());
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = wrapper.display().to_string());
        let _made: CreateTaskResponse = session.ok("Create", &request);
        session.start_process(session.first().id(), "").unwrap();
        session.exec("e", &["/bin/sh", "-c", "sleep 4007 & setsid sleep 4008 & wait"]);
        let family = || ["4007", "4008"].map(|number| session.lab.running(&["sleep", number]));
        eventually("the family to be complete", || family() == [1, 1]);
        std::thread::scope(|scope| {
            // They have all the threads, so the leader could be dead for long when its children are looked for.
            for _ in 0..THREADS {
                let (client, id) = (session.another_client(), session.first().id().to_owned());
                let request = PidsRequest { id, ..PidsRequest::default() };
                scope.spawn(move || drop(call::<_, PidsResponse>(&client, "Pids", &request)));
            }
            eventually("the threads to be busy", || fs::read_dir(&stalled).unwrap().count() == THREADS);
            let _killed: Empty = session.ok("Kill", &session.kill_request("e", 9));
            session.lab.write("go", "");
        });
        assert_eq!(session.wait("e"), 137);
        eventually("the family to be gone", || family() == [0, 0]);
        session.remove_first();
    }

    ours
    /// containerd 1.7 and 2.0 take such a container for a leftover when they start. With the stock shim that is an error,
    /// and an empty list.
    fn processes_that_a_wrapper_cannot_list_are_told_from_memory(session) {
        let answer = session.lab.write("answer", "exit 1\n");
        let told = format!("case \" $* \" in *\" ps \"*) . {};; esac", answer.display());
        let wrapper = script(session.lab, "runc", &told, session.lab.binary());
        let mut request = session.create_request(session.first());
        Session::options(&mut request, |options| options.binary_name = wrapper.display().to_string());
        let _made: CreateTaskResponse = session.ok("Create", &request);
        let init = session.start_process(session.first().id(), "").unwrap();
        let exec = session.exec("e", &["/bin/sleep", "1000000"]);
        let request = PidsRequest { id: session.first().id().into(), ..PidsRequest::default() };
        for text in ["exit 1\n", "echo '[]'; exit 0\n", "echo PID; exit 0\n"] {
            session.lab.write("answer", text);
            let listed: PidsResponse = session.ok("Pids", &request);
            let known = |process: &ProcessInfo| (process.pid, process.info.is_some());
            let processes: Vec<_> = listed.processes.iter().map(known).collect();
            assert_eq!(processes, [(init, false), (exec, true)], "{text}");
        }
        let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
        assert_eq!(session.wait(""), 137);
        let listed: PidsResponse = session.ok("Pids", &request);
        assert_eq!(listed.processes.first().map(|process| process.pid), Some(init));
        session.remove_first();
    }
}
