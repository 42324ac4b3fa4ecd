//! Control groups v1, v2 and hybrid: where a container's groups are, what is written into them, what they say.
//!
//! **Invariant**: knows nothing of containers. What is to be written is decided by pure functions and carried
//! out by one; every wait has a limit; a former value is read before it is overwritten.

mod adopt;
mod apply;
mod cgroup;
mod create;
mod deadline;
mod device_program;
mod error;
mod evidence;
mod file;
mod former;
mod freezer;
mod gauges;
mod hint;
mod join;
mod kill;
mod layout;
mod oom;
mod paths;
mod plan;
mod procs;
mod remove;
mod resources;
mod stats;
pub mod systemd;

pub use apply::Applied;
pub use cgroup::Cgroup;
pub use device_program::device_program;
pub use error::{Error, Result};
pub use evidence::{Cause, Evidence, MemoryLevel, MemoryLimit, PidsLevel, Shortage};
pub use freezer::Freezer;
pub use gauges::Gauges;
pub use join::Join;
pub use layout::{Hierarchy, Kind, Layout};
pub use oom::{OomEvent, OomEvents};
pub use paths::{Paths, resolve};
pub use plan::{Order, Presence, Write, ignored, plan};
pub use resources::*;
pub use stats::{
    BlockIoEntry, BlockIoStats, CpuStats, CpuUsage, CpusetStats, HugetlbStats, MemoryStats, MemoryUse,
    PidsStats, Pressure, PressureLine, Stats, Throttling,
};
