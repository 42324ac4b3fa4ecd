//! Makes sure that a container cannot overwrite this executable.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use crate::failure::Failure;

/// Comes back when this process runs from a file that nobody can write; executes itself once more otherwise, with
/// the same arguments and environment.
///
/// # Errors
/// The step that the kernel refused.
pub(crate) fn ensure() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args_os().filter_map(c_string).collect();
    let environment: Vec<_> = std::env::vars_os().filter_map(variable).collect();
    Ok(container::protect(&arguments, &environment)?)
}

fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    let mut text = name;
    text.push("=");
    text.push(value);
    c_string(text)
}

/// The kernel hands over no text with a NUL byte in it, so none is lost here.
fn c_string(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}
