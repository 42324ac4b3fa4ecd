//! Descriptors that the control thread is told about when they become ready.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that stays open, under its number, for as long as its owner lives.
pub trait Steady: AsRawFd {}

impl Steady for OwnedFd {}
impl Steady for BorrowedFd<'_> {}

/// Registers a descriptor with the running event loop.
///
/// # Errors
/// `EPERM` for what is always ready (a file), `ENOMEM`, `ENOSPC`.
#[expect(deprecated, reason = "its successor is an unsafe function that asks for what `Steady` promises")]
pub fn watched<F: Steady>(fd: F, interest: Interest) -> std::io::Result<AsyncFd<F>> {
    AsyncFd::with_interest(fd, interest)
}
