//! What is measured: one call of one contestant, to be repeated.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::contestant::{Contestant, Standing, must};
use crate::bench::floor::{Floor, KERNEL};
use crate::bench::lab::{Init, Lab};
use crate::bench::usage::Usage;
use crate::failure::Failure;

/// Name of the row for the least that any runtime can take: the same program started on the host.
pub(super) const FLOOR: &str = "host";

/// One call of one contestant.
pub(super) struct Trial<'a> {
    /// The contestant's name.
    pub(super) name: String,
    call: Box<dyn Fn() -> Result<Duration, Failure> + 'a>,
    /// What all calls so far have used.
    usage: Box<dyn Fn() -> Usage + 'a>,
}

impl<'a> Trial<'a> {
    /// A trial that runs the command that `call` gives.
    pub(super) fn new(name: &str, call: impl Fn() -> Command + 'a) -> Self {
        let call = move || {
            let start = Instant::now();
            must(call())?;
            Ok(start.elapsed())
        };
        Self::told(name, call)
    }

    /// A trial whose work is done by a child, which times it.
    pub(super) fn told(name: &str, call: impl Fn() -> Result<Duration, Failure> + 'a) -> Self {
        Self::counted(name, call, Usage::of_children)
    }

    /// A trial whose work is done and timed by another process.
    pub(super) fn timed(name: &str, process: u32, call: impl Fn() -> Result<Duration, Failure> + 'a) -> Self {
        Self::counted(name, call, move || Usage::of_process(process))
    }

    /// A trial whose work is done by somebody whose use is known.
    pub(super) fn counted(
        name: &str,
        call: impl Fn() -> Result<Duration, Failure> + 'a,
        usage: impl Fn() -> Usage + 'a,
    ) -> Self {
        Self { name: name.to_owned(), call: Box::new(call), usage: Box::new(usage) }
    }

    /// The same, with another account of what was used.
    pub(super) fn with_usage(self, usage: impl Fn() -> Usage + 'a) -> Self {
        Self { usage: Box::new(usage), ..self }
    }

    /// Makes the call, which must succeed, and tells how long it took.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn once(&self) -> Result<Duration, Failure> {
        (self.call)()
    }

    /// What all calls so far have used.
    pub(super) fn usage(&self) -> Usage {
        (self.usage)()
    }
}

/// `exec` in a container that stands, and the floor.
pub(super) fn execs<'a>(lab: &'a Lab, standing: &'a [Standing<'a>]) -> Vec<Trial<'a>> {
    let execs = standing.iter().map(|one| Trial::new(&one.contestant.name, || one.exec()));
    std::iter::once(floor(lab)).chain(execs).collect()
}

/// `run` from create to delete, the floor, and the calls of a `run` alone.
///
/// # Errors
/// When a bundle cannot be written.
pub(super) fn runs<'a>(
    lab: &'a Lab,
    contestants: &'a [Contestant],
    kernel: Option<&'a Floor>,
) -> Result<Vec<Trial<'a>>, Failure> {
    let trial = |one: &'a Contestant| {
        let id = one.id("run");
        let bundle = lab.bundle(&id, Init::Exit)?.to_string_lossy().into_owned();
        Ok(Trial::new(&one.name, move || one.command(&["run", "--bundle", &bundle, &id])))
    };
    let kernel = kernel.map(|kernel| Ok(Trial::told(KERNEL, || kernel.once())));
    std::iter::once(Ok(floor(lab))).chain(kernel).chain(contestants.iter().map(trial)).collect()
}

fn floor(lab: &Lab) -> Trial<'_> {
    Trial::new(FLOOR, || {
        let mut command = Command::new(lab.program());
        // The streams are set as for all: what that costs the parent counts for each of them.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    })
}
