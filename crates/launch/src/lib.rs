//! The last mile of a process, seen from the parent: one `clone3`, then the truth about what became of the child.
//!
//! **Invariant:** every wait has a deadline, and a child that did not reach its program is never reported as one
//! that ended: only `PF_FORKNOEXEC`, read from the kernel, tells the two apart.

mod error;
pub mod process;
pub mod sealed;
pub mod spawn;
pub mod through;
pub mod visit;

pub use error::Error;
pub use process::{Ended, Process};
pub use spawn::{Birth, Launched, Outcome, Patience, spawn};
pub use through::Through;
