//! The situations: how each is staged, and which exec is tried in it. One row per situation.

use std::time::{Duration, Instant};

use crate::demo::call::Answer;
use crate::demo::config;
use crate::demo::lab::Lab;
use crate::demo::runtime::{Container, Runtime};
use crate::failure::{Failure, chain};

/// A situation of the table.
pub(super) struct Situation {
    /// What the reader sees.
    pub(super) title: &'static str,
    /// Letters and dashes; part of the container's id.
    name: &'static str,
    /// First process of the container.
    init: &'static [&'static str],
    /// Brings the container into the situation.
    prepare: fn(&Container<'_>) -> Result<(), Failure>,
    /// Options of exec.
    options: &'static [&'static str],
    /// Program of exec.
    program: &'static [&'static str],
    /// How often it is tried: some runtimes fail only now and then.
    tries: usize,
}

/// What is shown of an exec.
pub(super) struct Outcome {
    /// What the exec answered, or why the situation could not be staged.
    pub(super) answer: Result<Answer, String>,
    /// Tries that did not end with status 0, and all tries.
    pub(super) failed: (usize, usize),
    /// Whether the container still runs afterwards.
    pub(super) survived: bool,
}

const SLEEP: &[&str] = &["sleep", "1000"];
const NOTHING: fn(&Container<'_>) -> Result<(), Failure> = |_| Ok(());
/// Starts children until the limit of [`config::PIDS`] is reached.
const FORK: &[&str] = &["sh", "-c", "i=1; while [ $i -lt 20 ]; do sleep 1000 & i=$((i+1)); done; wait"];
/// Fills two thirds of [`config::MEMORY`] with pages that cannot be dropped.
const FILL: &[&str] =
    &["sh", "-c", "dd if=/dev/zero of=/tmp/fill bs=1M count=40 2>/dev/null; touch /tmp/full; sleep 1000"];

/// In the order of the table.
pub(super) const ALL: &[Situation] = &[
    Situation {
        title: "all is well: exec /bin/true",
        name: "well",
        init: SLEEP,
        prepare: warm,
        options: &[],
        program: &["/bin/true"],
        tries: 1,
    },
    Situation {
        title: "the program exits with 7",
        name: "seven",
        init: SLEEP,
        prepare: NOTHING,
        options: &[],
        program: &["/bin/sh", "-c", "exit 7"],
        tries: 1,
    },
    Situation {
        title: "the program does not exist",
        name: "missing",
        init: SLEEP,
        prepare: NOTHING,
        options: &[],
        program: &["/bin/nope"],
        tries: 1,
    },
    Situation {
        title: "the program is a script whose interpreter does not exist",
        name: "script",
        init: SLEEP,
        prepare: NOTHING,
        options: &[],
        program: &["/bin/wants-a-shell"],
        tries: 1,
    },
    Situation {
        title: "the program may not be executed",
        name: "mode",
        init: SLEEP,
        prepare: NOTHING,
        options: &[],
        program: &["/bin/not-executable"],
        tries: 1,
    },
    Situation {
        title: "the working directory does not exist",
        name: "cwd",
        init: SLEEP,
        prepare: NOTHING,
        options: &["--cwd", "/no/such/dir"],
        program: &["/bin/true"],
        tries: 1,
    },
    Situation {
        title: "the container is paused",
        name: "paused",
        init: SLEEP,
        prepare: pause,
        options: &[],
        program: &["/bin/true"],
        tries: 1,
    },
    Situation {
        title: "the container has 20 of 20 processes",
        name: "pids",
        init: FORK,
        prepare: wait_for_pids,
        options: &[],
        program: &["/bin/true"],
        tries: 10,
    },
    Situation {
        title: "the container has no memory left",
        name: "memory",
        init: FILL,
        prepare: close_memory,
        options: &[],
        program: &["/bin/true"],
        tries: 1,
    },
];

/// Stages a situation with a runtime and tries the exec.
pub(super) fn stage(lab: &Lab, runtime: &Runtime, situation: &Situation) -> Outcome {
    let staged = Container::run(lab, runtime, situation.name, situation.init).and_then(|container| {
        (situation.prepare)(&container)?;
        attempt(&container, situation)
    });
    staged.unwrap_or_else(|failure| Outcome { answer: Err(chain(&failure)), failed: (0, 0), survived: true })
}

/// Tries the exec; shown is the last failure if there is one.
fn attempt(container: &Container<'_>, situation: &Situation) -> Result<Outcome, Failure> {
    let mut answers = Vec::new();
    for _ in 0..situation.tries {
        answers.push(container.exec(situation.options, situation.program)?);
    }
    let failed = answers.iter().filter(|answer| answer.code != Some(0)).count();
    answers.sort_by_key(|answer| answer.code != Some(0));
    let shown = answers.pop().ok_or_else(|| Failure::Usage("a situation without tries".to_owned()))?;
    Ok(Outcome { answer: Ok(shown), failed: (failed, situation.tries), survived: container.is_alive() })
}

/// The first exec finds cold caches; the second is shown.
fn warm(container: &Container<'_>) -> Result<(), Failure> {
    container.exec(&[], &["/bin/true"]).map(drop)
}

fn pause(container: &Container<'_>) -> Result<(), Failure> {
    container.verb("pause").map(drop)
}

fn wait_for_pids(container: &Container<'_>) -> Result<(), Failure> {
    wait_until("the container has its processes", || {
        container.group.number("pids/pids.current", "pids.current") >= Some(config::PIDS)
    })
}

/// Waits for the filling, then lowers the limit to what is used: a reader sees a container at its limit.
fn close_memory(container: &Container<'_>) -> Result<(), Failure> {
    let usage = || container.group.number("memory/memory.usage_in_bytes", "memory.current").unwrap_or(0);
    wait_until("the container has filled its memory", || {
        usage() > (40 << 20)
            && container
                .exec(&[], &["/bin/test", "-e", "/tmp/full"])
                .is_ok_and(|answer| answer.code == Some(0))
    })?;
    container.group.set("memory/memory.memsw.limit_in_bytes", "memory.swap.max", 0);
    wait_until("the kernel takes the lower limit", || {
        container.group.set("memory/memory.limit_in_bytes", "memory.max", usage() + (64 << 10))
    })
}

/// Looks again every few milliseconds, at most ten seconds.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> Result<(), Failure> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(Failure::Usage(format!("waited 10 s in vain until {what}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
