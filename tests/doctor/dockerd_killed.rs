//! dockerd killed in the middle of an exec: the container and the exec run on, nobody reads them.

use rustix::process::Signal;

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

        lab.step("no program may start a daemon: by hand");
        let refused = doctor.cli(&["heal", "--apply", found["id"].as_str().unwrap()]).run().code(64);
        assert!(refused.stderr.contains("for a person"), "{refused}");
        docker.start_daemon(&settings(lab));
        assert_eq!(doctor.now("engine_gone", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}
