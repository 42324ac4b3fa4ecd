//! `memory.*`: what the limits do, and how a kill for memory is told.

use std::fs;

use serde_json::json;
use testkit::{hang, process};

use crate::group::{above, directory, exec, limited, text, update, value, write};
use crate::{both, ours};

/// Takes 64 MiB at once.
const HUNGRY: &str = "dd if=/dev/zero of=/dev/null bs=64M count=1";

fn counter(c: &testkit::Container<'_>, key: &str) -> u64 {
    let events = value(c, "memory.events");
    let line = events.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

/// A container whose program does nothing any more, so that its usage stays.
fn settled(lab: &testkit::Lab) -> testkit::Container<'_> {
    let c = lab.sleeper();
    hang::eventually("the program to sleep", || process::status_line(c.pid(), "State").starts_with('S'));
    c
}

both! {
    fn a_program_over_the_limit_is_killed_alone(lab) {
        let limits = json!({"memory": {"limit": 24 << 20, "swap": 24 << 20}});
        let c = lab.started(&limited(&limits));
        assert_ne!(c.exec(&["sh", "-c", HUNGRY]).status.code(), Some(0));
        assert!(counter(&c, "oom_kill") > 0);
        assert_eq!(c.status(), "running");
        c.exec(&["true"]).ok();
    }

    fn with_oom_group_all_die_and_the_caller_lives(lab) {
        let limits = json!({"memory": {"limit": 24 << 20, "swap": 24 << 20}, "unified": {"memory.oom.group": "1"}});
        let c = lab.started(&limited(&limits));
        let init = process::pidfd(c.pid()).unwrap();
        let output = c.exec(&["sh", "-c", HUNGRY]);
        // The program was killed, not the runtime: that ends with a status of its own.
        assert_eq!(output.status.code(), Some(137), "{output}");
        process::wait_exit(&init, "init");
        c.wait_status("stopped");
    }
}

ours! {
    fn memory_high_slows_down_and_does_not_kill(lab) {
        let limits = json!({"memory": {"limit": 96 << 20, "swap": 96 << 20}, "unified": {"memory.high": "16777216"}});
        let c = lab.started(&limited(&limits));
        c.exec(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=20M count=1"]).ok();
        assert!(counter(&c, "high") > 0, "{}", value(&c, "memory.events"));
        assert_eq!(counter(&c, "oom_kill"), 0);
    }

    fn a_limit_below_the_usage_is_set_at_the_cost_of_a_kill_unless_checked(lab) {
        let c = lab.started(&limited(&json!({"memory": {"limit": 96 << 20, "swap": 96 << 20}})));
        // The shell stays, because an `exec` would give its memory back.
        let hold = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1000; echo $x";
        let running = c.exec_with(&[], &["sh", "-c", hold]).spawn();
        hang::eventually("the memory to be used", || {
            value(&c, "memory.current").parse::<u64>().unwrap() > 20_000_000
        });
        let checked = json!({"memory": {"limit": 4 << 20, "swap": 4 << 20, "checkBeforeUpdate": true}});
        let output = update(&c, &checked).run().code(1);
        output.says("linux/resources/memory/limit: 4194304 is below the present usage of ").says("memory.current");
        assert_eq!(value(&c, "memory.max"), (96 << 20).to_string());
        drop(running);
        c.exec(&["true"]).ok();
    }

    fn an_exec_that_finds_no_memory_is_told_with_limit_and_file(lab) {
        let c = settled(lab);
        let file = directory(&c).join("memory.max");
        fs::write(directory(&c).join("memory.swap.max"), "0").unwrap();
        let used = value(&c, "memory.current").parse::<u64>().unwrap();
        write(&file, &used.to_string());
        let output = exec(lab, &c, &["true"]).run().code(255);
        let text = text(&output);
        assert!(text.contains(&format!("memory.max of {}", directory(&c).display())), "{text}");
        assert_eq!(c.status(), "running");
        write(&file, "max");
        c.exec(&["true"]).ok();
    }

    fn a_memory_limit_of_the_group_above_is_named(lab) {
        let c = settled(lab);
        let file = above(lab).join("memory.max");
        write(&above(lab).join("memory.swap.max"), "0");
        let used = fs::read_to_string(above(lab).join("memory.current")).unwrap();
        write(&file, used.trim());
        let output = exec(lab, &c, &["true"]).run().code(255);
        let text = text(&output);
        assert!(text.contains(&format!("memory.max of {} ", above(lab).display())), "{text}");
        write(&file, "max");
        c.exec(&["true"]).ok();
    }

    fn with_oom_group_an_exec_that_dies_with_its_container_says_so(lab) {
        let limits = json!({"memory": {"limit": 24 << 20, "swap": 24 << 20}, "unified": {"memory.oom.group": "1"}});
        let c = lab.started(&limited(&limits));
        let init = process::pidfd(c.pid()).unwrap();
        let trace = lab.path("trace");
        // Held before its program, while somebody else in the container takes all memory.
        let hold = format!(
            "exec strace -f -qq -o '{}' -e trace=execve -e inject=execve:delay_enter=7000000:when=2 \"$@\"",
            trace.display()
        );
        let running = exec(lab, &c, &["true"]).through_shell(&hold).spawn();
        hang::eventually("the child to be in the group", || {
            testkit::hierarchy::pids(&c.group()).len() > 1 || running.has_ended()
        });
        let hungry = c.exec_with(&[], &["sh", "-c", HUNGRY]).spawn();
        process::wait_exit(&init, "init");
        let text = text(&running.wait().code(255));
        assert!(text.starts_with("exec: the container was stopped by an out-of-memory kill during the exec: "), "{text}");
        assert!(text.contains(&format!("memory.max of {}", directory(&c).display())), "{text}");
        drop(hungry);
    }
}
