//! A conformance case: one body, run against the reference and against ours.

use crate::lab::Lab;
use crate::partner;
use crate::runtime::Runtime;

/// Runs one body in a lab of its own and asserts that it leaves nothing behind.
///
/// # Panics
/// When the body panics, when it leaks, or when the runtime is required and missing.
pub fn run(runtime: Runtime, body: impl FnOnce(&Lab)) {
    if !partner::is_root() {
        return;
    }
    let Some(path) = runtime.find() else {
        partner::skip(&format!("{} is neither installed nor built", runtime.name()));
        return;
    };
    let lab = Lab::new(runtime, path);
    body(&lab);
    lab.assert_nothing_left();
}

/// Declares cases: `fn name(lab) { ... }` becomes the tests `name::runc` and `name::sluice`.
#[macro_export]
macro_rules! conformance {
    ($($(#[$meta:meta])* fn $name:ident($lab:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn body($lab: &$crate::Lab) $body

            #[test]
            fn runc() {
                $crate::case::run($crate::Runtime::Runc, body);
            }

            #[test]
            fn sluice() {
                $crate::case::run($crate::Runtime::Sluice, body);
            }
        }
    )*};
}
