//! A dockerd that was stopped by a signal: nobody takes what a container writes, and its program stops as well.

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
