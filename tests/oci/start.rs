//! `start`: lets the parked init go, once.

use testkit::{Config, conformance, process};

conformance! {
    fn the_pid_stays_and_the_program_runs(lab) {
        let c = lab.created(&Config::new());
        let pid = c.pid();
        c.start().ok().prints("");
        c.wait_status("running");
        assert_eq!(c.pid(), pid);
    }

    fn a_running_container_is_not_started_again(lab) {
        let c = lab.sleeper();
        c.start().code(1).says("cannot start an already running container");
    }

    fn a_stopped_container_is_not_started(lab) {
        let c = lab.sleeper();
        c.stop();
        c.start().code(1).says("cannot start a container that has stopped");
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["start", "nobody"]).code(1).says("does not exist");
    }

    fn starting_after_init_was_killed_is_an_error(lab) {
        let c = lab.created(&Config::new());
        let init = process::pidfd(c.pid()).unwrap();
        process::signal(c.pid(), rustix::process::Signal::KILL);
        process::wait_exit(&init, "init");
        c.start().code(1);
        assert_eq!(c.status(), "stopped");
    }

    fn the_exit_status_reaches_the_reaper(lab) {
        let c = lab.created(&Config::new().script("exit 42"));
        let pid = c.pid();
        c.start().ok();
        assert_eq!(process::reap(pid).exit_status(), Some(42));
    }

    fn death_by_signal_reaches_the_reaper(lab) {
        let c = lab.sleeper();
        let pid = c.pid();
        c.kill("KILL").ok();
        assert_eq!(process::reap(pid).terminating_signal(), Some(9));
        assert_eq!(c.status(), "stopped");
    }

    fn a_program_that_vanished_after_create_is_told(lab) {
        let c = lab.created(&Config::new().args(&["/bin/busybox", "sleep", "1000"]));
        let pid = c.pid();
        std::fs::remove_file(c.rootfs("/bin/busybox")).unwrap();
        c.start();
        assert!(!process::reap(pid).exited() || process::stat(pid).is_none());
        assert_eq!(c.status(), "stopped");
    }
}
