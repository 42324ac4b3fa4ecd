//! A dockerd that cannot start again: it waits for one container, which waits for one process at a full pipe.

use rustix::process::Signal;

use crate::{blocker, id_of, on_stock, settings};

#[test]
fn the_one_process_that_holds_up_the_start_is_named_and_ending_it_heals() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &["--runtime=flood"]);
        docker.sleeper("bystander", &[]);
        let id = id_of(docker, "one");
        let exec = docker.cli(&["exec", &id, "true"]).spawn();
        let cause = doctor.finding("full_pipe", &id);

        lab.step("dockerd is killed and started: it listens and does not serve");
        docker.stop_daemon(Signal::KILL);
        exec.wait();
        docker.begin_daemon(&settings(lab));
        let client = docker.cli(&["ps", "--all"]).spawn();
        let found = doctor.finding("blocked_restart", &id);

        lab.step("named: the process at the pipe, not the daemon");
        assert_eq!((&found["class"], &found["severity"]), (&"IN-07".into(), &"critical".into()), "{found:#}");
        assert_eq!(blocker(&found), blocker(&cause), "{found:#}");
        assert!(!client.has_ended());

        lab.step("healed: one process ended, dockerd serves");
        doctor.heal(&found, &[]);
        let listed = client.wait().ok().stdout;
        assert!(listed.contains("bystander"), "{listed}");
        assert_eq!(doctor.now("blocked_restart", &id), None);
        docker.ok(&["rm", "--force", "one", "bystander"]);
    });
}
