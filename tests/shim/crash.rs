//! The truth after a crash: of the shim, of containerd, of dockerd, each killed while execs run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use testkit::command::Running;
use testkit::docker::Docker;
use testkit::hang::eventually;
use testkit::shim::Shim;
use testkit::{Lab, hierarchy, process};

use crate::ctr::{self, Ctr, bundle, end_shims, kill_shim, lab, ours, shim_of};

/// Longer than the stock shim tries to tell of an exit: five times, 15 seconds in all. After 12 it is luck.
const OUTAGE: Duration = Duration::from_secs(20);

/// dockerd's namespace in containerd.
const MOBY: &str = "moby";

/// Takes everything down.
fn end(docker: Docker<'_>, lab: &Lab) {
    end_shims(lab);
    drop(docker);
    lab.assert_nothing_left();
}

fn id_of(docker: &Docker<'_>, name: &str) -> String {
    docker.inspect(name)["Id"].as_str().unwrap().to_owned()
}

/// Whether a process of the lab's containers has this `sleep NUMBER` as its command line.
fn sleeps(lab: &Lab, number: u32) -> bool {
    lab.running(&["sleep", &number.to_string()]) > 0
}

/// Stock: the client is there for ever; containerd tells of the container's end, and nobody of the exec's.
#[test]
fn a_docker_exec_ends_when_the_shim_is_killed() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let docker = Docker::start_with_shim(&lab, &shim);
    docker.sleeper("box", &[]);
    let bundle = bundle(&lab, MOBY, &id_of(&docker, "box"));
    let exec = docker.cli(&["exec", "box", "sleep", "4101"]).spawn();
    eventually("the exec to run", || sleeps(&lab, 4101));
    kill_shim(&bundle);
    // 126 when dockerd was still waiting for the answer to its start.
    let ended = exec.wait();
    assert!(matches!(ended.status.code(), Some(137 | 126)), "{}{}", ended.stdout, ended.stderr);
    docker.wait_inspect("box", "/State/Status", &json!("exited"));
    assert_eq!(docker.inspect("box")["State"]["ExitCode"], 137);
    assert!(!sleeps(&lab, 4101), "the exec lives on");
    docker.ok(&["start", "box"]);
    docker.cli(&["exec", "box", "sh", "-c", "exit 4"]).run().code(4);
    docker.ok(&["rm", "-f", "box"]);
    end(docker, &lab);
}

/// An exec that ends with 7 while containerd is away, and one after it that ends with 5.
///
/// Gives the client of the first; its answer is known to have come before that of the second, or not at all.
fn end_during_an_outage(lab: &Lab, docker: &mut Docker<'_>) -> Running {
    docker.sleeper("box", &[]);
    let script = "sleep 4102 & read gate < /gate; kill $!; exit 7";
    docker.ok(&["exec", "box", "mkfifo", "/gate"]);
    let exec = docker.cli(&["exec", "box", "sh", "-c", script]).spawn();
    eventually("the exec to run", || sleeps(lab, 4102));
    // The answer to its start is with dockerd when that of a later one is.
    docker.ok(&["exec", "box", "true"]);
    let root = format!("/proc/{}/root", docker.inspect("box")["State"]["Pid"]);
    docker.containerd.kill();
    fs::OpenOptions::new().write(true).open(format!("{root}/gate")).unwrap();
    eventually("the exec to end", || !sleeps(lab, 4102));
    std::thread::sleep(OUTAGE);
    assert!(!exec.has_ended(), "nobody can have told it");
    docker.containerd.start_again();
    eventually("dockerd to be back with containerd", || {
        docker.cli(&["exec", "box", "sh", "-c", "exit 5"]).run().status.code() == Some(5)
    });
    exec
}

#[test]
fn an_exec_that_ends_while_containerd_is_away_is_told_of_after_its_return() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let mut docker = Docker::start_with_shim(&lab, &shim);
    end_during_an_outage(&lab, &mut docker).wait().code(7);
    docker.ok(&["rm", "-f", "box"]);
    end(docker, &lab);
}

/// What the test above is about: with the stock shim the client waits for ever.
#[test]
fn the_stock_shim_loses_an_exit_while_containerd_is_away() {
    let (Some(lab), Some(shim)) = (lab(), Shim::Stock.find()) else { return };
    let mut docker = Docker::start_with_shim(&lab, &shim);
    let exec = end_during_an_outage(&lab, &mut docker);
    std::thread::sleep(OUTAGE / 2);
    assert!(!exec.has_ended(), "the stock shim has told of it: this test is about nothing");
    drop(exec);
    docker.ok(&["rm", "-f", "box"]);
    end(docker, &lab);
}

/// Stock: the exit is lost with the shim.
#[test]
fn an_exit_that_was_written_down_is_told_as_it_was_though_the_shim_died() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let mut docker = Docker::start_with_shim(&lab, &shim);
    docker.sleeper("box", &[]);
    let bundle = bundle(&lab, MOBY, &id_of(&docker, "box"));
    docker.ok(&["exec", "box", "mkfifo", "/gate"]);
    let exec =
        docker.cli(&["exec", "box", "sh", "-c", "sleep 4103 & read gate < /gate; kill $!; exit 9"]).spawn();
    eventually("the exec to run", || sleeps(&lab, 4103));
    // The answer to its start is with dockerd when that of a later one is.
    docker.ok(&["exec", "box", "true"]);
    let root = format!("/proc/{}/root", docker.inspect("box")["State"]["Pid"]);
    let shim_pid = shim_of(&bundle);
    docker.containerd.kill();
    fs::OpenOptions::new().write(true).open(format!("{root}/gate")).unwrap();
    let journal = bundle.join("sluice.journal");
    eventually("the exit in the journal", || fs::read_to_string(&journal).unwrap().contains("\"status\":9"));
    process::signal(shim_pid, Signal::KILL);
    eventually("the shim to be gone", || !process::is_alive(shim_pid));
    docker.containerd.start_again();
    exec.wait().code(9);
    docker.wait_inspect("box", "/State/Running", &json!(false));
    docker.ok(&["rm", "-f", "box"]);
    end(docker, &lab);
}

#[test]
fn containers_and_execs_outlive_containerd() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let mut ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    for round in 0..5 {
        let exec = format!("e{round}");
        let running = ctr.exec("c", &exec, &["/bin/sleep", "4104"]).spawn();
        eventually("the exec to run", || sleeps(&lab, 4104));
        ctr.containerd.kill();
        ctr.containerd.start_again();
        assert!(sleeps(&lab, 4104), "the exec was ended");
        ctr.exec("c", &format!("{exec}-after"), &["/bin/sh", "-c", "exit 6"]).run().code(6);
        ctr.kill(&["--exec-id", &exec, "--signal", "SIGKILL"], "c").ok();
        eventually("the exec to end", || !sleeps(&lab, 4104));
        drop(running);
    }
    ctr.remove("c");
    ctr.end();
}

#[test]
fn a_killed_shim_leaves_nothing_of_its_container() {
    leaves_nothing(|_| {});
}

#[test]
fn a_killed_shim_leaves_nothing_of_a_container_whose_state_is_torn() {
    leaves_nothing(|state| {
        let file = fs::File::options().write(true).open(state).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    });
}

/// Kills the shim of a container with an exec, after something has happened to its state file.
fn leaves_nothing(happen: fn(&Path)) {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let exec = ctr.exec("c", "e", &["/bin/sleep", "4105"]).spawn();
    eventually("the exec to run", || sleeps(&lab, 4105));
    let (group, state) = (ctr.group("c"), ctr::state(&lab, "c"));
    assert_ne!(hierarchy::pids(&group), Vec::<i32>::new());
    happen(&state.join("state.json"));
    kill_shim(&ctr.bundle("c"));
    eventually("the container to be gone", || hierarchy::existing(&group).is_empty() && !state.exists());
    exec.wait();
    eventually("the task to be gone", || !ctr.cli(&["tasks", "ls", "-q"]).ok().stdout.contains('c'));
    ctr.cli(&["containers", "delete", "c"]).ok();
    ctr.end();
}

/// Compat: dockerd without live-restore ends its containers when it is back.
#[test]
fn dockerd_is_killed_and_finds_its_container_again() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let mut docker = Docker::start_with_shim(&lab, &shim);
    let settings = json!({
        "runtimes": {"tested": {"path": lab.binary()}}, "default-runtime": "tested", "live-restore": true
    });
    docker.stop_daemon(Signal::TERM);
    docker.start_daemon(&settings);
    docker.sleeper("box", &[]);
    let exec = docker.cli(&["exec", "box", "sleep", "4106"]).spawn();
    eventually("the exec to run", || sleeps(&lab, 4106));
    docker.stop_daemon(Signal::KILL);
    exec.wait();
    docker.start_daemon(&settings);
    assert_eq!(docker.inspect("box")["State"]["Running"], true);
    docker.cli(&["exec", "box", "sh", "-c", "exit 3"]).run().code(3);
    docker.ok(&["rm", "-f", "box"]);
    end(docker, &lab);
}

#[test]
fn another_binary_in_the_place_of_a_running_shim_changes_nothing_for_it() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let copy = lab.path("containerd-shim-sluice-v2");
    fs::copy(&shim, &copy).unwrap();
    let mut ctr = Ctr::start(&lab, &copy);
    ctr.sleeper(&[], "old");
    let newer = lab.path("newer");
    fs::copy(&shim, &newer).unwrap();
    fs::rename(&newer, &copy).unwrap();
    ctr.exec("old", "e1", &["/bin/sh", "-c", "exit 3"]).run().code(3);
    ctr.cli(&["tasks", "pause", "old"]).ok();
    ctr.cli(&["tasks", "resume", "old"]).ok();
    ctr.containerd.kill();
    ctr.containerd.start_again();
    ctr.sleeper(&[], "new");
    for id in ["old", "new"] {
        ctr.exec(id, "e2", &["/bin/sh", "-c", "exit 4"]).run().code(4);
        ctr.remove(id);
    }
    ctr.end();
}
