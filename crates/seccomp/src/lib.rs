//! Compiles the seccomp profile of an OCI bundle (`linux.seccomp`) to a filter of classic BPF.
//!
//! ```text
//! config.json -- Profile -- per architecture: Rules --.
//!                                                     |  conditions, dispatch
//!                 instructions --- layout --- Graph <-'
//! ```
//!
//! Every verdict is the one that runc with libseccomp gives (`tests/verdicts` compares them). The form is
//! another: libseccomp compares the number with the rules' numbers, here it is looked up in a balanced tree over
//! *ranges* of numbers, which makes the filter shorter and each system call cheaper. Docker's default profile
//! for x86_64, x86 and x32, over all system calls of x86_64 (test `size`):
//!
//! | | instructions | steps on average | at most |
//! |---|---|---|---|
//! | libseccomp, linear (runc 1.1) | 960 | 256 | 595 |
//! | libseccomp, binary tree (runc 1.2) | 1200 | 15 | 23 |
//! | here | 212 | 11 | 19 |
//!
//! # Where the verdict differs from libseccomp's
//!
//! * libseccomp 2.5.4 can forget to reload a word between two rules of one system call that look at the
//!   same argument, but not both for equality within the same high half. Its filter then compares one word with
//!   another's value, and allows or refuses what the profile does not say. Here the profile holds.
//! * It does not load the number at all for an architecture whose only rules are for calls that exist there
//!   only inside `socketcall` or `ipc`: those rules are dead. Here they hold.
//! * Names and numbers that came after its release are unknown to it.
//!
//! Pure: no file, no system call, no clock. Loading the filter is up to the caller.

mod action;
mod arch;
mod compile;
mod conditions;
mod dispatch;
mod error;
mod graph;
mod instruction;
pub mod interpret;
mod layout;
mod multiplex;
mod profile;
mod rules;
pub mod syscalls;

pub use arch::{Arch, ByteOrder};
pub use compile::{Compiled, compile, compile_for};
pub use error::{Error, Warning};
pub use instruction::{Instruction, MAX_INSTRUCTIONS, from_bytes, to_bytes};
pub use profile::{Action, Arg, Flag, Operator, Profile, Syscall};
