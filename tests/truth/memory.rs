//! Memory limits: who dies, who is told, and whose limit it was.
//!
//! The container's init is a program that holds most of the limit, so that an ordinary victim selection takes it.

use std::path::{Path, PathBuf};

use testkit::memory::Memory;
use testkit::{Config, Container, Lab, Output, compile, hang, hierarchy, process};

use crate::refusal::{self, exec, refused, text, write};
use crate::truth;

const KIB: u64 = 1024;

/// Touches the given number of KiB and then sleeps; never allocates again.
const HOLDER: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int count, char **words) {
    size_t bytes = (size_t)atol(words[1]) << 10;
    char *at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 1, bytes);
    write(1, "held\n", 5);
    for (;;) pause();
}
"#;

/// A container whose init holds 24 MiB.
fn holder(lab: &Lab) -> Container<'_> {
    let program = lab.path("holder");
    if !program.exists() {
        compile::compile(&lab.path(""), "holder", HOLDER);
    }
    let c = lab.bundle(&Config::new().args(&["/holder", "24576"]));
    std::fs::copy(program, c.rootfs("/holder")).unwrap();
    c.create().ok();
    c.start().ok();
    let held = || memory(&c).usage() > 24_576 * KIB;
    hang::eventually("the holder to hold", held);
    c
}

fn memory(c: &Container<'_>) -> Memory {
    Memory::of(&c.group())
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

/// Runs an exec that must be refused for want of room; gives the group whose limit it names.
#[track_caller]
fn no_room(lab: &Lab, c: &Container<'_>) -> PathBuf {
    let output = exec(lab, c, &[], &["true"]).run().code(255);
    let text = text(&output);
    let start = "exec: too little memory left in the container's limit: a start takes 832 KiB, else the container could be killed for it: memory.";
    let rest = text.strip_prefix(start).unwrap_or_else(|| panic!("{text}"));
    let (path, rest) = rest.split_once(" of ").and_then(|(_, rest)| rest.split_once(" is ")).unwrap();
    assert!(
        rest.contains(" bytes, usage ") && rest.ends_with(" bytes kernel caches that can be reclaimed"),
        "{text}"
    );
    assert_eq!((c.status(), hierarchy::pids(&c.group())), ("running".to_owned(), vec![c.pid()]));
    path.into()
}

/// An exec that finds its container full only after it was let in: the limit shrinks while its child is held before
/// the given system calls.
#[track_caller]
fn squeezed(lab: &Lab, c: &Container<'_>, steps: &str) -> Output {
    let hold = refusal::hold_before(lab, steps, 4_000_000);
    let mut refused = String::new();
    // What the processors hold back may leave too little to be let in.
    for _ in 0..10 {
        memory(c).leave_free(1024 * KIB);
        // By its path: every place that is tried would be held anew.
        let running = exec(lab, c, &[], &["/bin/true"]).through_shell(&hold).spawn();
        let is_held = || refusal::is_held(lab, c, steps);
        hang::eventually("the child to be held", || is_held() || running.has_ended());
        if !running.has_ended() {
            memory(c).leave_nothing();
            return running.wait();
        }
        refused = running.wait().to_string();
    }
    panic!("no child came to be held before {steps}: {refused}");
}

/// What became of an exec and of its container, in words.
fn verdict(c: &Container<'_>, output: &Output) -> String {
    let lives = c.status() == "running";
    let init = if lives { "init lives" } else { "init died" };
    let exec = match output.status.code() {
        Some(0) => "the program ran".to_owned(),
        Some(255) => text(output),
        _ => format!("the program was killed: {:?}", output.status),
    };
    format!("{init}; {exec}")
}

truth! {
    fn a_mebibyte_of_room_is_enough_for_the_container_to_survive(lab) {
        let c = holder(lab);
        let mut ran = 0;
        for round in 1..=20 {
            memory(&c).leave_free(1024 * KIB);
            let output = exec(lab, &c, &[], &["true"]).run();
            let verdict = verdict(&c, &output);
            assert!(verdict.starts_with("init lives; "), "round {round}: {verdict}");
            ran += u32::from(verdict.ends_with("the program ran"));
        }
        // The kernel may count up to 64 pages more for each processor than are in use; then there is less room.
        eprintln!("with 1 MiB free the container survived 20 of 20 execs, {ran} of them ran");
        assert!(ran >= 10, "{ran}");
    }

    fn an_exec_into_less_and_less_room_says_who_died(lab) {
        let c = holder(lab);
        for free in (0..=1024).step_by(64) {
            memory(&c).leave_free(free * KIB);
            let output = exec(lab, &c, &[], &["true"]).run();
            let verdict = verdict(&c, &output);
            eprintln!("{free:5} KiB free: {verdict}");
            assert!(verdict.starts_with("init lives"), "{free} KiB free: {verdict}");
        }
    }

    fn an_exec_that_could_cost_the_container_its_life_is_refused(lab) {
        let c = holder(lab);
        for _ in 0..10 {
            memory(&c).leave_free(0);
            assert_eq!(no_room(lab, &c), memory(&c).directory());
        }
        let above = Memory::of(lab.group());
        memory(&c).leave_free(8 * 1024 * KIB);
        above.leave_free(0);
        assert_eq!(no_room(lab, &c), above.directory());
        above.leave_free(8 * 1024 * KIB);
        c.exec(&["true"]).ok();
    }

    fn room_that_can_be_reclaimed_is_room(lab) {
        let c = holder(lab);
        let before = memory(&c).usage();
        // The kernel may give pages of files back unasked (DAMON), and then there is nothing to be reclaimed.
        hang::eventually("the limit to be set while the pages are there", || {
            memory(&c).limit(1 << 30);
            c.exec(&["sh", "-c", "dd if=/dev/zero of=/cache bs=1M count=8 2>/dev/null; sync"]).ok();
            let usage = memory(&c).usage();
            memory(&c).limit(usage);
            usage > before + 4096 * KIB
        });
        for _ in 0..5 {
            c.exec(&["true"]).ok();
        }
    }

    fn room_that_names_of_files_take_is_room(lab) {
        let c = holder(lab);
        let before = memory(&c).usage();
        // The kernel remembers names that do not exist as well.
        c.exec(&["sh", "-c", "i=0; while [ $i -lt 20000 ]; do [ -e /absent-$i ]; i=$((i+1)); done"]).ok();
        assert!(memory(&c).usage() > before + 2048 * KIB, "the names are charged to the container");
        memory(&c).limit(memory(&c).usage());
        let execs: Vec<_> = (0..5).map(|_| c.exec(&["true"])).collect();
        // The kernel may kill before it has reclaimed the names; the runtime refuses nobody because of them.
        let (run, failed): (Vec<_>, Vec<_>) = execs.iter().partition(|exec| exec.status.success());
        assert!(!run.is_empty(), "{execs:?}");
        assert!(failed.iter().all(|exec| exec.stderr.contains("killed by the kernel")), "{failed:?}");
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
    }

    fn a_child_killed_for_memory_says_so_and_the_container_lives(lab) {
        // The memory is held by a file that no kill gives back, so the child is the best victim there is.
        let c = lab.started(&Config::new().mount("/fill", "tmpfs", "tmpfs", &["size=32m"]));
        c.exec(&["dd", "if=/dev/zero", "of=/fill/x", "bs=1M", "count=24"]).ok();
        let text = text(&squeezed(lab, &c, "setsid").code(255));
        assert!(text.starts_with("exec: killed by the kernel in the step to "), "{text}");
        assert!(text.contains(": out of memory: memory."), "{text}");
        let place = format!(" of {} is ", memory(&c).directory().display());
        assert!(text.contains(&place) && text.ends_with(" after 1 killed (oom_kill +1)"), "{text}");
        assert_eq!(c.status(), "running");
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
    }

    fn an_exec_into_no_room_where_nobody_may_be_killed_says_so(lab) {
        if hierarchy::is_v1("memory") {
            return testkit::partner::not_run("on cgroup v1 a page that nobody can be killed for is asked for again and again");
        }
        let spared = Config::new().set("/process/oomScoreAdj", serde_json::json!(-1000));
        let c = lab.started(&spared.mount("/fill", "tmpfs", "tmpfs", &["size=32m"]));
        c.exec(&["dd", "if=/dev/zero", "of=/fill/x", "bs=1M", "count=24"]).ok();
        // At the third capset the child has its own score for a moment, so that it too may not be killed.
        for steps in ["execve", "capset:when=3"] {
            let before = memory(&c).kills();
            let output = squeezed(lab, &c, steps);
            // What a processor holds back may just do.
            if output.status.code() != Some(0) {
                let text = text(&output.code(255));
                let place = format!(" of {} is ", memory(&c).directory().display());
                assert!(text.starts_with("exec: ") && text.contains("memory.max") && text.contains(&place), "{steps}: {text}");
            }
            // The exec is a victim until its program runs; nobody else may be one.
            let kills = memory(&c).kills() - before;
            assert!(kills <= 1, "{steps}: {kills} were killed");
            assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
        }
    }

    fn a_neighbour_out_of_memory_is_not_blamed(lab) {
        let noisy = holder(lab);
        let c = lab.sleeper();
        memory(&noisy).leave_free(1024 * KIB);
        let before = memory(&noisy).kills();
        let _killed = noisy.exec(&["dd", "if=/dev/zero", "of=/dev/null", "bs=16M", "count=1"]);
        assert_ne!(memory(&noisy).kills(), before, "the neighbour was killed for memory");
        c.exec(&["true"]).ok();
        refused(lab, &c, &[], &["/no/such"], "exec: \"/no/such\": no such file or directory");
    }

    fn out_of_memory_with_the_killer_off_is_refused_at_once(lab) {
        if !can_switch_the_killer_off() {
            return;
        }
        let c = holder(lab);
        // Its own hand must touch the memory: a fault of the kernel on its behalf fails instead of waiting.
        let script = "echo ready; read go; exec /holder 8192";
        let mut grower = exec(lab, &c, &[], &["sh", "-c", script]).stdin_pipe().spawn();
        grower.wait_stdout("ready");
        write(&c.control("memory", "memory.oom_control"), "1");
        memory(&c).leave_free(512 * KIB);
        std::io::Write::write_all(&mut grower.stdin(), b"go\n").unwrap();
        hang::eventually("the container to stand still", || {
            c.read_control("memory", "memory.oom_control").contains("under_oom 1")
        });
        let directory = memory(&c).directory().to_owned();
        let expected = format!(
            "exec: the container stands still out of memory: under_oom=1 oom_kill_disable=1 in \
             {}/memory.oom_control; raise memory.limit_in_bytes or write 0 to memory.oom_control",
            directory.display()
        );
        refused(lab, &c, &[], &["true"], &expected);
        memory(&c).leave_free(16 * 1024 * KIB);
        grower.wait_stdout("held");
        c.exec(&["true"]).ok();
    }

    fn an_exec_into_no_room_with_the_killer_off_ends_in_bounded_time(lab) {
        if !can_switch_the_killer_off() {
            return;
        }
        let c = holder(lab);
        write(&c.control("memory", "memory.oom_control"), "1");
        let output = squeezed(lab, &c, "setsid");
        // What a processor holds back may just do.
        if output.status.code() != Some(0) {
            let text = text(&output.code(255));
            let directory = memory(&c).directory().display().to_string();
            assert!(text.contains(&directory) && text.contains("memory"), "{text}");
        }
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()]);
        memory(&c).leave_free(8 * 1024 * KIB);
        c.exec(&["true"]).ok();
    }

    fn a_kill_of_init_during_the_exec_is_told(lab) {
        let c = holder(lab);
        let init = process::pidfd(c.pid()).unwrap();
        // The child is held once more before execve, or it may be there before init is dead.
        // An init that is preferred over everything else, the exec included.
        write(Path::new(&format!("/proc/{}/oom_score_adj", c.pid())), "1000");
        let text = text(&squeezed(lab, &c, "setsid,execve").code(255));
        process::wait_exit(&init, "init");
        assert!(text.starts_with("exec: the container was stopped by an out-of-memory kill during the exec: out of memory: "), "{text}");
        c.wait_status("stopped");
    }
}
