//! An exec that waits in the freezer of a paused container.

use testkit::process;

use crate::{blocker, id_of, on_stock};

#[test]
fn the_freezer_is_named_and_thawing_heals() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        docker.ok(&["pause", "one"]);
        lab.step("an exec that does not mind the pause");
        let root = lab.path("dk/exec/runtime-runc/moby");
        let exec = lab.program(lab.binary()).args(["--root"]).args([root]);
        let exec = exec.args(["exec", "--ignore-paused", &id, "true"]).spawn();
        let found = doctor.finding("frozen_exec", &id);

        lab.step("named");
        assert_eq!((&found["class"], &found["severity"]), (&"EX-10".into(), &"critical".into()));
        let parent = process::stat(blocker(&found)).unwrap().ppid;
        assert!(parent == exec.pid(), "{found:#}");
        assert!(found["blocker"]["waits_for"].as_str().unwrap().contains(&docker.group_of(&id)), "{found:#}");
        assert!(!exec.has_ended());

        lab.step("healed");
        doctor.heal(&found, &[]);
        exec.wait().ok();
        docker.ok(&["rm", "--force", "one"]);
    });
}
