//! What only a host with nothing but cgroup v2 has: one file per behaviour of the control groups.
//!
//! Where the reference has the behaviour too, the case runs against both. On any other host every case says that it
//! was not run, and passes: it is no partner that is missing there.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is a failed assertion; files and output are the test's own"
)]

mod ancestors;
mod cpu;
mod devices;
mod domains;
mod freezer;
mod group;
mod io;
mod kill;
mod limits;
mod memory;
mod nested;
mod pids;
mod placement;
mod read_only;
mod removed;
mod stats;
mod unified;
mod update;
mod view;

/// Declares cases for both: `fn name(lab) { ... }` becomes the tests `name::runc` and `name::sluice`.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* fn $name:ident($lab:ident) $body:block)*) => {$(
        fn $name($lab: &testkit::Lab) $body

        $(#[$meta])*
        mod $name {
            #[test]
            fn runc() {
                $crate::group::run(testkit::Runtime::Runc, super::$name);
            }

            #[test]
            fn sluice() {
                $crate::group::run(testkit::Runtime::Sluice, super::$name);
            }
        }
    )*};
}

/// Declares cases for ours alone: what the reference lacks, or says in other words.
#[macro_export]
macro_rules! ours {
    ($($(#[$meta:meta])* fn $name:ident($lab:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            fn body($lab: &testkit::Lab) $body
            $crate::group::run(testkit::Runtime::Sluice, body);
        }
    )*};
}
