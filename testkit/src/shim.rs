//! The shim under test: ours, or the stock one that shows what its callers get today.

use std::env;
use std::path::PathBuf;

use crate::partner;
use crate::runtime::on_path;

/// Whose shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shim {
    /// The one of the installed containerd.
    Stock,
    /// Ours.
    Sluice,
}

impl Shim {
    /// Name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "containerd-shim-runc-v2",
            Self::Sluice => "containerd-shim-sluice-v2",
        }
    }

    /// Where the binary is; `None`, said aloud, when it is not installed or not built (`SLUICE_SHIM_BIN`).
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        let found = match self {
            Self::Stock => on_path(self.name()),
            Self::Sluice => env::var_os("SLUICE_SHIM_BIN").map(PathBuf::from).or_else(|| built(self.name())),
        };
        if found.is_none() {
            partner::skip(&format!("{} is neither installed nor built", self.name()));
        }
        found
    }
}

/// What cargo built beside the test.
fn built(name: &str) -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    let profile = test.parent()?.parent()?;
    let target = profile.parent()?;
    let candidates = [profile.to_owned(), target.join("release"), target.join("debug")];
    candidates.into_iter().map(|directory| directory.join(name)).find(|file| file.is_file())
}
