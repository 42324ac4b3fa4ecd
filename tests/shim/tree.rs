//! A killed exec takes everything with it that it had started, and nothing else.
//!
//! Stock: only the leader is killed; children, sessions of their own and daemons stay in the container for ever.

use testkit::Lab;
use testkit::hang::eventually;

use crate::ctr::{Ctr, lab, ours};

/// A child, a child in a session of its own, a daemon whose parent has ended; each is `sleep` with a number of its own.
const FAMILY: &str =
    "sleep 4001 & setsid sleep 4002 & (setsid sh -c 'exec sleep 4003' &) ; sleep 4004 & wait";

/// How many processes of the lab's containers have `sleep NUMBER` as their command line.
fn sleepers(lab: &Lab, number: u32) -> usize {
    lab.running(&["sleep", &number.to_string()])
}

fn family(lab: &Lab) -> Vec<usize> {
    (4001..=4004).map(|number| sleepers(lab, number)).collect()
}

#[test]
fn a_killed_exec_takes_its_child_its_session_and_its_daemon_with_it() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let victim = ctr.exec("c", "victim", &["/bin/sh", "-c", FAMILY]).spawn();
    eventually("the family to be complete", || family(&lab) == [1, 1, 1, 1]);
    let neighbour = ctr.exec("c", "neighbour", &["/bin/sh", "-c", "sleep 5001 & wait"]).spawn();
    eventually("the neighbour", || sleepers(&lab, 5001) == 1);
    ctr.kill(&["--exec-id", "victim", "--signal", "SIGKILL"], "c").ok();
    eventually("the family to be gone", || family(&lab) == [0, 0, 0, 0]);
    victim.wait().code(137);
    assert_eq!(sleepers(&lab, 5001), 1, "the neighbour lives");
    assert_eq!(sleepers(&lab, 1_000_000), 1, "the container lives");
    ctr.exec("c", "after", &["/bin/true"]).ok();
    ctr.kill(&["--exec-id", "neighbour", "--signal", "SIGKILL"], "c").ok();
    neighbour.wait().code(137);
    ctr.remove("c");
    ctr.end();
}

#[test]
fn what_an_exec_leaves_running_when_it_ends_by_itself_stays() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let leave = "setsid sleep 4005 > /dev/null 2>&1 < /dev/null & exit 3";
    ctr.exec("c", "leaver", &["/bin/sh", "-c", leave]).run().code(3);
    assert_eq!(sleepers(&lab, 4005), 1);
    for number in 0..5 {
        ctr.exec("c", &format!("e{number}"), &["/bin/true"]).ok();
    }
    assert_eq!(sleepers(&lab, 4005), 1);
    ctr.remove("c");
    ctr.end();
}

#[test]
fn a_signal_other_than_kill_is_for_the_leader_alone() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let script = "trap 'exit 5' TERM; setsid sleep 4006 & while :; do sleep 0.1; done";
    let exec = ctr.exec("c", "e", &["/bin/sh", "-c", script]).spawn();
    eventually("its child", || sleepers(&lab, 4006) == 1);
    ctr.kill(&["--exec-id", "e", "--signal", "SIGTERM"], "c").ok();
    exec.wait().code(5);
    assert_eq!(sleepers(&lab, 4006), 1);
    ctr.remove("c");
    ctr.end();
}
