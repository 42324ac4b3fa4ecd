//! Equal stacks, counted once.

use std::collections::HashMap;

/// Different stacks that are kept; goroutines of further ones are only counted.
const STACKS: usize = 20_000;

/// Which program a dump is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Program {
    /// The Docker daemon.
    Dockerd,
    /// containerd.
    Containerd,
    /// A containerd shim.
    Shim,
    /// runc itself.
    Runc,
    /// Another Go program.
    #[default]
    Other,
}

impl Program {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dockerd => "dockerd",
            Self::Containerd => "containerd",
            Self::Shim => "shim",
            Self::Runc => "runc",
            Self::Other => "another program",
        }
    }
}

/// One call of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Package path and function, without a vendor folder.
    pub function: String,
    /// File and line, as far as the dump tells.
    pub place: String,
}

impl Frame {
    /// The function with the last part of its package path: `daemon.(*Daemon).ContainerInspect`.
    #[must_use]
    pub fn short(&self) -> &str {
        let start = self.function.rfind('/').map_or(0, |at| at + 1);
        self.function.get(start..).unwrap_or(&self.function)
    }
}

/// Goroutines with the same stack in the same state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The number of the first one, if the dump numbers them.
    pub first: Option<u64>,
    /// `semacquire`, `select`; empty when the dump does not tell.
    pub state: String,
    /// The longest wait among them, in minutes.
    pub longest_minutes: u64,
    /// The address of the mutex they wait for, if the dump tells.
    pub mutex: Option<String>,
    /// The innermost call first.
    pub frames: Vec<Frame>,
}

impl Group {
    /// Whether a frame of this short name is in the stack, and at which depth.
    #[must_use]
    pub fn depth_of(&self, short: &str) -> Option<usize> {
        self.frames.iter().position(|frame| frame.short() == short)
    }
}

/// Groups by what they have in common.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    groups: HashMap<Vec<u8>, Group>,
    /// Goroutines of stacks beyond those kept.
    pub(super) uncounted: u64,
}

impl Stacks {
    /// Counts one more entry; `build` makes the group if its stack was not seen yet.
    pub(super) fn count(&mut self, key: &[u8], entry: &Group, build: &dyn Fn() -> Vec<Frame>) {
        if let Some(group) = self.groups.get_mut(key) {
            group.count = group.count.saturating_add(entry.count);
            group.longest_minutes = group.longest_minutes.max(entry.longest_minutes);
        } else if self.groups.len() < STACKS {
            self.groups.insert(key.to_vec(), Group { frames: build(), ..entry.clone() });
        } else {
            self.uncounted = self.uncounted.saturating_add(entry.count);
        }
    }

    /// The groups, the biggest first.
    pub(super) fn into_groups(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by(|one, other| other.count.cmp(&one.count).then(one.first.cmp(&other.first)));
        groups
    }
}
