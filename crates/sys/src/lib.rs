//! System calls that `rustix` lacks, as safe functions: one file per kernel object.
//!
//! **Invariant:** the only crate of the workspace that may hold `unsafe`. It allocates nothing, locks nothing,
//! decides nothing, and returns the kernel's errno as it came.
#![no_std]

pub mod arena;
pub mod bpf;
pub mod capability;
pub mod children;
pub mod clone;
pub mod close_range;
pub mod descriptor_message;
pub mod exec;
pub mod fork;
pub mod ids;
pub mod keyring;
pub mod mount_setattr;
pub mod namespace;
pub mod network;
pub mod open;
pub mod pidfd;
pub mod prctl;
pub mod reservation;
pub mod sched;
pub mod seccomp;
pub mod shared_page;
pub mod signal;
pub mod signalfd;
pub mod start;
pub mod stdio;
pub mod working_directory;

use rustix::io::Errno;

/// Turns the return value of `syscall(2)` into a result.
///
/// Source: syscall(2): -1 means failure and errno holds the cause.
fn check(result: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| last_error())
}

/// The errno of this thread.
#[cold]
fn last_error() -> Errno {
    // SAFETY: the function takes nothing and cannot fail.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it gives a valid pointer to this thread's errno.
    errno_from(u16::try_from(unsafe { *errno }).unwrap_or_default())
}

/// An errno from its number, which is below 4096; `ENOSYS` for 0.
///
/// Never inlined: `from_raw_os_error` asserts its range, and only in a function of its own does the compiler reliably
/// see that the assertion holds, and drop the panic that the child side must not have.
#[inline(never)]
#[must_use]
pub fn errno_from(number: u16) -> Errno {
    // An errno has 12 bits. Written as a mask, which survives all passes; a comparison of ranges does not.
    let number = number & 0xfff;
    if number == 0 { Errno::NOSYS } else { Errno::from_raw_os_error(number.into()) }
}
