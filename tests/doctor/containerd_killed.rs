//! containerd killed: containers, their shims and dockerd live, and every exec is refused.

use rustix::process::Signal;
use testkit::hang;

use crate::{id_of, on_stock, settings};

#[test]
fn the_missing_containerd_is_named_by_the_shims_that_work_for_it() {
    on_stock(|lab, docker, doctor| {
        docker.sleeper("one", &[]);
        let id = id_of(docker, "one");
        docker.containerd.kill();
        // The first may still find the old connection, which is being closed.
        hang::eventually("an exec to be refused for want of containerd", || {
            let refused = docker.cli(&["exec", "one", "true"]).run().code(126);
            refused.to_string().contains("connection refused")
        });
        lab.step("named, with a dockerd and without");
        let named = || {
            let found = doctor.finding("containerd_gone", &id);
            let told = [&found["class"], &found["severity"], &found["blocker"]["name"]];
            assert_eq!(told, ["IN-02", "critical", "containerd"], "{found:#}");
            assert_eq!(found["confirmed"], true, "{found:#}");
            assert!(found.to_string().contains("left behind without a listener"), "{found:#}");
        };
        named();
        docker.stop_daemon(Signal::KILL);
        named();
        lab.step("healed: it is started, and finds its shim");
        docker.containerd.start_again();
        docker.start_daemon(&settings(lab));
        assert_eq!(doctor.now("containerd_gone", &id), None);
        docker.ok(&["rm", "--force", "one"]);
    });
}
