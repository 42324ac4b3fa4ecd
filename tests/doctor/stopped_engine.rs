//! A dockerd that was stopped by a signal: nobody takes what a container writes, and its program stops as well. And a
//! stopped shim: nobody answers for its container.

use rustix::process::Signal;
use testkit::docker::IMAGE;
use testkit::process;

use crate::{blocker, chain, id_of, on_stock};

#[test]
fn the_stopped_engine_is_named_behind_the_shim_and_goes_on() {
    on_stock(|lab, docker, doctor| {
        docker.ok(&["run", "-d", "--name=one", "--log-driver=none", IMAGE, "yes"]);
        let id = id_of(docker, "one");
        let engine = docker.pid();
        lab.step("dockerd is stopped, and its pipe fills");
        process::signal(engine, Signal::STOP);
        let found = doctor.finding("full_pipe", &id);

        lab.step("named: not the shim, which reads, but who does not read behind it");
        assert_eq!((&found["class"], &found["severity"]), (&"LO-01".into(), &"critical".into()), "{found:#}");
        assert_eq!(blocker(&found), engine, "{found:#}");
        assert_eq!(chain(&found), ["yes", "containerd-shim-runc-v2", "dockerd"]);

        lab.step("healed: it goes on, and the container with it");
        doctor.heal(&found, &[]);
        assert_eq!(doctor.now("full_pipe", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}

#[test]
fn a_stopped_shim_is_named_and_goes_on() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let init = i32::try_from(docker.inspect("one")["State"]["Pid"].as_i64().unwrap()).unwrap();
        let shim = process::stat(init).unwrap().ppid;
        process::signal(shim, Signal::STOP);
        let exec = docker.cli(&["exec", "one", "echo", "answered"]).spawn();

        lab.step("named");
        let found = doctor.finding("stopped_daemon", &id);
        assert_eq!((found["severity"].as_str(), blocker(&found)), (Some("critical"), shim), "{found:#}");
        assert!(!exec.has_ended());

        lab.step("healed: the exec is answered");
        doctor.heal(&found, &[]);
        exec.wait().prints("answered");
        assert_eq!(doctor.now("stopped_daemon", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}
