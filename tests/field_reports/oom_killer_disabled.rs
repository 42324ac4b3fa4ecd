//! Report 004, second half: the OOM killer switched off (cgroup v1), so that whoever wants memory sleeps for ever.

use std::fs;
use std::path::Path;

use serde_json::json;
use testkit::{Config, Container, Lab, conformance, hang, hierarchy};

use crate::hog;

const LIMIT: u64 = 32 << 20;

conformance! {
    fn an_exec_is_answered_while_the_container_sleeps_out_of_memory(lab) {
        if !can_switch_the_killer_off() {
            return;
        }
        let c = starved(lab);
        let before = hierarchy::pids(&c.group());
        let running = c.exec_with(&[], &["true"]).spawn();
        if lab.is_reference() {
            // A helper that asks for memory by a page fault sleeps; one that asks by a system call gets ENOMEM and breaks.
            let helper_sleeps = || {
                let new = hierarchy::pids(&c.group()).into_iter().filter(|pid| !before.contains(pid));
                new.into_iter().any(has_a_sleeping_thread)
            };
            let slept = hang::eventually_some("the helper to sleep for memory, or the exec to have failed", || {
                if helper_sleeps() { Some(true) } else { running.has_ended().then_some(false) }
            });
            assert!(!slept || !running.has_ended(), "the stock runtime waits with its helper");
            heal(&c);
            let output = running.wait();
            eprintln!("stock, {}: {output}", if slept { "after healing" } else { "without a wait" });
            assert!(slept || !output.status.success(), "no memory for the helper: {output}");
        } else {
            let output = running.wait().code(255).says("memory");
            assert!(output.stderr.contains("oom"), "names the cause: {output}");
            hang::eventually("the exec's child to be gone", || hierarchy::pids(&c.group()) == before);
            assert_eq!(c.status(), "running", "a question never waits");
            heal(&c);
        }
        hang::eventually("the OOM killer to choose", || {
            hierarchy::pids(&c.group()).len() < 2
                || c.read_control("memory", "memory.oom_control").contains("under_oom 0")
        });
    }

    fn a_starved_container_is_deleted(lab) {
        if !can_switch_the_killer_off() {
            return;
        }
        let c = starved(lab);
        c.delete_force().ok();
    }
}

/// Whether a thread sleeps uninterruptibly: the stock helper has several, and its first one may not be the one that asks.
fn has_a_sleeping_thread(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.any(|stat| stat.contains(") D "))
}

/// True where an out-of-memory killer can be switched off; else says why there is nothing to run.
fn can_switch_the_killer_off() -> bool {
    let can = hierarchy::is_v1("memory");
    if !can {
        testkit::partner::not_run(
            "memory.oom_control, by which the killer is switched off, is cgroup v1's alone",
        );
    }
    can
}

/// A container at its limit in which a process already sleeps for memory, the OOM killer being off.
fn starved(lab: &Lab) -> Container<'_> {
    let memory = json!({"limit": LIMIT, "swap": LIMIT, "disableOOMKiller": true});
    let c = lab.started(&Config::new().set("/linux/resources/memory", memory));
    hog::install(lab, &c);
    c.exec_with(&["--detach"], &["/bin/hog", "65536"]).ok();
    hang::eventually("the container to be under_oom", || {
        c.read_control("memory", "memory.oom_control").contains("under_oom 1")
    });
    c
}

fn heal(c: &Container) {
    write(&c.control("memory", "memory.oom_control"), "0");
}

fn write(path: &Path, value: &str) {
    rustix::io::write(fs::File::options().write(true).open(path).unwrap(), value.as_bytes()).unwrap();
}
