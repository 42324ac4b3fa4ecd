//! `kill`: signals by name and number, to init or to all.

use testkit::disk::Disk;
use testkit::{Config, Container, Lab, conformance, hang, hierarchy, process};

conformance! {
    fn the_default_is_sigterm(lab) {
        let c = trapping(lab, "TERM");
        c.verb("kill", &[], &[]).ok();
        hang::eventually("the trap", || c.rootfs("/got").exists());
    }

    fn signals_have_names_and_numbers(lab) {
        for spelling in ["USR1", "SIGUSR1", "usr1", "10"] {
            let c = trapping(lab, "USR1");
            c.kill(spelling).ok().prints("");
            hang::eventually(spelling, || c.rootfs("/got").exists());
            c.delete_force().ok();
        }
    }

    fn signal_0_asks_only(lab) {
        let c = lab.sleeper();
        c.kill("0").ok();
        assert_eq!(c.status(), "running");
    }

    fn an_unknown_signal_is_refused(lab) {
        let c = lab.sleeper();
        c.kill("SIGNOTHING").code(1).says("SIGNOTHING");
        assert_eq!(c.status(), "running");
    }

    fn a_stopped_container_is_an_error_but_not_with_all(lab) {
        let c = lab.sleeper();
        c.stop();
        let output = c.kill("KILL").code(1).says("container not running");
        if !lab.is_reference() {
            output.says(&format!("container not running: {}", c.id()));
        }
        c.verb("kill", &["--all"], &["KILL"]).ok();
    }

    fn a_created_container_can_be_killed(lab) {
        let c = lab.created(&Config::new());
        c.stop();
        c.delete().ok();
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["kill", "nobody", "KILL"]).code(1).says("does not exist");
    }

    fn all_reaches_every_process(lab) {
        let config = Config::new().without_namespace("pid").script("sleep 1000000 & exec sleep 1000000");
        let c = lab.started(&config);
        hang::eventually("two processes", || hierarchy::pids(&c.group()).len() == 2);
        c.verb("kill", &["--all"], &["KILL"]).ok();
        hang::eventually("nobody left", || hierarchy::pids(&c.group()).is_empty());
        c.wait_status("stopped");
    }

    fn all_reaches_more_processes_than_fit_in_one_batch(lab) {
        let script = "for i in $(seq 150); do sleep 1000000 & done; wait; exec sleep 1000000";
        let c = lab.started(&Config::new().without_namespace("pid").script(script));
        hang::eventually("all processes", || hierarchy::pids(&c.group()).len() == 151);
        c.verb("kill", &["--all"], &["TERM"]).ok();
        hang::eventually("nobody left", || hierarchy::pids(&c.group()).is_empty());
        c.wait_status("stopped");
    }

    fn init_alone_gets_the_signal(lab) {
        let script = "(trap 'touch /child' USR1; while :; do sleep 0.05; done) & \
                      trap 'touch /got' USR1; touch /ready; while :; do sleep 0.05; done";
        let c = lab.started(&Config::new().script(script));
        hang::eventually("the trap to be set", || c.rootfs("/ready").exists());
        c.kill("USR1").ok();
        hang::eventually("the trap", || c.rootfs("/got").exists());
        assert!(!c.rootfs("/child").exists());
    }

    fn sigkill_ends_a_paused_container(lab) {
        let c = lab.sleeper();
        let init = process::pidfd(c.pid()).unwrap();
        c.pause().ok();
        c.kill("KILL").ok();
        process::wait_exit(&init, "init");
        c.wait_status("stopped");
    }

    fn a_signal_waits_while_the_container_is_paused(lab) {
        let c = trapping(lab, "USR1");
        c.pause().ok();
        c.kill("USR1").ok();
        assert_eq!(c.status(), "paused");
        assert!(!c.rootfs("/got").exists());
        c.resume().ok();
        hang::eventually("the trap", || c.rootfs("/got").exists());
    }

    fn sigkill_without_a_pid_namespace_ends_the_children_too(lab) {
        let config = Config::new().without_namespace("pid").script("sleep 1000000 & exec sleep 1000000");
        let c = lab.started(&config);
        hang::eventually("two processes", || hierarchy::pids(&c.group()).len() == 2);
        let lacks = lab.reference_lacks("kill of the whole group without --all: since runc 1.2");
        let flags: &[&str] = if lacks { &["--all"] } else { &[] };
        c.verb("kill", flags, &["KILL"]).ok();
        hang::eventually("nobody left", || hierarchy::pids(&c.group()).is_empty());
    }

    /// Neither does the reference wait: who sleeps uninterruptibly ends when what it waits for comes.
    fn all_answers_while_a_process_sleeps_uninterruptibly(lab) {
        let c = lab.bundle(&Config::new().without_namespace("pid"));
        std::fs::create_dir(c.rootfs("/disk")).unwrap();
        let Some(disk) = Disk::mount(lab, &c.rootfs("/disk")) else { return };
        c.create().ok();
        c.start().ok();
        disk.freeze();
        let writer = c.exec_with(&[], &["sh", "-c", "echo x > /disk/file"]).spawn();
        // The program: the runtime's child before it may wait for a mutex of the kernel while it joins its groups.
        let is_shell = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sh\n");
        let sleeps = |pid: &i32| is_shell(*pid) && process::stat(*pid).is_some_and(|stat| stat.state == 'D');
        let sleeper = hang::eventually_some("the sleep", || others(&c).into_iter().find(sleeps));
        let output = c.verb("kill", &["--all"], &["KILL"]).ok();
        assert_eq!(process::status_line(sleeper, "State"), "D (disk sleep)");
        if !lab.reference_lacks("a word about who has not ended yet") {
            output.says(&format!("process {sleeper} was killed and does not end yet: it is in state D, waits in "));
        }
        disk.thaw();
        writer.wait();
        hang::eventually("nobody left", || hierarchy::pids(&c.group()).is_empty());
    }
}

/// The processes of a container but its init.
fn others(c: &Container<'_>) -> Vec<i32> {
    let init = c.pid();
    hierarchy::pids(&c.group()).into_iter().filter(|pid| *pid != init).collect()
}

/// A container whose init makes `/got` when it gets `signal`, ready to get it.
fn trapping<'lab>(lab: &'lab Lab, signal: &str) -> Container<'lab> {
    let script = format!("trap 'touch /got' {signal}; touch /ready; while :; do sleep 0.05; done");
    let c = lab.started(&Config::new().script(&script));
    hang::eventually("the trap to be set", || c.rootfs("/ready").exists());
    c
}
