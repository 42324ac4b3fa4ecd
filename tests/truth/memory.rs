//! Memory limits: who dies, who is told, and whose limit it was.
//!
//! The container's init is a program that holds most of the limit, so that an ordinary victim selection takes it.

use std::path::{Path, PathBuf};

use testkit::{Config, Container, Lab, Output, compile, hang, hierarchy, partner, process};

use crate::refusal::{exec, refused, text, write};
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
    let held = || read(&c, "memory.usage_in_bytes") > 24_576 * KIB;
    hang::eventually("the holder to hold", held);
    c
}

fn read(c: &Container<'_>, file: &str) -> u64 {
    c.read_control("memory", file).parse().unwrap()
}

/// Sets the limit of a group so that `free` bytes are left.
fn leave_free(group: &Path, free: u64) {
    let number =
        |file: &str| -> u64 { std::fs::read_to_string(group.join(file)).unwrap().trim().parse().unwrap() };
    for file in ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"] {
        if group.join(file).exists() {
            write(&group.join(file), "-1");
        }
    }
    // Gives back what each processor has charged ahead, so that the usage is what is used.
    if group.join("memory.force_empty").exists() {
        write(&group.join("memory.force_empty"), "0");
    }
    let limit = number("memory.usage_in_bytes") + free;
    for file in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] {
        if group.join(file).exists() {
            write(&group.join(file), &limit.to_string());
        }
    }
}

fn group(c: &Container<'_>) -> PathBuf {
    hierarchy::directory("memory", &c.group())
}

fn is_v1() -> bool {
    let v1 = hierarchy::is_v1("memory");
    if !v1 {
        partner::skip("the memory controller is not in cgroup v1 here");
    }
    v1
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
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        for round in 1..=20 {
            leave_free(&group(&c), 1024 * KIB);
            let output = exec(lab, &c, &[], &["true"]).run();
            assert_eq!(verdict(&c, &output), "init lives; the program ran", "round {round}");
        }
    }

    fn an_exec_into_less_and_less_room_says_who_died(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        for free in (0..=1024).step_by(64) {
            leave_free(&group(&c), free * KIB);
            let output = exec(lab, &c, &[], &["true"]).run();
            let verdict = verdict(&c, &output);
            eprintln!("{free:5} KiB free: {verdict}");
            assert!(verdict.starts_with("init lives"), "{free} KiB free: {verdict}");
            assert!(free < 512 || verdict.ends_with("the program ran"), "{free} KiB free: {verdict}");
        }
    }

    fn no_room_at_all_kills_the_exec_and_not_the_container(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        for _ in 0..10 {
            leave_free(&group(&c), 0);
            let output = exec(lab, &c, &[], &["true"]).run().code(255);
            let text = text(&output);
            let limit = c.read_control("memory", "memory.limit_in_bytes");
            let directory = group(&c);
            let told = text.starts_with("exec: killed by the kernel in the step to ")
                || text.starts_with("exec: not enough memory in the container's limit to ");
            assert!(told, "{text}");
            assert!(text.contains(&format!("limit_in_bytes of {} is {limit} bytes, usage ", directory.display())), "{text}");
            assert_eq!(c.status(), "running", "{text}");
        }
    }

    fn the_limit_of_the_level_above_is_named(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        let above = hierarchy::directory("memory", lab.group());
        leave_free(&above, 0);
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let text = text(&output);
        assert!(text.contains(&format!("limit_in_bytes of {} is ", above.display())), "{text}");
        assert_eq!(c.status(), "running", "{text}");
        leave_free(&above, 64 * 1024 * KIB);
        c.exec(&["true"]).ok();
    }

    fn a_neighbour_out_of_memory_is_not_blamed(lab) {
        if !is_v1() {
            return;
        }
        let noisy = holder(lab);
        leave_free(&group(&noisy), 0);
        let c = lab.sleeper();
        let kills = || noisy.read_control("memory", "memory.oom_control");
        let before = kills();
        hang::eventually("the neighbour to be killed for memory", || {
            let _killed = noisy.exec(&["true"]);
            kills() != before
        });
        c.exec(&["true"]).ok();
        refused(lab, &c, &[], &["/no/such"], "exec: \"/no/such\": no such file or directory");
    }

    fn out_of_memory_with_the_killer_off_is_refused_at_once(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        let mut grower = exec(lab, &c, &[], &["sh", "-c", "echo ready; read go; dd if=/dev/zero of=/dev/null bs=8M count=1"]).stdin_pipe().spawn();
        grower.wait_stdout("ready");
        write(&c.control("memory", "memory.oom_control"), "1");
        leave_free(&group(&c), 512 * KIB);
        std::io::Write::write_all(&mut grower.stdin(), b"go\n").unwrap();
        hang::eventually("the container to stand still", || {
            c.read_control("memory", "memory.oom_control").contains("under_oom 1")
        });
        let directory = group(&c);
        let expected = format!(
            "exec: the container stands still out of memory: under_oom=1 oom_kill_disable=1 in \
             {}/memory.oom_control; raise memory.limit_in_bytes or write 0 to memory.oom_control",
            directory.display()
        );
        refused(lab, &c, &[], &["true"], &expected);
        leave_free(&directory, 16 * 1024 * KIB);
        grower.wait().ok();
        c.exec(&["true"]).ok();
    }

    fn an_exec_into_no_room_with_the_killer_off_ends_in_bounded_time(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        write(&c.control("memory", "memory.oom_control"), "1");
        leave_free(&group(&c), 0);
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let text = text(&output);
        let directory = group(&c).display().to_string();
        assert!(text.contains(&directory) && text.contains("memory"), "{text}");
        assert_eq!(hierarchy::pids(&c.group()), [c.pid()], "{text}");
        leave_free(&group(&c), 8 * 1024 * KIB);
        c.exec(&["true"]).ok();
    }

    fn a_kill_of_init_during_the_exec_is_told(lab) {
        if !is_v1() {
            return;
        }
        let c = holder(lab);
        let init = process::pidfd(c.pid()).unwrap();
        // An init that is preferred over everything else, the exec included.
        write(Path::new(&format!("/proc/{}/oom_score_adj", c.pid())), "1000");
        leave_free(&group(&c), 0);
        let output = exec(lab, &c, &[], &["true"]).run().code(255);
        let text = text(&output);
        process::wait_exit(&init, "init");
        assert!(text.starts_with("exec: the container was stopped by an out-of-memory kill during the exec: out of memory: "), "{text}");
        c.wait_status("stopped");
    }
}
