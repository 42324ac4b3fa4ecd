//! Kills the runtime before its n-th system call: `strace` for the command itself, and for its first child, at which
//! `strace` cannot aim since it counts for every process, a few lines of C.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use testkit::{Cmd, Lab, compile};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The command.
    Runtime,
    /// The first process it makes: init, or the child of an exec.
    Child,
}

/// Runs a command of the runtime and kills the victim before its `number`-th system call (from 1).
///
/// The last call it made, or `None` when the victim was through before.
pub(crate) fn kill_before(lab: &Lab, victim: Victim, number: usize, command: &Cmd) -> Option<String> {
    match victim {
        Victim::Runtime => kill_runtime(lab, number, command),
        Victim::Child => kill_child(lab, number, command),
    }
}

fn kill_runtime(lab: &Lab, number: usize, command: &Cmd) -> Option<String> {
    let trace = lab.path("trace");
    let words = ["-qq".into(), "-o".into(), trace.clone().into_os_string()].into_iter();
    let inject = ["-e".into(), OsString::from(format!("inject=all:signal=SIGKILL:when={number}"))];
    let ran = lab.program("strace").args(words.chain(inject).chain(command.words())).run();
    let calls = std::fs::read_to_string(trace).unwrap_or_default();
    let last = || calls.lines().rfind(|line| !line.starts_with('+')).unwrap_or("execve").to_owned();
    (ran.status.signal() == Some(9)).then(last)
}

fn kill_child(lab: &Lab, number: usize, command: &Cmd) -> Option<String> {
    let trace = lab.path("trace");
    let _old = std::fs::remove_file(&trace);
    let words = [OsString::from(number.to_string()), trace.clone().into_os_string()].into_iter();
    let ran = lab.program(child_killer()).args(words.chain(command.words())).run();
    assert_ne!(ran.status.code(), Some(99), "the tracer itself: {ran}");
    std::fs::read_to_string(trace).ok()
}

/// The compiled tracer of children.
fn child_killer() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("sluice-child-killer-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        compile::compile(&directory, "child-killer", include_str!("child_killer.c"))
    })
}
