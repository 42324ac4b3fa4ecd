//! The protection of the own binary without `mount_setattr`: the runtime runs from a sealed copy of itself.

use std::fs;
use std::path::PathBuf;

use rustix::fs::SealFlags;
use testkit::{Config, hang};

use crate::on_linux_5_10;

/// The program of a process must be a memfd that nobody can write.
fn assert_sealed(pid: i32) {
    let program = PathBuf::from(format!("/proc/{pid}/exe"));
    let shown = fs::read_link(&program).unwrap().display().to_string();
    assert!(shown.starts_with("/memfd:sluice"), "{shown}");
    let seals = rustix::fs::fcntl_get_seals(fs::File::open(&program).unwrap()).unwrap();
    assert!(seals.contains(SealFlags::WRITE | SealFlags::SEAL), "{seals:?}");
}

/// The first child of a process.
fn child_of(parent: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

on_linux_5_10! {
    fn a_parked_init_runs_from_a_sealed_copy(lab) {
        let c = lab.created(&Config::new());
        assert_sealed(c.pid());
    }

    fn an_exec_runs_from_a_sealed_copy_and_its_program_does_not(lab) {
        let c = lab.sleeper();
        let script = "echo ready; read line";
        let mut running = c.exec_with(&[], &["sh", "-c", script]).stdin_pipe().spawn();
        running.wait_stdout("ready");
        assert_sealed(running.pid());
        let program = hang::eventually_some("the program", || child_of(running.pid()));
        let shown = fs::read_link(format!("/proc/{program}/exe")).unwrap();
        assert!(shown.ends_with("busybox"), "{}", shown.display());
        drop(running.stdin());
        running.wait().code(1);
    }
}
