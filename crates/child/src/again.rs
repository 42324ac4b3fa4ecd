//! The child that executes the caller's own program again, for work that the caller must not do itself.

use crate::program::{self, Finish, Program};
use crate::session;
use crate::stage::{Failure, Report, Stage};
use core::convert::Infallible;
use rustix::fd::BorrowedFd;
use rustix::io::FdFlags;

/// What the child needs, made by the parent before the fork.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// What becomes standard input, output and error. Each is above 2.
    pub streams: [BorrowedFd<'a>; 3],
    /// The one other descriptor that the program gets, under its number here.
    pub kept: BorrowedFd<'a>,
    /// The program.
    pub program: Program<'a>,
}

/// Runs the plan. Ends in the program, or reports and exits with 255.
#[inline(never)]
pub fn run(report: Report<'_>, plan: &Plan<'_>) -> ! {
    let Err(failure) = steps(report, plan);
    report.end(failure)
}

fn steps(report: Report<'_>, plan: &Plan<'_>) -> Result<Infallible, Failure> {
    session::reset_signals(report)?;
    session::take_streams(report, Some(plan.streams))?;
    // Here and not in the parent, where another fork would hand it on as well.
    report.step(Stage::CloseDescriptors, || rustix::io::fcntl_setfd(plan.kept, FdFlags::empty()))?;
    Err(program::run(report, &Finish::from(plan.program)))
}
