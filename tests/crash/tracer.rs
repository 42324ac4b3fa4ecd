//! Kills the runtime before its n-th system call: `strace` for the command itself, and for its first child, at which
//! `strace` cannot aim since it counts for every process, a few lines of C.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use testkit::{Cmd, Lab, Output, compile};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The command.
    Runtime,
    /// The first process it makes: init, or the child of an exec.
    Child,
}

/// A system call of a victim.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    /// The n-th call of this name (from 1): `strace` counts for every name apart.
    Named(String, usize),
    /// The n-th of all (from 1).
    Number(usize),
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Point::Named(name, count) => write!(f, "{name} number {count}"),
            Point::Number(number) => write!(f, "system call {number}"),
        }
    }
}

/// Runs a command of the runtime to its end; every system call that the victim made.
pub(crate) fn points(lab: &Lab, victim: Victim, command: &Cmd) -> Vec<Point> {
    match victim {
        Victim::Runtime => {
            strace(lab, &[], command);
            let trace = std::fs::read_to_string(lab.path("trace")).unwrap();
            let mut counts = BTreeMap::new();
            // The first is the execve that makes it the runtime.
            trace.lines().skip(1).filter_map(|line| next_of_its_name(line, &mut counts)).collect()
        }
        Victim::Child => {
            let ran = child_killer(lab, 0, command);
            let count: usize = std::fs::read_to_string(lab.path("trace"))
                .unwrap_or_else(|_| panic!("{ran}"))
                .parse()
                .unwrap();
            (1..=count).map(Point::Number).collect()
        }
    }
}

fn next_of_its_name(line: &str, counts: &mut BTreeMap<String, usize>) -> Option<Point> {
    let name = line.split_once('(')?.0;
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let count = counts.entry(name.to_owned()).or_default();
    *count += 1;
    is_name.then(|| Point::Named(name.to_owned(), *count))
}

/// Runs a command of the runtime and kills the victim before it makes the system call; false when it did not come.
pub(crate) fn kill_before(lab: &Lab, victim: Victim, point: &Point, command: &Cmd) -> bool {
    match point {
        Point::Named(name, count) => {
            assert_eq!(victim, Victim::Runtime);
            let inject = format!("inject={name}:signal=SIGKILL:when={count}");
            strace(lab, &["-e", &format!("trace={name}"), "-e", &inject], command).status.signal() == Some(9)
        }
        Point::Number(number) => {
            let _old = std::fs::remove_file(lab.path("trace"));
            child_killer(lab, *number, command);
            lab.path("trace").exists()
        }
    }
}

fn strace(lab: &Lab, options: &[&str], command: &Cmd) -> Output {
    let file = ["-qq".into(), "-o".into(), lab.path("trace").into_os_string()].into_iter();
    lab.program("strace").args(file).args(options).args(command.words()).run()
}

fn child_killer(lab: &Lab, number: usize, command: &Cmd) -> Output {
    let words = [OsString::from(number.to_string()), lab.path("trace").into_os_string()].into_iter();
    let ran = lab.program(child_killer_program(lab)).args(words.chain(command.words())).run();
    assert_ne!(ran.status.code(), Some(99), "the tracer itself: {ran}");
    ran
}

/// The compiled tracer of children, once per lab.
fn child_killer_program(lab: &Lab) -> PathBuf {
    let program = lab.path("io/child-killer");
    if !program.exists() {
        compile::compile(&lab.path("io"), "child-killer", include_str!("child_killer.c"));
    }
    program
}
