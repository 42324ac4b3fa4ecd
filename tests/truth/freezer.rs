//! Frozen containers: refused before, bounded when the freeze comes in between, and never thawed by an exec.

use std::fs;
use std::time::Duration;

use testkit::{Container, Lab, hang, hierarchy, process};

use crate::refusal::{self, exec, refused, text, verb, write};
use crate::truth;

const PAUSED: &str = "cannot exec in a paused container (use --ignore-paused to override)";

fn freezer(group: &str) -> std::path::PathBuf {
    hierarchy::directory("freezer", group).join("freezer.state")
}

fn is_v1() -> bool {
    let v1 = hierarchy::is_v1("freezer");
    if !v1 {
        testkit::partner::skip("the freezer is not in cgroup v1 here");
    }
    v1
}

fn frozen_text(c: &Container<'_>) -> String {
    let directory = hierarchy::directory("freezer", &c.group());
    format!("exec: the container is paused ({} is frozen); resume it first", directory.display())
}

fn set(c: &Container<'_>, state: &str) {
    let file = freezer(&c.group());
    write(&file, state);
    hang::eventually(&format!("the freezer to be {state}"), || {
        fs::read_to_string(&file).unwrap().trim() == state
    });
}

/// An exec whose child is held for a second before every system call `name`.
fn held_before(lab: &Lab, c: &Container<'_>, name: &str) -> testkit::Running {
    exec(lab, c, &[], &["sh", "-c", "exit 7"])
        .through_shell(&refusal::hold_before(lab, name, 1_000_000))
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
        if !is_v1() {
            return;
        }
        let c = lab.sleeper();
        set(&c, "FROZEN");
        refused(lab, &c, &[], &["true"], PAUSED);
        set(&c, "THAWED");
        c.exec(&["true"]).ok();
    }

    fn a_frozen_level_above_is_named(lab) {
        if !is_v1() {
            return;
        }
        let c = lab.sleeper();
        let above = freezer(lab.group());
        write(&above, "FROZEN");
        hang::eventually("the container to be paused", || c.status() == "paused");
        let directory = hierarchy::directory("freezer", lab.group());
        let text = format!("exec: the container stands still: {} above its cgroup is frozen; thaw that first", directory.display());
        refused(lab, &c, &[], &["true"], &text);
        write(&above, "THAWED");
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

    fn a_freeze_at_any_moment_ends_in_the_program_or_in_words(lab) {
        if !is_v1() {
            return;
        }
        let c = lab.sleeper();
        let mut caught = 0;
        for round in 0..40_u64 {
            let running = exec(lab, &c, &[], &["sh", "-c", "exit 7"]).spawn();
            // Not a wait for anything: the moment of the freeze is what is varied.
            std::thread::sleep(Duration::from_micros(500 * round));
            set(&c, "FROZEN");
            caught += u32::from(!running.has_ended());
            set(&c, "THAWED");
            let output = running.wait();
            match output.status.code() {
                Some(7) => {}
                Some(255) => assert_eq!(text(&output), PAUSED),
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

/// Freezes the container while the child of an exec is held before one of its system calls.
fn caught_before(lab: &Lab, step: &str) {
    if !is_v1() {
        return;
    }
    let c = lab.sleeper();
    let init = c.pid();
    let running = held_before(lab, &c, step);
    hang::eventually(&format!("the child to be in the container before {step}"), || {
        hierarchy::pids(&c.group()).len() > 1 || running.has_ended()
    });
    assert!(!running.has_ended(), "{step}: {}", running.stderr());
    set_freezing(&c);
    let output = running.wait();
    let text = match output.status.code() {
        Some(255) => text(&output),
        code => format!("{code:?}"),
    };
    assert_eq!(text, frozen_text(&c), "{step}: {output}");
    assert_eq!(c.status(), "paused", "{step}");
    assert_eq!(hierarchy::pids(&c.group()), [init], "{step}: only init is left");
    set(&c, "THAWED");
    c.exec(&["true"]).ok();
}

/// Asks for the freeze; a process that strace holds takes it when it is let go.
fn set_freezing(c: &Container<'_>) {
    write(&freezer(&c.group()), "FROZEN");
}
