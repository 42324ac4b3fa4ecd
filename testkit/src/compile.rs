//! Small static C programs for what a shell cannot do (threads, raw memory, odd exits).

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Cmd;

/// Compiles `source` to the static program `directory/name`.
///
/// # Panics
/// When `cc` is missing or refuses the source.
#[track_caller]
pub fn compile(directory: &Path, name: &str, source: &str) -> PathBuf {
    let (from, to) = (directory.join(format!("{name}.c")), directory.join(name));
    fs::write(&from, source).unwrap();
    let flags = ["-O1", "-static", "-pthread", "-o"].map(PathBuf::from);
    Cmd::new("cc", directory).args(flags).args([&to, &from]).ok();
    to
}
