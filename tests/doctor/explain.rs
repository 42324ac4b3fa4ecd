//! `explain` at the end of a pipe that is still being written to, as `journalctl -f` does.

use std::io::Write as _;

use testkit::{Doctor, Runtime, case};

const LINE: &[u8] =
    b"Oct 11 12:15:52 node1 dockerd[812]: OCI runtime exec failed: exec failed: EOF: unknown\n";

#[test]
fn a_line_is_explained_before_the_next_one_comes() {
    case::run(Runtime::Runc, |lab| {
        let Some(doctor) = Doctor::find(lab) else { return };
        for (flags, class) in [(&[] as &[&str], "EX-01  "), (&["--json"], "\"class\":\"EX-01\"")] {
            let mut explain = doctor.cli(&["explain"]).args(flags).stdin_pipe().spawn();
            let mut input = explain.stdin();
            for seen in 1..=2 {
                input.write_all(LINE).unwrap();
                testkit::hang::eventually("an explanation", || {
                    explain.stdout().matches(class).count() == seen
                });
            }
            drop(input);
            explain.wait().ok();
        }
    });
}
