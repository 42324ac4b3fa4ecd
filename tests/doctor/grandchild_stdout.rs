//! A grandchild that keeps the output of an exec that has ended.

use rustix::process::Signal;
use testkit::process;

use crate::{blocker, id_of, on_stock};

#[test]
fn the_grandchild_is_named_and_ended() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "sh", "-c", "sleep 1000001 & echo begun; sleep 3"]).spawn();
        exec.wait_stdout("begun");
        lab.step("dockerd would give up after two seconds; others wait for ever, and so does it, stopped");
        let engine = docker.pid();
        process::signal(engine, Signal::STOP);
        let found = doctor.finding("held_stdout", &id);

        lab.step("named");
        assert_eq!((&found["class"], &found["severity"]), (&"EX-26".into(), &"warning".into()));
        assert!(process::describe(blocker(&found)).contains("sleep 1000001"), "{found:#}");

        lab.step("healed");
        doctor.heal(&found, &[]);
        process::signal(engine, Signal::CONT);
        exec.wait().ok();
        docker.ok(&["exec", &id, "true"]);
        docker.ok(&["rm", "--force", "one"]);
    });
}

#[test]
fn a_grandchild_that_lets_go_of_the_output_is_no_finding() {
    on_stock(|_lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        docker.ok(&["exec", &id, "sh", "-c", "sleep 1000001 >/dev/null 2>&1 & exit 0"]);
        docker.ok(&["exec", &id, "sleep", "1.5"]);
        assert_eq!(doctor.now("held_stdout", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}
