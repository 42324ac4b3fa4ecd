//! Standard output: the answer, and nothing else.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Whoever reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Has been given the answer.
    There,
    /// Went away, having had enough.
    Gone,
}

/// Writes the answer. A reader that went away is no failure.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(text: &str) -> Result<Reader, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        other => other.map(|()| Reader::There).map_err(Failure::Print),
    }
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(|error| Failure::Print(error.into()))?;
    text.push('\n');
    print(&text).map(|_reader| ())
}
