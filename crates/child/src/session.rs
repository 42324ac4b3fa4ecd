//! Signals, session, controlling terminal, session keyring, working directory.

use crate::stage::{Failure, Report, Stage};
use core::ffi::CStr;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use sys::working_directory::Place;

/// Gives every signal its default action, and takes none out by a mask.
///
/// Kernel: a signal that the caller ignores stays ignored over `execve`.
///
/// # Errors
/// The step the kernel refused.
pub fn reset_signals(report: Report<'_>) -> Result<(), Failure> {
    report.step(Stage::Signals, || {
        sys::signal::set_all_default()?;
        sys::signal::set_mask(0).map(drop)
    })
}

/// Starts a session and, with a terminal, takes it as the controlling one on 0, 1 and 2.
///
/// # Errors
/// The step the kernel refused.
pub fn start(report: Report<'_>, terminal: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    report.step(Stage::Session, || rustix::process::setsid().map(drop))?;
    let Some(terminal) = terminal else { return Ok(()) };
    report.step(Stage::Terminal, || {
        rustix::process::ioctl_tiocsctty(terminal)?;
        rustix::stdio::dup2_stdin(terminal)?;
        rustix::stdio::dup2_stdout(terminal)?;
        rustix::stdio::dup2_stderr(terminal)
    })
}

/// Puts `streams` on 0, 1 and 2.
///
/// # Errors
/// The step the kernel refused.
pub fn take_streams(report: Report<'_>, streams: Option<[BorrowedFd<'_>; 3]>) -> Result<(), Failure> {
    let Some([input, output, error]) = streams else { return Ok(()) };
    report.step(Stage::Streams, || {
        rustix::stdio::dup2_stdin(input)?;
        rustix::stdio::dup2_stdout(output)?;
        rustix::stdio::dup2_stderr(error)
    })
}

/// Joins the container's session keyring by its name.
///
/// A kernel without keyrings, or a filter around us that forbids them, leaves the inherited one.
///
/// # Errors
/// `EDQUOT` and other refusals.
pub fn join_keyring(report: Report<'_>, name: Option<&CStr>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    report.step(Stage::Keyring, || match sys::keyring::join_session(name) {
        Ok(_) | Err(Errno::NOSYS) => Ok(()),
        Err(errno) => Err(errno),
    })
}

/// Closes every descriptor above 2 but the first `preserved` ones from 3 on and those in `keep`, which is sorted.
///
/// # Errors
/// The step the kernel refused.
pub fn close_others(report: Report<'_>, preserved: u32, keep: &[u32]) -> Result<(), Failure> {
    let lowest = 3_u32.saturating_add(preserved);
    let mut first = lowest;
    for &kept in keep.iter().filter(|kept| **kept >= lowest) {
        if kept > first {
            report.step(Stage::CloseDescriptors, || sys::close_range::close_range(first, kept - 1))?;
        }
        first = kept.saturating_add(1);
    }
    report.step(Stage::CloseDescriptors, || sys::close_range::close_range(first, u32::MAX))
}

/// Goes to the working directory and verifies that it lies inside the root.
///
/// # Errors
/// The step the kernel refused; `Stage::Outside` with `EXDEV` for a directory outside.
pub fn enter(report: Report<'_>, directory: &CStr) -> Result<(), Failure> {
    report.step(Stage::WorkingDirectory, || rustix::process::chdir(directory))?;
    report.step(Stage::Outside, || match sys::working_directory::place()? {
        Place::Inside => Ok(()),
        Place::Outside => Err(Errno::XDEV),
    })
}
