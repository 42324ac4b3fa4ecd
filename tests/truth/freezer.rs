//! Frozen containers: refused before, bounded when the freeze comes in between, and never thawed by an exec.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use testkit::fd_socket::FdSocket;
use testkit::freezer::Freezer;
use testkit::{Config, Container, Lab, hang, hierarchy, process};

use crate::refusal::{self, exec, refused, text, verb};
use crate::truth;

const PAUSED: &str = "cannot exec in a paused container (use --ignore-paused to override)";

fn frozen_text(c: &Container<'_>) -> String {
    let directory = Freezer::of(&c.group()).directory().display().to_string();
    format!("exec: the container is paused ({directory} is frozen); resume it first")
}

/// An exec whose child is held for three seconds before every system call `name`.
fn held_before(lab: &Lab, c: &Container<'_>, name: &str) -> testkit::Running {
    exec(lab, c, &[], &["sh", "-c", "exit 7"])
        .through_shell(&refusal::hold_before(lab, name, 3_000_000))
        .spawn()
}

truth! {
    fn a_paused_container_is_refused(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        refused(lab, &c, &[], &["true"], PAUSED);
        c.resume().ok();
        c.exec(&["true"]).ok();
    }

    fn a_container_frozen_behind_our_back_is_refused(lab) {
        let c = lab.sleeper();
        Freezer::of(&c.group()).freeze();
        refused(lab, &c, &[], &["true"], PAUSED);
        Freezer::of(&c.group()).thaw();
        c.exec(&["true"]).ok();
    }

    fn a_frozen_level_above_is_named(lab) {
        let c = lab.sleeper();
        let above = Freezer::of(lab.group());
        above.freeze();
        hang::eventually("the container to be paused", || c.status() == "paused");
        let text = format!("exec: the container stands still: {} above its cgroup is frozen; thaw that first", above.directory().display());
        refused(lab, &c, &[], &["true"], &text);
        above.thaw();
        c.exec(&["true"]).ok();
    }

    fn ignore_paused_waits_for_a_bounded_time_and_leaves_the_container_frozen(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        let output = exec(lab, &c, &["--ignore-paused"], &["true"]).run().code(255);
        assert_eq!(text(&output), frozen_text(&c));
        assert_eq!(c.status(), "paused");
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()], "the child is gone though the container is frozen");
        c.resume().ok();
        c.exec(&["true"]).ok();
    }

    fn who_waits_for_a_resume_can_be_told_to_stop(lab) {
        let socket = FdSocket::bind(&lab.path("listener"));
        let rule = json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket.path(), "syscalls": [rule]});
        let with_listener = Config::new().set("/linux/seccomp", profile);
        let signals = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
        let plain = signals.map(|signal| (Config::new(), signal));
        for (config, signal) in plain.into_iter().chain([(with_listener, Signal::INT)]) {
            let c = lab.started(&config);
            c.pause().ok();
            told_to_stop(lab, &c, signal);
            assert_eq!(c.status(), "paused");
            assert_eq!(hierarchy::pids(&c.group()), [c.pid()], "the children are gone though the container is frozen");
        }
    }

    fn a_freeze_at_any_moment_ends_in_the_program_or_in_words(lab) {
        let c = lab.sleeper();
        let mut caught = 0;
        for round in 0..40_u64 {
            let running = exec(lab, &c, &[], &["sh", "-c", "exit 7"]).spawn();
            // Not a wait for anything: the moment of the freeze is what is varied.
            std::thread::sleep(Duration::from_micros(500 * round));
            Freezer::of(&c.group()).freeze();
            caught += u32::from(!running.has_ended());
            Freezer::of(&c.group()).thaw();
            let output = running.wait();
            match output.status.code() {
                Some(7) => {}
                Some(255) => {
                    let text = text(&output);
                    assert!(text == PAUSED || text == frozen_text(&c), "round {round}: {text}");
                }
                _ => panic!("round {round}: {output}"),
            }
        }
        eprintln!("{caught} of 40 execs were under way when the freeze came");
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
    }

    fn a_child_frozen_before_setgroups_ends_in_bounded_time(lab) {
        caught_before(lab, "setgroups");
    }

    fn a_child_frozen_before_setresuid_ends_in_bounded_time(lab) {
        caught_before(lab, "setresuid");
    }

    fn a_child_frozen_before_capset_ends_in_bounded_time(lab) {
        caught_before(lab, "capset");
    }

    fn a_child_frozen_before_close_range_ends_in_bounded_time(lab) {
        caught_before(lab, "close_range");
    }

    fn a_child_frozen_before_execve_ends_in_bounded_time(lab) {
        caught_before(lab, "execve");
    }

    fn delete_force_ends_a_paused_container(lab) {
        let c = lab.sleeper();
        c.pause().ok();
        let init = process::pidfd(c.pid()).unwrap();
        verb(lab, "delete", &["--force"]).args([c.id()]).ok();
        process::wait_exit(&init, "init");
    }
}

/// Tells one of two who wait for a resume to stop, then the other; the first has not waited as long as it would have.
fn told_to_stop(lab: &Lab, c: &Container<'_>, signal: Signal) {
    let waits = |children: usize| {
        let running = exec(lab, c, &["--ignore-paused"], &["true"]).spawn();
        hang::eventually("the child to be in the container", || hierarchy::pids(&c.group()).len() > children);
        running
    };
    let (older, told) = (waits(1), waits(2));
    told.signal(signal);
    let expected = format!("{}; given up on signal {}", frozen_text(c), signal.as_raw());
    assert_eq!(text(&told.wait().code(255)), expected);
    assert!(!older.has_ended(), "who began earlier and was not told to stop was done before");
    older.signal(signal);
    assert_eq!(text(&older.wait().code(255)), expected);
}

/// Freezes the container while the child of an exec is held before one of its system calls.
fn caught_before(lab: &Lab, step: &str) {
    let c = lab.sleeper();
    let init = c.pid();
    let running = held_before(lab, &c, step);
    hang::eventually(&format!("the child to be in the container before {step}"), || {
        hierarchy::pids(&c.group()).len() > 1 || running.has_ended()
    });
    assert!(!running.has_ended(), "{step}: {}", running.stderr());
    // strace holds the child: it takes the freeze when it is let go.
    Freezer::of(&c.group()).ask();
    let output = running.wait();
    let text = match output.status.code() {
        Some(255) => text(&output),
        code => format!("{code:?}"),
    };
    assert_eq!(text, frozen_text(&c), "{step}: {output}");
    assert_eq!(c.status(), "paused", "{step}");
    assert_eq!(hierarchy::pids(&c.group()), [init], "{step}: only init is left");
    Freezer::of(&c.group()).thaw();
    c.exec(&["true"]).ok();
}
