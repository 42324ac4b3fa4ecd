//! Out-of-memory kills: told of once, before the end of whoever was killed.
//!
//! Stock: on v2 it tells of them too, but after the exit when its watcher is slow.

use testkit::hang::eventually_some;

use crate::ctr::{Ctr, lab, ours};

/// The topics in the output of `ctr events`, in their order.
fn topics(output: &str) -> Vec<&str> {
    output.lines().filter_map(|line| line.split(' ').find(|word| word.starts_with("/tasks/"))).collect()
}

#[test]
fn an_oom_kill_of_the_init_is_told_before_its_exit() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let events = ctr.cli(&["events"]).spawn();
    let eater = ["/bin/tail", "/dev/zero"];
    let run = ctr.run(&["--rm", "--memory-limit", "16777216"], "c", &eater).run();
    assert_eq!(run.status.code(), Some(137), "{}", run.stderr);
    let output = eventually_some("the deletion to be told", || {
        let output = events.stdout();
        output.contains("/tasks/delete").then_some(output)
    });
    let told = topics(&output);
    let at = |topic: &str| told.iter().position(|found| *found == topic);
    let (Some(oom), Some(exit)) = (at("/tasks/oom"), at("/tasks/exit")) else { panic!("{told:?}") };
    assert!(oom < exit, "{told:?}");
    drop(events);
    ctr.end();
}

#[test]
fn an_oom_kill_of_an_exec_is_told_and_the_container_lives() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&["--memory-limit", "16777216"], "c");
    let events = ctr.cli(&["events"]).spawn();
    let exec = ctr.exec("c", "eater", &["/bin/tail", "/dev/zero"]).run();
    assert_eq!(exec.status.code(), Some(137), "{}", exec.stderr);
    let output = eventually_some("the kill to be told", || {
        let output = events.stdout();
        output.contains("/tasks/oom").then_some(output)
    });
    let told = topics(&output);
    assert_eq!(told.iter().filter(|topic| **topic == "/tasks/oom").count(), 1, "{told:?}");
    ctr.exec("c", "after", &["/bin/true"]).ok();
    drop(events);
    ctr.remove("c");
    ctr.end();
}
