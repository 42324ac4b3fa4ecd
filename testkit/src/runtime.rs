//! The runtime under test: ours, or the reference that proves the test itself.

use std::env;
use std::path::PathBuf;

/// Who runs the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// The reference.
    Runc,
    /// Ours.
    Sluice,
}

impl Runtime {
    /// Name of the program, used in messages and paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Sluice => "sluice",
        }
    }

    /// Where the binary is; `None` when it is not installed or not built.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        match self {
            Self::Runc => on_path("runc"),
            Self::Sluice => env::var_os("SLUICE_BIN").map(PathBuf::from).or_else(|| built("sluice")),
        }
    }
}

/// Looks `name` up in `PATH` and in the directories of system programs.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The binary `name` that cargo built beside the test: same profile first, then release, then debug.
pub(crate) fn built(name: &str) -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    let profile = test.parent()?.parent()?;
    let target = profile.parent()?;
    let candidates = [profile.to_owned(), target.join("release"), target.join("debug")];
    candidates.into_iter().map(|directory| directory.join(name)).find(|file| file.is_file())
}
