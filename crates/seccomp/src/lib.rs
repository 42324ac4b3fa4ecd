//! Compiles the seccomp profile of an OCI bundle (`linux.seccomp`) to a filter of classic BPF.
//!
//! ```text
//! config.json -- Profile -- per architecture: Rules --.
//!                                                     |  conditions, dispatch
//!                 instructions --- layout --- Graph <-'
//! ```
//!
//! Every verdict is the one that runc with libseccomp gives (`tests/libseccomp.rs` compares them). The form is
//! another: libseccomp compares the number with one rule after the other, here it is looked up in a balanced
//! tree over ranges of numbers, which makes the filter shorter and each system call cheaper.
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
