//! dockerd killed in the middle of an exec: the container and the exec run on, nobody reads them.

use std::io::{PipeReader, Write as _};
use std::os::fd::OwnedFd;

use rustix::process::Signal;
use serde_json::Value;
use testkit::Output;

use crate::{id_of, on_stock, settings};

#[test]
fn the_missing_engine_is_named_and_starting_it_heals() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "sh", "-c", "echo begun; exec sleep 1000000"]).spawn();
        exec.wait_stdout("begun");
        lab.step("dockerd is killed");
        docker.stop_daemon(Signal::KILL);

        lab.step("named: no engine, and an exec without a client");
        let found = doctor.finding("engine_gone", &id);
        assert_eq!((&found["class"], &found["severity"]), (&"EX-29".into(), &"critical".into()), "{found:#}");
        assert_eq!(found["blocker"]["name"], "dockerd");
        assert!(found.to_string().contains("an exec without a client"), "{found:#}");
        assert_eq!(found["confirmed"], true);
        assert!(found.to_string().contains("left behind without a listener"), "{found:#}");

        lab.step("told after one look already, as seen once");
        let about = |found: &&Value| found["rule"] == "engine_gone" && found["container"] == id.as_str();
        let of = |answer: Value| answer["findings"].as_array().unwrap().iter().find(about).cloned();
        let glance = doctor.cli(&["--json", "--at-once"]).run();
        let answer = glance.json();
        glance.code(exit_code(&answer));
        let once = of(answer).unwrap();
        assert_eq!((&once["id"], &once["confirmed"]), (&found["id"], &Value::Bool(false)), "{once:#}");
        let name = found["id"].as_str().unwrap();
        let told = |text: Output| {
            assert!(text.stdout.contains(name), "{text}");
            text.code(2)
        };
        let text = told(doctor.cli(&[]).run());
        assert!(text.stderr.starts_with("so far") && text.stderr.contains(name), "{text}");
        assert!(!text.stdout.contains("seen      once"), "{text}");

        lab.step("a reader that takes standard error last holds nobody up");
        let (_unread, full) = full_pipe();
        told(doctor.cli(&[]).stderr_to(full).run());

        lab.step("what was confirmed here is confirmed elsewhere");
        let saved = lab.path("gone.snapshot").display().to_string();
        doctor.cli(&["--json", "--save", &saved]).run();
        let elsewhere = of(doctor.cli(&["--json", "--from", &saved]).run().json()).unwrap();
        assert_eq!((&elsewhere["id"], &elsewhere["confirmed"]), (&found["id"], &Value::Bool(true)));

        lab.step("no program may start a daemon: by hand");
        let refused = doctor.cli(&["heal", "--apply", name]).run().code(64);
        assert!(refused.stderr.contains("for a person"), "{refused}");

        lab.step("a dockerd that has just been started for another containerd does not hide it");
        on_stock(|_, _, _| {
            let glance = doctor.cli(&["--json", "--at-once"]).run().json();
            assert!(of(glance).is_some(), "{name}");
        });
        docker.start_daemon(&settings(lab));
        assert_eq!(doctor.now("engine_gone", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}

/// What the findings amount to. The whole host is looked at, so what other tests break may be among them.
fn exit_code(answer: &Value) -> i32 {
    let code = |found: &Value| match (found["severity"].as_str(), found["confirmed"].as_bool()) {
        (Some("critical"), Some(true)) => 2,
        (Some("notice"), _) => 0,
        _ => 1,
    };
    answer["findings"].as_array().unwrap().iter().map(code).max().unwrap()
}

/// A pipe that takes nothing more, and the end at which nobody reads.
fn full_pipe() -> (PipeReader, OwnedFd) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
    writer.write_all(&vec![b'#'; size]).unwrap();
    (reader, writer.into())
}
