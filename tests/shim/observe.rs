//! What somebody sees who looks at a shim from outside, without stopping it.

use std::fs;

use rustix::process::Signal;
use testkit::hang::{eventually, eventually_some};
use testkit::process;

use crate::ctr::{Ctr, lab, ours, shim_of};

#[test]
fn a_signal_has_the_shim_write_down_what_its_operations_wait_for() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let exec = ctr.exec("c", "long", &["/bin/sleep", "4401"]).spawn();
    eventually("the exec", || ctr.cli(&["tasks", "ps", "c"]).ok().stdout.contains("long"));
    let bundle = ctr.bundle("c");
    process::signal(shim_of(&bundle), Signal::USR1);
    let dump = eventually_some("the dump", || fs::read_to_string(bundle.join("sluice.dump")).ok());
    let waits = dump.lines().find(|line| line.contains("Wait container=\"c\" exec=\"long\""));
    assert!(waits.is_some_and(|line| line.contains(" age=")), "{dump}");
    assert!(dump.contains("\nthreads: "), "{dump}");
    ctr.kill(&["--exec-id", "long", "--signal", "SIGKILL"], "c").ok();
    exec.wait().code(137);
    ctr.remove("c");
    ctr.end();
}

#[test]
fn counters_are_read_beside_the_running_shim() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    for number in 0..3 {
        ctr.exec("c", &format!("e{number}"), &["/bin/true"]).ok();
    }
    ctr.exec("c", "bad", &["/bin/sh", "-c", "exit 3"]).run().code(3);
    ctr.exec("c", "none", &["/no/such"]).run().code(1);
    let bundle = ctr.bundle("c");
    let wanted = ["succeeded      3", "failed         1", "refused        1", "started        4"];
    eventually("the counters", || {
        let text = lab.program(&shim).args(["-bundle"]).args([&bundle]).args(["counters"]).run().stdout;
        wanted.iter().all(|line| text.lines().any(|found| found.trim_end() == *line))
    });
    ctr.remove("c");
    ctr.end();
}
