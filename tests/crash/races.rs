//! Many commands on one container at once: each succeeds or gives a documented answer, none sees a torn or missing file.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testkit::{Config, Container, Lab, Output};

use crate::{leftovers, ours};

/// Answers that a command may give when another one was faster.
const DOCUMENTED: [&str; 14] = [
    "container does not exist",
    "container not running",
    "container is not running",
    "container not paused",
    "cannot exec in a",
    "cannot start a",
    "cannot start an already running container",
    "that is not stopped",
    "is being changed by another command",
    "container with given ID already exists",
    // An exec whose container was killed under it.
    "the container's init has ended",
    "the container stopped while",
    "the container is paused",
    "is gone",
];

/// Words that no answer may hold.
const TORN: [&str; 7] = ["state.json", "damaged", "rescue.json", "missing", "ENOENT", "panicked", "EOF"];

#[track_caller]
fn assert_documented(output: &Output) {
    if output.status.success() || output.status.code().is_none() {
        return;
    }
    // The program of an exec that was killed with its container.
    if output.status.code() == Some(137) && output.stderr.is_empty() {
        return;
    }
    let said = output.stderr.replace("\\\"", "\"");
    let torn = TORN.iter().find(|word| said.contains(**word));
    assert!(torn.is_none(), "{torn:?} in {output}");
    assert!(DOCUMENTED.iter().any(|words| said.contains(words)), "not documented: {output}");
}

/// Runs each command over and over, all at once, until the first list is through `rounds` times.
fn at_once(rounds: usize, commands: &[&(dyn Fn() -> Output + Sync)]) -> usize {
    let over = AtomicBool::new(false);
    let (first, others) = commands.split_first().unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = others
            .iter()
            .map(|command| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert_documented(&command());
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..rounds).for_each(|_| assert_documented(&first()));
        }));
        over.store(true, Ordering::Relaxed);
        let counts = threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
        mine.unwrap();
        counts + rounds
    })
}

fn limited() -> Config {
    Config::new().set("/linux/resources/pids", json!({"limit": 1000}))
}

#[test]
fn readers_and_execs_beside_updates_always_succeed() {
    ours(|lab| {
        let c = lab.started(&limited());
        let exec = || c.exec(&["true"]).ok();
        let update = |limit: &'static str| c.verb("update", &["--pids-limit", limit], &[]).run().ok();
        let (low, high) = (|| update("900"), || update("901"));
        let state = || c.verb("state", &[], &[]).run().ok();
        let list = || lab.run(&["list"]).ok();
        let count = at_once(40, &[&exec, &low, &high, &state, &list]);
        eprintln!("{count} commands");
        let limit = c.read_control("pids", "pids.max");
        let state = std::fs::read_to_string(lab.root().join(c.id()).join("state.json")).unwrap();
        assert!(state.contains(&format!("\"pids\":{{\"limit\":{limit}}}")), "{limit}: {state}");
    });
}

#[test]
fn everything_at_once_on_a_container_that_comes_and_goes() {
    ours(|lab| {
        let c = lab.bundle(&limited());
        let cycle = || {
            c.create();
            c.start();
            c.exec(&["true"]);
            c.kill("KILL");
            c.delete_force().ok()
        };
        let update = || c.verb("update", &["--pids-limit", "900"], &[]).run();
        let exec = || c.exec(&["true"]);
        let state = || c.verb("state", &[], &[]).run();
        let list = || lab.run(&["list"]).ok();
        let pause = || c.pause();
        let resume = || c.resume();
        let count = at_once(12, &[&cycle, &update, &exec, &state, &list, &pause, &resume]);
        eprintln!("{count} commands");
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "everything at once");
    });
}

/// Runs two commands at the same moment, many times, with `before` and `after` around each pair.
fn pairs(
    count: usize,
    first: &(dyn Fn() -> Output + Sync),
    second: &(dyn Fn() -> Output + Sync),
    mut look: impl FnMut(Output, Output),
) {
    for _ in 0..count {
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(second);
            (first(), other.join().unwrap())
        });
        assert_documented(&one);
        assert_documented(&two);
        look(one, two);
    }
}

fn successes(one: &Output, two: &Output) -> usize {
    usize::from(one.status.success()) + usize::from(two.status.success())
}

#[test]
fn of_two_creates_one_wins() {
    ours(|lab| {
        let c = lab.bundle(&limited());
        pairs(15, &|| c.create(), &|| c.create(), |one, two| {
            assert_eq!(successes(&one, &two), 1, "{one}\n{two}");
            let loser = if one.status.success() { two } else { one };
            loser.code(1).says("container with given ID already exists");
            assert_eq!(c.status(), "created");
            c.delete_force().ok();
            leftovers::assert_none(lab, &c.group(), "two creates");
        });
    });
}

#[test]
fn of_two_starts_one_wins() {
    ours(|lab| {
        let c = lab.bundle(&limited());
        let fresh = || drop(c.create().ok());
        fresh();
        pairs(15, &|| c.start(), &|| c.start(), |one, two| {
            assert_eq!(successes(&one, &two), 1, "{one}\n{two}");
            assert_eq!(c.status(), "running");
            c.delete_force().ok();
            fresh();
        });
    });
}

#[test]
fn two_deletes_and_an_exec_leave_nothing() {
    ours(|lab| {
        let c = lab.bundle(&limited());
        let fresh = || started(&c);
        fresh();
        pairs(15, &|| c.delete_force().ok(), &|| c.delete_force().ok(), |_, _| {
            leftovers::assert_none(lab, &c.group(), "two deletes");
            fresh();
        });
        pairs(15, &|| c.delete_force().ok(), &|| c.exec(&["sleep", "1000000"]), |_, _| {
            leftovers::assert_none(lab, &c.group(), "a delete and an exec");
            fresh();
        });
    });
}

fn started(container: &Container<'_>) {
    container.create().ok();
    container.start().ok();
}

#[test]
fn a_forced_delete_beside_a_create_leaves_all_or_nothing() {
    ours(|lab| {
        let c = lab.bundle(&limited().hook("createRuntime", "exec sleep 0.02"));
        pairs(25, &|| c.create(), &|| c.delete_force().ok(), |create, _| {
            if create.status.success() && lab.root().join(c.id()).exists() {
                assert_eq!(c.status(), "created");
            }
            c.delete_force().ok();
            leftovers::assert_none(lab, &c.group(), "a create beside a forced delete");
        });
    });
}

/// A command that stands still with the container in its hands holds up nobody for ever.
#[test]
fn a_command_that_stands_still_does_not_keep_a_container_from_being_deleted() {
    ours(|lab: &Lab| {
        let c = lab.started(&limited().hook("poststart", "true"));
        let lock = std::fs::File::open(lab.root().join(c.id())).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        c.stop();
        c.delete().code(1).says("is being changed by another command");
        c.delete_force().ok().says("it is deleted all the same");
        drop(lock);
        leftovers::assert_none(lab, &c.group(), "a held lock");
    });
}
