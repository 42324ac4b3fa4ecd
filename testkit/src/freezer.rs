//! The freezer of one group, whichever version of cgroups this host has it in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hang::eventually;
use crate::hierarchy;

/// The freezer of one group.
#[derive(Debug)]
pub struct Freezer {
    directory: PathBuf,
    v1: bool,
}

impl Freezer {
    /// That of the group with this absolute name.
    #[must_use]
    pub fn of(group: &str) -> Self {
        Self { directory: hierarchy::directory("freezer", group), v1: hierarchy::is_v1("freezer") }
    }

    /// The directory that a message names.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Asks for the freeze and does not wait: a process that is traced stops only when it is let go.
    ///
    /// # Panics
    /// When the write is refused.
    #[track_caller]
    pub fn ask(&self) {
        self.write("FROZEN", "1");
    }

    /// Freezes and waits until all have stopped.
    ///
    /// # Panics
    /// When the write is refused, or a process does not stop.
    #[track_caller]
    pub fn freeze(&self) {
        self.ask();
        eventually("the group to be frozen", || self.is_frozen());
    }

    /// Thaws and waits until all may go on.
    ///
    /// # Panics
    /// When the write is refused, or a group above is frozen.
    #[track_caller]
    pub fn thaw(&self) {
        self.write("THAWED", "0");
        eventually("the group to be thawed", || self.is_thawed());
    }

    /// Whether all processes have stopped.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        if self.v1 { self.state("FROZEN") } else { self.event("frozen 1") }
    }

    /// Whether all processes may go on.
    #[must_use]
    pub fn is_thawed(&self) -> bool {
        if self.v1 { self.state("THAWED") } else { self.event("frozen 0") }
    }

    fn state(&self, state: &str) -> bool {
        fs::read_to_string(self.directory.join("freezer.state")).is_ok_and(|text| text.trim() == state)
    }

    fn event(&self, line: &str) -> bool {
        let text = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
        text.lines().any(|known| known == line)
    }

    #[track_caller]
    fn write(&self, v1: &str, v2: &str) {
        let (file, value) = if self.v1 { ("freezer.state", v1) } else { ("cgroup.freeze", v2) };
        hierarchy::write(&self.directory.join(file), value);
    }
}
