//! Execs and containers with a terminal, through a real containerd.

use testkit::hang::eventually;
use testkit::pty;

use crate::ctr::{Ctr, lab, ours};

#[test]
fn keys_size_and_status_of_a_terminal_exec() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let (mut terminal, side) = pty::open();
    terminal.resize(31, 97);
    let shell = ["tasks", "exec", "--tty", "--exec-id=e", "c", "/bin/sh"];
    let client = ctr.cli(&shell).on_terminal(&side).spawn();
    drop(side);
    terminal.expect("#");
    terminal.send("stty size\n");
    terminal.expect("31 97");
    terminal.send("until stty size | grep '20 60' > /size; do sleep 0.05; done; exit 8\n");
    eventually("the new size", || {
        // Again and again: `ctr` tells of a change only after it has begun to listen for one.
        terminal.resize(20, 61);
        terminal.resize(20, 60);
        client.has_ended()
    });
    terminal.read_to_end();
    client.wait().code(8);
    ctr.remove("c");
    ctr.end();
}

/// It ends after all has been shown: `ctr` stops reading when it is told of the end, with any shim.
#[test]
fn all_that_a_terminal_container_wrote_is_shown() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let (mut terminal, side) = pty::open();
    let script = "head -c 50000 /dev/zero | tr '\\0' z; echo; echo over; read key; exit 9";
    let client = ctr.run(&["--rm", "--tty"], "c", &["/bin/sh", "-c", script]).on_terminal(&side).spawn();
    drop(side);
    terminal.expect("over");
    terminal.send("\n");
    let seen = terminal.read_to_end();
    client.wait().code(9);
    assert_eq!(seen.matches('z').count(), 50_000);
    ctr.end();
}
