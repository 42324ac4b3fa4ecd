//! What a refused command says, and that it changed nothing.

use serde_json::Value;
pub(crate) use testkit::hierarchy::write;
use testkit::{Cmd, Container, Lab, Output, hierarchy};

/// An exec whose log goes to standard error as JSON, one object per line.
pub(crate) fn exec(lab: &Lab, c: &Container<'_>, flags: &[&str], arguments: &[&str]) -> Cmd {
    verb(lab, "exec", flags).args([c.id()]).args(arguments)
}

/// Any verb, likewise; the container's id is still to be added.
pub(crate) fn verb(lab: &Lab, verb: &str, flags: &[&str]) -> Cmd {
    lab.rt(&["--log-format", "json", verb]).args(flags)
}

/// The text of the error a command ended with.
#[track_caller]
pub(crate) fn text(output: &Output) -> String {
    let last = output.stderr.lines().last().unwrap_or_default();
    let line: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!(line["level"], "error", "{output}");
    line["msg"].as_str().unwrap().to_owned()
}

/// Runs an exec that the runtime must refuse: exit code 255, this text, and a container as it was before.
#[track_caller]
pub(crate) fn refused(lab: &Lab, c: &Container<'_>, flags: &[&str], arguments: &[&str], expected: &str) {
    let before = (c.status(), hierarchy::pids(&c.group()));
    let output = exec(lab, c, flags, arguments).run().code(255);
    assert_eq!(text(&output), expected);
    assert_eq!((c.status(), hierarchy::pids(&c.group())), before, "the container after {output}");
}

/// Runs an exec with a process file that the runtime must refuse.
#[track_caller]
pub(crate) fn refused_process(lab: &Lab, c: &Container<'_>, process: &Value, expected: &str) {
    let file = lab.write("process.json", &process.to_string());
    refused(lab, c, &["--process", file.to_str().unwrap()], &[], expected);
}

/// Runs a create that must be refused: exit code 1, this text, and nothing of the container left.
#[track_caller]
pub(crate) fn create_refused(lab: &Lab, c: &Container<'_>, expected: &str) {
    let bundle = c.bundle().to_str().unwrap();
    let output = verb(lab, "create", &["--bundle", bundle]).args([c.id()]).run().code(1);
    assert_eq!(text(&output), expected);
    let state = verb(lab, "state", &[]).args([c.id()]).run().code(1);
    assert_eq!(text(&state), format!("container does not exist: {}", c.id()));
    assert_eq!(hierarchy::existing(&c.group()), Vec::<std::path::PathBuf>::new());
}

/// A process for a process file: root in `/` with nothing but a `PATH`.
pub(crate) fn process(arguments: &[&str]) -> Value {
    serde_json::json!({
        "args": arguments,
        "env": ["PATH=/bin"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "capabilities": testkit::config::capability_sets(&testkit::config::CAPABILITIES),
    })
}

/// A shell's preamble that runs the command under strace, which holds every process before each of the system calls;
/// with `:when=3` before its third of them.
pub(crate) fn hold_before(lab: &Lab, calls: &str, microseconds: u32) -> String {
    let trace = lab.path("strace");
    let names = calls.split(':').next().unwrap_or(calls);
    format!(
        "exec strace -f -qq -o '{}' -e trace={names} -e inject={calls}:delay_enter={microseconds} \"$@\"",
        trace.display()
    )
}

/// Whether a process of the container is held before one of the calls given to [`hold_before`]: strace has written how
/// the call begins, and not yet how it ended.
pub(crate) fn is_held(lab: &Lab, c: &Container<'_>, calls: &str) -> bool {
    let first = calls.split_once(":when=").map_or(1, |(_, number)| number.parse().unwrap());
    let trace = std::fs::read_to_string(lab.path("strace")).unwrap_or_default();
    let pid_of = |line: &str| line.split(' ').next().and_then(|pid| pid.parse().ok());
    let begun = trace.lines().next_back().filter(|_| !trace.ends_with('\n'));
    let Some(pid) = begun.and_then(pid_of) else { return false };
    let calls = trace.lines().filter(|line| pid_of(line) == Some(pid)).count();
    calls >= first && hierarchy::pids(&c.group()).contains(&pid)
}
