//! Report 004: a standard error pipe that nobody reads while the runtime wants to say something.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use testkit::{conformance, hang, process};

conformance! {
    fn a_full_stderr_pipe_does_not_hold_the_answer(lab) {
        let c = lab.sleeper();
        let (reader, writer) = full_pipe();
        let running = c.exec_with(&[], &["no-such-program"]).stderr_to(writer).spawn();
        if lab.is_reference() {
            hang::eventually("the runtime to wait for the pipe", || {
                process::describe(running.pid()).contains("pipe_write")
                    || threads_wait_for_pipe(running.pid())
            });
            assert!(!running.has_ended());
            drop(reader);
            running.wait();
        } else {
            running.wait().code(255);
            drop(reader);
        }
    }

    fn others_are_served_while_one_exec_is_stuck_on_its_pipe(lab) {
        let c = lab.sleeper();
        let (reader, writer) = full_pipe();
        let script = "touch /begun; dd if=/dev/zero bs=66000 count=1 >&2";
        let stuck = c.exec_with(&[], &["sh", "-c", script]).stderr_to(writer).spawn();
        hang::eventually("the program to write", || c.rootfs("/begun").exists());
        c.exec(&["true"]).ok();
        assert_eq!(c.status(), "running");
        c.verb("ps", &["--format=json"], &[]).ok();
        assert!(!stuck.has_ended(), "the program waits for its reader, nobody else does");
        c.stop();
        if lab.is_reference() {
            // It copies the stream itself and stays in that copy although the program is dead.
            drop(reader);
            stuck.wait();
        } else {
            stuck.wait().code(137);
            drop(reader);
        }
        c.delete().ok();
    }
}

/// A pipe that takes no more byte.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    (reader, writer)
}

/// The runtime has threads: any of them may be the one that writes.
fn threads_wait_for_pipe(pid: i32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.into_iter().any(|task| {
        std::fs::read_to_string(task.path().join("wchan")).is_ok_and(|wchan| wchan.contains("pipe_w"))
    })
}
