//! The truth table: every condition that keeps a process from its program gives its own message.
//!
//! Each test provokes one condition for real and asserts the whole text, the exit code, and that the container is as
//! it was before. Time is never measured; a wait without end is caught by the hang guard.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is a failed assertion; files and output are the test's own"
)]

mod cgroup_gone;
mod create;
mod deadline;
mod directory;
mod freezer;
mod identity;
mod init;
mod keyring;
mod memory;
mod nested;
mod pids;
mod program;
mod refusal;
mod rlimit;
mod seccomp;
mod surroundings;

/// Declares cases: `fn name(lab) { ... }` becomes a test in a lab of its own, with our runtime.
#[macro_export]
macro_rules! truth {
    ($($(#[$meta:meta])* fn $name:ident($lab:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            fn body($lab: &testkit::Lab) $body
            testkit::case::run(testkit::Runtime::Sluice, body);
        }
    )*};
}
