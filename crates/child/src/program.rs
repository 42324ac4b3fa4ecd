//! The program: its filter, its labels, and `execve`.

use crate::stage::{Failure, Report, Stage};
use core::ffi::CStr;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use sys::exec::Vector;
use sys::seccomp::Instruction;

/// What is executed.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The paths to try in order; several when the name is looked up in `PATH`.
    pub paths: &'a [&'a CStr],
    /// Arguments, the program's name first.
    pub arguments: Vector<'a>,
    /// Environment.
    pub environment: Vector<'a>,
}

/// A compiled seccomp filter.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Ready-made instructions.
    pub instructions: &'a [Instruction],
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Where a listener is sent (`SCM_RIGHTS`) when the flags ask for one.
    pub listener: Option<BorrowedFd<'a>>,
}

/// A write to an attribute file of `/proc/self` that was opened earlier.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// The file.
    pub file: BorrowedFd<'a>,
    /// What is written.
    pub text: &'a [u8],
}

impl Attribute<'_> {
    fn write(&self) -> Result<(), Errno> {
        rustix::io::write(self.file, self.text).map(drop)
    }
}

/// What happens after the process became its user.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// The configured `oom_score_adj`.
    pub oom_score: Option<Attribute<'a>>,
    /// The LSM label for `execve`.
    pub label: Option<Attribute<'a>>,
    /// The filter, when `no_new_privs` allows it to be the very last thing.
    pub filter: Option<Filter<'a>>,
    /// The program.
    pub program: Program<'a>,
}

impl<'a> From<Program<'a>> for Finish<'a> {
    /// Nothing but the program.
    fn from(program: Program<'a>) -> Self {
        Self { oom_score: None, label: None, filter: None, program }
    }
}

/// Loads a filter and hands a listener over.
///
/// # Errors
/// The step the kernel refused.
pub fn load(report: Report<'_>, filter: &Filter<'_>) -> Result<(), Failure> {
    let listener = report.step(Stage::Seccomp, || sys::seccomp::load(filter.instructions, filter.flags))?;
    if let (Some(listener), Some(socket)) = (listener, filter.listener) {
        report
            .step(Stage::SeccompListener, || sys::descriptor_message::send(socket, b'L', listener.as_fd()))?;
    }
    Ok(())
}

/// The last steps; comes back only with what was refused.
#[must_use]
pub fn run(report: Report<'_>, finish: &Finish<'_>) -> Failure {
    match prepare(report, finish) {
        Ok(()) => execute(report, &finish.program),
        Err(failure) => failure,
    }
}

fn prepare(report: Report<'_>, finish: &Finish<'_>) -> Result<(), Failure> {
    if let Some(score) = &finish.oom_score {
        report.step(Stage::OomScore, || score.write())?;
    }
    if let Some(label) = &finish.label {
        report.step(Stage::Label, || label.write())?;
    }
    if let Some(filter) = &finish.filter {
        load(report, filter)?;
    }
    Ok(())
}

/// Tries each path. As the shells do, a path that may not be executed is remembered while the search goes on.
///
/// Source: execvp(3).
fn execute(report: Report<'_>, program: &Program<'_>) -> Failure {
    report.word.set(Stage::Execve as u32);
    let mut worst = Failure { stage: Stage::Execve, errno: Errno::NOENT, detail: 0 };
    for (index, path) in (0_u32..).zip(program.paths) {
        let errno = sys::exec::execve(path, program.arguments, program.environment);
        let failure = Failure { stage: Stage::Execve, errno, detail: index };
        match errno {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => worst = failure,
            _ => return failure,
        }
        if program.paths.len() == 1 {
            return failure;
        }
    }
    worst
}
