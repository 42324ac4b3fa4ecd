//! `exec`: exit status, identity, environment, and the states in which it is refused.

use testkit::conformance;

conformance! {
    fn exit_statuses_of_the_program_pass_through(lab) {
        let c = lab.sleeper();
        for code in [0, 1, 2, 126, 127, 128, 254, 255] {
            c.exec(&["sh", "-c", &format!("exit {code}")]).code(code);
        }
    }
}
