//! A process that does not get on: an exec's answer is bounded, names the step, and leaves nothing; a start waits, and
//! names whom it waits for.

use testkit::{Config, hang, hierarchy, process};

use crate::refusal::{exec, hold_before, text, verb};
use crate::truth;

truth! {
    fn a_child_that_does_not_get_on_is_killed_and_its_step_named(lab) {
        let c = lab.sleeper();
        // strace keeps even a killed process until its delay is over.
        let hold = hold_before(lab, "setsid", 14_000_000);
        let output = exec(lab, &c, &[], &["true"]).through_shell(&hold).run().code(255);
        let text = text(&output);
        assert!(text.starts_with("exec: process ") && text.ends_with("; it was killed"), "{text}");
        assert!(text.contains(" did not get past the step to start a session in 10000 ms (state t, waits in "), "{text}");
        hang::eventually("strace to let go", || hierarchy::pids(&c.group()) == [c.pid()]);
        assert_eq!(c.status(), "running");
    }

    fn a_started_init_whose_program_is_slow_to_load_is_waited_for_and_named(lab) {
        // By its path: every place that is tried would be held anew.
        let c = lab.created(&Config::new().args(&["/bin/sleep", "1000000"]));
        let init = c.pid();
        let trace = lab.path("trace");
        let holder = lab
            .program("strace")
            .args(["-qq", "-e", "trace=execve", "-e", "inject=execve:delay_enter=14000000", "-p"])
            .args([&init.to_string(), "-o"])
            .args([&trace])
            .spawn();
        hang::eventually("strace to hold init", || process::status_line(init, "TracerPid") != "0");
        let output = verb(lab, "start", &[]).args([c.id()]).ok();
        let warning = format!("still waiting for container init {init} to execute its program, 10 s (state t, waits in ");
        assert!(output.stderr.contains(&warning), "{output}");
        c.wait_status("running");
        assert_eq!(c.pid(), init);
        c.stop();
        holder.wait();
    }

    fn a_start_of_an_init_that_somebody_stopped_is_answered(lab) {
        let c = lab.created(&Config::new());
        let init = c.pid();
        process::signal(init, rustix::process::Signal::STOP);
        let output = verb(lab, "start", &[]).args([c.id()]).run().code(1);
        let told = "exec: the container stands still: a signal has stopped its init";
        assert_eq!(text(&output), format!("{told} (pid {init}, state T); SIGCONT lets it go on"));
        process::signal(init, rustix::process::Signal::CONT);
        c.wait_status("running");
    }

    fn a_deleted_container_does_not_wait_for_a_child_that_does_not_get_on(lab) {
        let c = lab.sleeper();
        let hold = hold_before(lab, "setsid", 4_000_000);
        let running = exec(lab, &c, &[], &["true"]).through_shell(&hold).spawn();
        let joined = || hierarchy::pids(&c.group()).len() > 1 || running.has_ended();
        hang::eventually("the child to be in the container", joined);
        verb(lab, "delete", &["--force"]).args([c.id()]).ok();
        let text = text(&running.wait().code(255));
        let told = text.starts_with("exec: the container stopped while the exec was in the step to ")
            || text == "exec: container is not running"
            || text == format!("container does not exist: {}", c.id());
        assert!(told, "{text}");
    }
}
