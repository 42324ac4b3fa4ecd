//! Standard output: the answer, and nothing else.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes the answer. A reader that went away has had enough, which is no failure.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::Print),
    }
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(|error| Failure::Print(error.into()))?;
    text.push('\n');
    print(&text)
}
