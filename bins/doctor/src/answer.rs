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
