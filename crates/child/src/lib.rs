//! What runs between `clone3` and `execve`: raw system calls in a fixed order, each with its stage noted first.
//!
//! ```text
//!     parent (crate launch, or container::init)      child
//!       | -- clone3 ------------------------------>   | Start
//!       |                                             | every step: stage word := step, then the call
//!       | <----------- Report {stage, errno, detail} -| a step was refused; the child exits
//!       | <----------- end of file -------------------| execve succeeded, or the child was killed:
//!       |                                             |   the stage word and PF_FORKNOEXEC tell which
//! ```
//!
//! **Invariant:** `no_std` without `alloc`. The child is a fork of a process that may have had other threads, so
//! it allocates nothing, locks nothing and cannot panic (`cargo xtask child-side` proves it from the object code).
#![no_std]

pub mod again;
pub mod exec;
pub mod home;
pub mod identity;
pub mod null;
pub mod program;
pub mod session;
pub mod stage;

pub use stage::{Failure, Report, Stage};
