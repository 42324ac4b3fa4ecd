//! `delete`: only what is stopped, all of it; `--force` whatever it is doing.

use std::fs;

use testkit::{Config, conformance, hierarchy, process};

conformance! {
    fn a_stopped_container_goes_with_its_groups_and_state(lab) {
        let c = lab.sleeper();
        c.stop();
        c.delete().ok().prints("");
        assert!(!lab.root().join(c.id()).exists());
        assert!(hierarchy::existing(&c.group()).is_empty());
        c.verb("state", &[], &[]).run().code(1).says("does not exist");
    }

    fn a_running_container_stays(lab) {
        let c = lab.sleeper();
        c.delete().code(1).says("cannot delete container").says("that is not stopped: running");
        assert_eq!(c.status(), "running");
    }

    fn a_paused_container_stays(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        c.delete().code(1).says("that is not stopped: paused");
        c.resume().ok();
    }

    fn a_created_container_goes_without_force(lab) {
        let c = lab.created(&Config::new());
        let init = process::pidfd(c.pid()).unwrap();
        c.delete().ok();
        process::wait_exit(&init, "init");
    }

    fn force_ends_whatever_runs(lab) {
        let c = lab.started(&Config::new().script("trap '' TERM INT; sleep 1000000 & sleep 1000000"));
        let pids = hierarchy::pids(&c.group());
        c.delete_force().ok();
        assert_eq!(pids.into_iter().filter(|pid| process::is_alive(*pid)).count(), 0);
    }

    fn force_ends_a_paused_container(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        c.delete_force().ok();
    }

    fn force_ends_a_created_container(lab) {
        let c = lab.created(&Config::new());
        c.delete_force().ok();
    }

    fn an_unknown_container_is_an_error_but_not_with_force(lab) {
        lab.run(&["delete", "nobody"]).code(1).says("does not exist");
        lab.run(&["delete", "--force", "nobody"]).ok();
        lab.run(&["delete", "-f", "nobody"]).ok();
    }

    fn the_id_is_free_afterwards(lab) {
        let c = lab.sleeper();
        c.delete_force().ok();
        c.create().ok();
        assert_eq!(c.status(), "created");
    }

    fn force_ends_children_that_share_the_hosts_pid_namespace(lab) {
        let script = "sleep 1000000 & setsid sleep 1000000 & exec sleep 1000000";
        let c = lab.started(&Config::new().without_namespace("pid").script(script));
        testkit::hang::eventually("three processes", || hierarchy::pids(&c.group()).len() == 3);
        let pids = hierarchy::pids(&c.group());
        c.delete_force().ok();
        assert_eq!(pids.into_iter().filter(|pid| process::is_alive(*pid)).count(), 0);
    }

    fn groups_that_the_container_made_go_too(lab) {
        let c = lab.sleeper();
        for controller in ["pids", "memory"] {
            fs::create_dir_all(c.control(controller, "inner/deeper")).unwrap();
        }
        c.delete_force().ok();
        assert!(hierarchy::existing(&c.group()).is_empty());
    }
}
