//! `sluice`, the runc-compatible command line: parsing, exit codes and log format; no behaviour of its own.
//!
//! **Invariant:** nothing is initialised before the verb is known; standard output carries only the answer.

#![cfg_attr(not(test), no_main)]

mod answer;
mod argv;
mod cli;
mod cmd;
mod environment;
mod failure;
mod flag;
mod globals;
mod help;
mod invocation;
mod logging;
mod protection;
mod signal;
mod size;
mod verb;

use std::alloc::System;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sys::arena::Arena;
use sys::start::Given;

use environment::Environment;

#[global_allocator]
static ALLOCATOR: Arena<System> = Arena::new(System);

#[cfg(not(test))]
sys::program!(program);

/// The exit status of a program that found a mistake of its own. Compat: that of every Rust program.
const PANICKED: u8 = 101;

/// From what the kernel gave to the exit status.
#[cfg_attr(test, expect(dead_code, reason = "the tests have a main of their own"))]
fn program(given: Given) -> u8 {
    protection::hasten(&given);
    catch_unwind(AssertUnwindSafe(|| started(given))).unwrap_or(PANICKED)
}

/// What the Rust runtime would have done before `main`, and then the command line.
fn started(given: Given) -> u8 {
    // A descriptor that is opened later must not become a standard stream; without /dev/null it is as it is.
    let _ = sys::stdio::fill();
    // A reader that went away is an error of the write, not the death of this process.
    let _ = sys::signal::set_ignored(rustix::process::Signal::PIPE.as_raw());
    container::own_children();
    let environment = Environment::of_this_process(given);
    cli::run(given.arguments().skip(1).map(owned).collect(), &environment)
}

fn owned(argument: &CStr) -> OsString {
    OsStr::from_bytes(argument.to_bytes()).to_owned()
}
