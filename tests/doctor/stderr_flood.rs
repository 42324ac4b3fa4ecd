//! A crash dump larger than the pipe that the shim does not read yet: exec, inspect and stats hang.

use testkit::process;

use crate::{blocker, chain, id_of, on_stock};

#[test]
fn the_process_that_cannot_write_is_named_and_reading_heals() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &["--runtime=flood"]);
        let id = id_of(docker, "one");

        lab.step("an exec hangs, and an inspect behind it");
        let exec = docker.cli(&["exec", &id, "echo", "through"]).spawn();
        let found = doctor.finding("full_pipe", &id);
        let inspect = docker.cli(&["inspect", &id]).spawn();

        lab.step("named: class, process, chain");
        assert_eq!((&found["class"], &found["severity"]), (&"EX-03".into(), &"critical".into()), "{found:#}");
        let state = process::describe(blocker(&found));
        assert!(state.contains("pipe_w") && state.contains("66000"), "{state}");
        let chain = chain(&found);
        assert_eq!(chain[..4], ["docker", "dockerd", "containerd", "containerd-shim-runc-v2"], "{found:#}");
        assert!(!exec.has_ended() && !inspect.has_ended());

        lab.step("healed: both answer, the dump is kept");
        doctor.heal(&found, &[]);
        exec.wait().prints("through");
        inspect.wait().ok();
        let kept: Vec<_> = std::fs::read_dir(lab.path("evidence")).unwrap().collect();
        let text = std::fs::read_to_string(kept[0].as_ref().unwrap().path()).unwrap();
        assert!(text.starts_with("goroutine 1 [running]:"), "{} bytes", text.len());
        assert_eq!(doctor.now("full_pipe", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}

#[test]
fn ending_the_one_process_heals_as_well() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &["--runtime=flood"]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "true"]).spawn();
        let found = doctor.finding("full_pipe", &id);
        lab.step("killed");
        doctor.heal(&found, &["--remedy", "kill"]);
        exec.wait();
        docker.ok(&["inspect", "one"]);
        docker.ok(&["rm", "--force", "one"]);
    });
}
