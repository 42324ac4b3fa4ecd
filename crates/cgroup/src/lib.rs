//! Control groups v1, v2 and hybrid: where a container's groups are, what is written into them, what they say.
//!
//! **Invariant**: knows nothing of containers. What is to be written is decided by pure functions and carried
//! out by one; every wait has a limit; a former value is read before it is overwritten.

mod cgroup;
mod create;
mod deadline;
mod error;
mod file;
mod freezer;
mod join;
mod kill;
mod layout;
mod paths;
mod procs;
mod remove;
mod resources;

pub use cgroup::Cgroup;
pub use error::{Error, Result};
pub use freezer::Freezer;
pub use join::Join;
pub use layout::{Hierarchy, Kind, Layout};
pub use paths::{Paths, resolve};
pub use resources::*;
