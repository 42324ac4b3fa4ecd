//! A state file that an updater rewrites in place, as runc did before 1.0.0-rc91.

use testkit::{hang, process};

use crate::{blocker, id_of, on_stock};

#[test]
fn the_updater_is_named_and_ended() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let state = lab.path("dk/exec/runtime-runc/moby").join(&id).join("state.json");
        let whole = lab.path("whole.json");
        std::fs::copy(&state, &whole).unwrap();

        lab.step("an updater in a loop, as it writes: cut, then filled");
        let script = format!(
            "while :; do {{ head -c 400 {0}; sleep 0.02; tail -c +401 {0}; }} > {1}; sleep 0.01; done",
            whole.display(),
            state.display()
        );
        let updater = lab.program("/bin/sh").args(["-c", &script]).spawn();
        let found = hang::eventually_some("the updater to be caught", || {
            doctor.now("torn_state", &id).filter(|found| found["blocker"]["pid"].is_number())
        });
        assert_eq!(found["class"], "EX-01", "{found:#}");
        assert_eq!(blocker(&found), updater.pid(), "{found:#}");

        lab.step("healed");
        // Between two updates nobody has the file open: then it is asked again.
        let id_of_finding = found["id"].as_str().unwrap();
        hang::eventually("the updater to have ended", || {
            doctor.cli(&["heal", "--apply", id_of_finding, "--remedy", "kill"]).run();
            !process::is_alive(updater.pid())
        });
        std::fs::copy(&whole, &state).unwrap();
        assert_eq!(doctor.now("torn_state", &id), None);
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["rm", "--force", "one"]);
    });
}

#[test]
fn a_file_cut_short_for_good_is_named() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        let state = lab.path("dk/exec/runtime-runc/moby").join(&id).join("state.json");
        let whole = std::fs::read(&state).unwrap();
        std::fs::write(&state, &whole[..whole.len() / 2]).unwrap();
        let refused = docker.cli(&["exec", "one", "true"]).run().code(126);
        assert!(refused.stdout.contains("unexpected EOF"), "{refused}");
        let found = doctor.finding("torn_state", &id);
        assert!(found["blocker"]["name"].as_str().unwrap().ends_with("/state.json"), "{found:#}");
        std::fs::write(&state, &whole).unwrap();
        docker.ok(&["rm", "--force", "one"]);
    });
}
