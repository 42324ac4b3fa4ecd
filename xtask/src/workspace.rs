//! Where the repository lies and how to call cargo in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;

/// Where Debian and others put the programs.
pub(crate) const FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The repository on disk.
pub(crate) struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// Asks cargo where the workspace around the current directory is.
    pub(crate) fn find() -> Result<Self, Failure> {
        let mut command = Command::new("cargo");
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = output_of(&mut command)?;
        let answer: Value = serde_json::from_str(&text)
            .map_err(|source| Failure::Answer { program: "cargo metadata", source })?;
        Ok(Self { root: PathBuf::from(answer["workspace_root"].as_str().unwrap_or(".")) })
    }

    /// A cargo command in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }
}

/// Runs a command to its end and gives what it wrote to stdout.
///
/// # Errors
/// When it cannot be started, or does not end with status 0 (then with what it wrote to stderr).
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Failure::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Ended { program, status: output.status.to_string(), text })
}

/// Reads a whole file as bytes.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::File { operation: "read", path: path.to_owned(), source })
}
