//! Linux 5.10: what the runtime does where younger calls are missing. On a younger kernel a filter hides them.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

mod calls;
mod mounts;
mod own_binary;

/// Declares tests of ours with the system calls of Linux 5.10.
macro_rules! on_linux_5_10 {
    ($($(#[$meta:meta])* fn $name:ident($lab:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            fn body($lab: &testkit::Lab) $body
            testkit::old_kernel::run(body);
        }
    )*};
}
use on_linux_5_10;
