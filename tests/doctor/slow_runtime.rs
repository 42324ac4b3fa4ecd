//! A wrapper of the runtime that waits for something in peace: exec and inspect hang, and nothing is full or frozen.

use std::time::Duration;

use crate::{blocker, chain, id_of, on_stock};

#[test]
fn the_last_process_is_named_and_ending_the_runtime_heals() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &["--runtime=slow"]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "true"]).spawn();
        let inspect = docker.cli(&["inspect", &id]).spawn();
        lab.step("seconds are nothing on a busy node");
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(doctor.now("slow_runtime", &id), None);

        lab.step("named after ten: what the wrapper waits for");
        let found = doctor.finding("slow_runtime", &id);
        assert_eq!(
            (&found["severity"], &found["confirmed"]),
            (&"critical".into(), &true.into()),
            "{found:#}"
        );
        assert!(testkit::process::is_alive(blocker(&found)));
        let names = ["docker", "dockerd", "containerd", "containerd-shim-runc-v2", "runc-slow", "sleep"];
        assert_eq!(chain(&found), names, "{found:#}");
        assert!(!exec.has_ended(), "the exec does not hang");

        lab.step("healed: both answer");
        doctor.heal(&found, &[]);
        exec.wait();
        inspect.wait().ok();
        assert_eq!(doctor.now("slow_runtime", &id), None);
        lab.step("what the wrapper had started runs on, as the doctor said it may");
        testkit::process::signal(blocker(&found), rustix::process::Signal::KILL);
        docker.ok(&["rm", "--force", "one"]);
    });
}
