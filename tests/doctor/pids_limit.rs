//! `pids.max` is reached: an exec fails, or does not, and nobody says why.

use testkit::hierarchy;

use crate::{id_of, on_stock};

#[test]
fn the_full_group_is_named_with_its_counter_and_raising_heals() {
    on_stock(|lab, docker, doctor| {
        let script = "i=1; while [ $i -lt 20 ]; do sleep 1000000 & i=$((i+1)); done; wait";
        docker.ok(&[
            "run",
            "-d",
            "--name=one",
            "--pids-limit=20",
            testkit::docker::IMAGE,
            "sh",
            "-c",
            script,
        ]);
        let id = id_of(docker, "one");
        let found = doctor.finding("pids_limit", &id);

        lab.step("named: the level, the numbers, who fills it");
        let directory = hierarchy::directory("pids", &docker.group_of(&id));
        let text = found.to_string();
        assert_eq!(found["class"], "EX-04");
        assert!(text.contains("20 of 20") && text.contains(directory.to_str().unwrap()), "{found:#}");
        assert!(text.contains("sleep"), "{found:#}");

        lab.step("healed");
        doctor.heal(&found, &[]);
        assert_ne!(std::fs::read_to_string(directory.join("pids.max")).unwrap(), "20\n");
        docker.ok(&["exec", "one", "true"]);
        docker.ok(&["rm", "--force", "one"]);
    });
}
