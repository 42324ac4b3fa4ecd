//! The loopback device of a new network namespace.

use crate::Error;

/// Brings `lo` up in the calling process's network namespace.
///
/// Compat: runc, `libcontainer/network_linux.go`: a container without any other network has loopback.
///
/// # Errors
/// [`Error::Step`].
pub(crate) fn bring_loopback_up() -> Result<(), Error> {
    sys::network::set_up(b"lo").map_err(|source| Error::Step { step: "bring the loopback device up", source })
}
