//! What the counters of a group and of all groups above it say, before and after something failed.
//!
//! **Invariant**: a counter that moved proves a refusal, not where; the level that was hit is the nearest one at
//! its limit (pids), or the nearest whose own counter moved (memory). A counter that also counts other groups
//! (`memory.events`) is never used: a neighbour's trouble must not be taken for ours.
//!
//! Kernel: `pids.events` moves at the forking group before Linux 6.11 and on v1, at the limiting one since.

mod cause;
mod memory;
mod pids;

use std::path::{Path, PathBuf};

pub use cause::Cause;
pub use memory::{MemoryLevel, MemoryLimit, Shortage};
pub use pids::PidsLevel;

use crate::{Cgroup, Freezer, Gauges, file};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What is needed before a start: a few small reads for each level.
    Quick,
    /// All there is, after a failure.
    Full,
}

/// How much is read, and through what.
#[derive(Debug, Clone, Copy)]
struct Look<'a> {
    depth: Depth,
    /// The files that stay open; none: each is opened and closed again.
    gauges: Option<&'a Gauges>,
}

impl Look<'_> {
    /// The text of a control file that is known to be short.
    fn read(self, level: &Path, name: &'static str) -> rustix::io::Result<String> {
        match self.gauges {
            Some(gauges) => gauges.read(level, name),
            None => file::try_read_short(&level.join(name)),
        }
    }

    fn number(self, level: &Path, name: &'static str) -> Option<u64> {
        self.read(level, name).ok()?.trim().parse().ok()
    }
}

/// The state of the groups at one moment. What could not be read is left out; it is never an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Directory that stands for the group as a whole, if it is gone.
    pub gone: Option<PathBuf>,
    /// The level that is frozen, or is about to be.
    pub frozen: Option<PathBuf>,
    /// Tasks, the own group first.
    pub pids: Vec<PidsLevel>,
    /// Memory, the own group first.
    pub memory: Vec<MemoryLevel>,
}

impl Evidence {
    /// Reads what is needed before a start: freezer, pids, and the memory counters that tell of a kill.
    #[must_use]
    pub fn quick(cgroup: &Cgroup) -> Self {
        Self::read(cgroup, Look { depth: Depth::Quick, gauges: None })
    }

    /// As [`Evidence::quick`], for groups whose freezer was looked at just now and let them run.
    #[must_use]
    pub fn quick_of_thawed(cgroup: &Cgroup) -> Self {
        Self::counters(cgroup, Look { depth: Depth::Quick, gauges: None })
    }

    /// As [`Evidence::quick`], through files that stay open for the next time.
    #[must_use]
    pub fn quick_through(gauges: &Gauges, cgroup: &Cgroup) -> Self {
        Self::read(cgroup, Look { depth: Depth::Quick, gauges: Some(gauges) })
    }

    /// Reads everything, to explain a failure.
    #[must_use]
    pub fn full(cgroup: &Cgroup) -> Self {
        Self::read(cgroup, Look { depth: Depth::Full, gauges: None })
    }

    fn read(cgroup: &Cgroup, look: Look<'_>) -> Self {
        Self { frozen: frozen(cgroup, look), ..Self::counters(cgroup, look) }
    }

    fn counters(cgroup: &Cgroup, look: Look<'_>) -> Self {
        let paths = cgroup.paths();
        let unified = paths.unified.as_deref();
        let pids = pids::read(paths.v1("pids").or(unified), look);
        let memory = match paths.v1("memory") {
            Some(group) => memory::read_v1(group, look),
            None => unified.map(|group| memory::read_v2(group, look)).unwrap_or_default(),
        };
        Self { gone: gone(cgroup), frozen: None, pids, memory }
    }

    /// What would make a start in these groups fail or hang, as they are now.
    #[must_use]
    pub fn obstacle(&self) -> Option<Cause> {
        self.is_gone()
            .or_else(|| self.is_frozen())
            .or_else(|| self.is_out_of_memory())
            .or_else(|| self.is_out_of_pids())
    }

    /// The cause of a failure between two moments, the most certain one first. When the symptom is known, ask
    /// for the matching one instead: [`Evidence::pids_limit`] after `EAGAIN`, [`Evidence::memory_limit`] after
    /// `ENOMEM` or a SIGKILL.
    #[must_use]
    pub fn explain(before: &Self, after: &Self) -> Option<Cause> {
        after
            .is_gone()
            .or_else(|| after.is_out_of_memory())
            .or_else(|| Self::memory_kill(before, after))
            .or_else(|| after.is_frozen())
            .or_else(|| Self::pids_limit(before, after))
            .or_else(|| Self::memory_hit(before, after))
    }

    fn is_gone(&self) -> Option<Cause> {
        self.gone.clone().map(|path| Cause::Gone { path })
    }

    fn is_frozen(&self) -> Option<Cause> {
        self.frozen.clone().map(|path| Cause::Frozen { path })
    }
}

fn gone(cgroup: &Cgroup) -> Option<PathBuf> {
    let main = cgroup.paths().main();
    (!cgroup.paths().is_empty() && !main.join("cgroup.procs").exists()).then(|| main.to_owned())
}

fn frozen(cgroup: &Cgroup, look: Look<'_>) -> Option<PathBuf> {
    match cgroup.freezer_read_by(|level, name| look.read(level, name)) {
        Ok(Freezer::Thawed) | Err(_) => None,
        Ok(_) => cgroup.frozen_level().or_else(|| Some(cgroup.paths().main())).map(Path::to_owned),
    }
}

/// Reads the groups from `group` upwards while `read` finds its files. Levels below the first one that has them
/// (a v2 group without the controller) are passed over; the top of the hierarchy has none.
fn levels<T>(group: Option<&Path>, read: impl Fn(&Path) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    for level in group.into_iter().flat_map(Path::ancestors) {
        match read(level) {
            Some(level) => found.push(level),
            None if !found.is_empty() || !level.join("cgroup.procs").exists() => break,
            None => {}
        }
    }
    found
}
