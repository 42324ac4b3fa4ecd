//! Output and input of execs through a real containerd: slow readers, survivors, early ends.

use std::time::Duration;

use rustix::process::Signal;
use testkit::hang::eventually;
use testkit::process;

use crate::ctr::{Ctr, lab, ours};

/// How long a reader sleeps: longer than the shim waits for whoever holds a stream after its process has ended.
const ASLEEP: Duration = Duration::from_secs(10);

/// What a script waits for, and what its end leaves, seen from outside.
fn flag(ctr: &Ctr<'_>, name: &str) -> std::path::PathBuf {
    ctr.lab.path("tree").join(name)
}

/// Runs `test` with a container `c` that sleeps.
fn with_container(test: impl FnOnce(&Ctr<'_>)) {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    test(&ctr);
    ctr.remove("c");
    ctr.end();
}

#[test]
fn output_and_status_of_an_exec_arrive() {
    with_container(|ctr| {
        let script = "echo out; echo errors >&2; exit 5";
        let output = ctr.exec("c", "e", &["/bin/sh", "-c", script]).run().code(5).prints("out");
        assert_eq!(output.stderr, "errors\n");
        let script = "head -c 66000 /dev/zero | tr '\\0' e >&2";
        let output = ctr.exec("c", "e", &["/bin/sh", "-c", script]).ok();
        assert_eq!(output.stderr.len(), 66_000);
    });
}

#[test]
fn a_client_that_sleeps_gets_every_byte_and_the_exit_did_not_wait_for_it() {
    with_container(|ctr| {
        let script = "echo ready; while [ ! -e /go ]; do sleep 0.05; done; \
                      head -c 110000 /dev/zero | tr '\\0' x; touch /ended; exit 3";
        let client = ctr.exec("c", "e", &["/bin/sh", "-c", script]).spawn();
        client.wait_stdout("ready");
        client.signal(Signal::STOP);
        ctr.lab.write("tree/go", "");
        eventually("the program to end though nobody reads", || flag(ctr, "ended").exists());
        ctr.exec("c", "other", &["/bin/echo", "meanwhile"]).ok().prints("meanwhile");
        // Not a wait for something, but the thing itself: a bound that ran for this reader would have passed.
        std::thread::sleep(ASLEEP);
        client.signal(Signal::CONT);
        let output = client.wait().code(3);
        assert_eq!(output.stdout.len(), "ready\n".len() + 110_000);
    });
}

/// The stock shim holds the answer up for two seconds.
#[test]
fn a_survivor_on_stdout_delays_nobody_and_lives_on() {
    with_container(|ctr| {
        let script = "(while [ ! -e /go ]; do sleep 0.05; done; head -c 300000 /dev/zero; touch /lives; sleep 3600) & \
                      echo mine";
        ctr.exec("c", "e", &["/bin/sh", "-c", script]).ok().prints("mine");
        ctr.lab.write("tree/go", "");
        eventually("the survivor to go on after its writes", || flag(ctr, "lives").exists());
    });
}

#[test]
fn input_reaches_the_program_and_its_end_too() {
    with_container(|ctr| {
        let text = "line\n".repeat(30_000);
        let output = ctr.exec("c", "e", &["/bin/cat"]).stdin_bytes(text.as_bytes()).ok();
        assert!(output.stdout == text, "{} of {} bytes", output.stdout.len(), text.len());
    });
}

#[test]
fn a_program_that_does_not_read_its_input_ends_all_the_same() {
    with_container(|ctr| {
        let input = vec![b'x'; 1_000_000];
        let script = "exec <&-; sleep 0.2; echo done; exit 4";
        ctr.exec("c", "e", &["/bin/sh", "-c", script]).stdin_bytes(&input).run().code(4).prints("done");
    });
}

#[test]
fn a_client_that_is_killed_holds_nothing_up() {
    with_container(|ctr| {
        let script = "echo ready; while [ ! -e /go ]; do sleep 0.05; done; \
                      head -c 60000 /dev/zero; touch /ended; exit 3";
        let client = ctr.exec("c", "e", &["/bin/sh", "-c", script]).spawn();
        client.wait_stdout("ready");
        process::signal(client.pid(), Signal::KILL);
        client.wait();
        ctr.lab.write("tree/go", "");
        eventually("the program to end though its client is dead", || flag(ctr, "ended").exists());
        ctr.exec("c", "other", &["/bin/echo", "next"]).ok().prints("next");
    });
}

#[test]
fn all_output_of_a_container_is_there_when_it_has_ended() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    let script = "head -c 1000000 /dev/zero | tr '\\0' y; echo end >&2; exit 6";
    let output = ctr.run(&["--rm"], "c", &["/bin/sh", "-c", script]).run().code(6);
    assert_eq!((output.stdout.len(), output.stderr.as_str()), (1_000_000, "end\n"));
    ctr.end();
}
