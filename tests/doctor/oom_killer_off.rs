//! The memory limit reached and the OOM killer off (cgroup v1): `runc init` sleeps in the kernel.

use serde_json::Value;
use testkit::docker::Docker;
use testkit::doctor::Doctor;
use testkit::{Running, hang, hierarchy, partner, process};

use crate::{blocker, id_of, on_stock};

/// An exec that sleeps for memory, and what the doctor says then. One that a system call refuses memory ends at once,
/// and another is tried.
fn asleep(docker: &Docker<'_>, doctor: &Doctor<'_>, id: &str) -> (Running, Value) {
    let begin = || docker.cli(&["exec", "one", "true"]).spawn();
    let mut exec = begin();
    let found = hang::eventually_some("the runtime's child to be the blocker", || {
        if exec.has_ended() {
            exec = begin();
        }
        doctor.now("oom_killer_off", id).filter(|found| found["severity"] == "critical")
    });
    (exec, found)
}

#[test]
fn the_helper_that_sleeps_for_memory_is_named_and_ended() {
    if !hierarchy::is_v1("memory") {
        partner::not_run("memory.oom_control, by which the killer is switched off, is cgroup v1's alone");
        return;
    }
    on_stock(|lab, docker, doctor| {
        let flags = ["--memory=32m", "--memory-swap=32m", "--oom-kill-disable", "--tmpfs=/t:size=1g"];
        docker.sleeper("one", &flags);
        let id = id_of(docker, "one");

        let control = hierarchy::directory("memory", &docker.group_of(&id)).join("memory.oom_control");
        lab.step("the limit is filled: a system call is refused, a page fault sleeps");
        let filler = docker.cli(&["exec", "one", "dd", "if=/dev/zero", "of=/t/x", "bs=64k"]).spawn();
        hang::eventually("the memory to be filled", || {
            filler.has_ended()
                || std::fs::read_to_string(&control).is_ok_and(|text| text.contains("under_oom 1"))
        });
        let (exec, found) = asleep(docker, doctor, &id);

        lab.step("named: the runtime's child, in state D");
        let helper = blocker(&found);
        assert_eq!(process::stat(helper).unwrap().state, 'D');
        assert_eq!(std::fs::read_to_string(format!("/proc/{helper}/comm")).unwrap(), "runc:[2:INIT]\n");
        assert_eq!(found["class"], "EX-50");
        assert!(!exec.has_ended());

        lab.step("healed: one process ended, the exec answers");
        doctor.heal(&found, &[]);
        exec.wait();
        docker.ok(&["inspect", "one"]);

        lab.step("the next exec sleeps as well, until the killer is on again");
        let (exec, again) = asleep(docker, doctor, &id);
        assert_ne!(again["id"], found["id"]);
        doctor.heal(&again, &["--remedy", "killer"]);
        exec.wait();
        filler.wait();
        docker.ok(&["rm", "--force", "one"]);
    });
}
