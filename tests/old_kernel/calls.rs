//! A container's life where `close_range` knows no flags, pidfds answer no questions and the child cannot be asked for.

use testkit::{Config, process};

use crate::on_linux_5_10;

on_linux_5_10! {
    fn a_container_lives_and_ends(lab) {
        let c = lab.sleeper();
        assert_eq!(c.shell("echo inside"), "inside");
        c.pause().ok();
        c.resume().ok();
        c.stop();
        c.delete().ok();
    }

    fn a_program_that_ends_at_once_has_started(lab) {
        for _ in 0..20 {
            let c = lab.created(&Config::new().args(&["true"]));
            let pid = c.pid();
            let start = c.verb("start", &[], &[]).spawn();
            assert_eq!(process::reap(pid).exit_status(), Some(0));
            start.wait().ok();
        }
    }

    fn an_init_that_dies_before_its_program_has_not_started(lab) {
        let c = lab.created(&Config::new());
        let pid = c.pid();
        process::signal(pid, rustix::process::Signal::KILL);
        process::reap(pid);
        c.start().code(1);
        assert_eq!(c.status(), "stopped");
    }

    fn preserved_descriptors_reach_the_program(lab) {
        let (kept, other) = (lab.write("kept", "kept"), lab.write("other", "other"));
        let c = lab.sleeper();
        let script = "cat <&3; [ ! -e /proc/self/fd/4 ]";
        let exec = c.exec_with(&["--preserve-fds", "1"], &["sh", "-c", script]);
        exec.inherit(&[kept, other]).ok().prints("kept");
    }
}
