//! The groups of one container, taken together.

use std::path::Path;

use crate::{Kind, Paths};

/// The groups of one container in all hierarchies. The operations are in the files named after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    paths: Paths,
}

impl Cgroup {
    /// Takes the directories; touches nothing.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { paths }
    }

    /// The directories.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Whether limits are set in v1 hierarchies or in the v2 tree.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.paths.kind()
    }

    /// Whether at least one of the directories is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.paths.all().any(Path::is_dir)
    }
}
