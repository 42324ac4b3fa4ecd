//! Report 004, first half: an exec into a container at its memory limit.

use serde_json::json;
use testkit::memory::Memory;
use testkit::{Config, Container, Lab, conformance, hang, hierarchy, process};

use crate::hog;

const LIMIT: u64 = 32 << 20;
const EXECS: usize = 20;

conformance! {
    fn a_full_limit_is_the_answer_not_a_broken_pipe(lab) {
        let c = filled(lab);
        let outputs: Vec<_> = (0..EXECS).map(|_| c.exec(&["true"])).collect();
        eprintln!("{} with the limit full of tmpfs pages:\n{}", lab.runtime().name(), crate::tally(&outputs));
        if lab.is_reference() {
            return;
        }
        for output in outputs {
            match output.status.code() {
                // The program itself ran, to its end or into the limit after execve: its own affair.
                Some(0 | 137) => {}
                // The program's pages made the kernel choose init: from then on there is nothing to exec into.
                _ if c.status() == "stopped" => drop(output.code(255)),
                _ => drop(output.code(255).says("memory")),
            }
        }
    }

    fn an_exec_with_one_mebibyte_free_does_not_kill_the_container(lab) {
        let mut killed = 0;
        for _ in 0..if lab.is_reference() { 2 } else { 5 } {
            let c = hogged(lab, 1024);
            let init = process::pidfd(c.pid()).unwrap();
            let outputs: Vec<_> = (0..4).map(|_| c.exec(&["true"])).collect();
            eprintln!("{}", crate::tally(&outputs));
            killed += u32::from(!process::is_alive(c.pid().max(1)) || c.status() == "stopped");
            drop(init);
            c.delete_force().ok();
        }
        eprintln!("{}: containers killed by an exec: {killed}", lab.runtime().name());
        assert!(lab.is_reference() || killed == 0, "an exec killed {killed} containers");
    }
}

/// A container whose limit is filled by a tmpfs that nobody can reclaim.
fn filled(lab: &Lab) -> Container<'_> {
    let memory = json!({"limit": LIMIT, "swap": LIMIT});
    let config =
        Config::new().set("/linux/resources/memory", memory).mount("/t", "tmpfs", "tmpfs", &["size=1g"]);
    let c = lab
        .started(&config.script("dd if=/dev/zero of=/t/x bs=1M count=24; touch /ready; exec sleep 1000000"));
    hang::eventually("the pages to be taken", || c.rootfs("/ready").exists());
    hang::eventually("init to sleep", || {
        hierarchy::pids(&c.group()) == [c.pid()] && process::status_line(c.pid(), "Name") == "sleep"
    });
    Memory::of(&c.group()).leave_free(0);
    c
}

/// A container whose only process holds all but `free` KiB of the limit.
fn hogged(lab: &Lab, free: u64) -> Container<'_> {
    let memory = json!({"limit": LIMIT, "swap": LIMIT});
    let size = (LIMIT / 2 / 1024).to_string();
    let c = lab.bundle(&Config::new().set("/linux/resources/memory", memory).args(&["/bin/hog", &size]));
    hog::install(lab, &c);
    c.create().ok();
    c.start().ok();
    hang::eventually("the memory to be taken", || c.rootfs("/ready").exists());
    Memory::of(&c.group()).leave_free(free << 10);
    c
}
