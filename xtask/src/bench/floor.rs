//! What the kernel alone charges for a container: a C program that makes the system calls of a `run` and nothing else.
//!
//! A second floor, above that of the bare program: no runtime that makes the same groups, namespaces and mounts one
//! after the other can be faster.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::lab::Lab;
use crate::cgroups;
use crate::failure::Failure;
use crate::workspace::output_of;

/// Name of its row.
pub(super) const KERNEL: &str = "kernel";

/// The program, ready to be called again and again.
pub(super) struct Floor {
    program: PathBuf,
    root: PathBuf,
    groups: Vec<PathBuf>,
}

impl Floor {
    /// Compiles it and makes the groups above its own. Without a C compiler or a static C library there is none, said
    /// aloud.
    pub(super) fn new(lab: &Lab) -> Option<Self> {
        let (source, program) = (lab.path("floor.c"), lab.path("floor"));
        let compiled = crate::bench::lab::write_file(&source, include_bytes!("floor.c"), 0o644)
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let mut cc = Command::new("cc");
                cc.args(["-O1", "-static", "-o"]).args([&program, &source]);
                output_of(&mut cc).map_err(|failure| crate::failure::chain(&failure))
            });
        if let Err(why) = compiled {
            eprintln!("bench: SKIPPED: the kernel's floor needs a C compiler and a static C library: {why}");
            return None;
        }
        let groups = cgroups::below_all(lab.name(), KERNEL);
        let root = lab.program().ancestors().nth(2)?.to_owned();
        Some(Self { program, root, groups })
    }

    /// Makes one container's worth of calls and tells what they took, by the program's own clock: the start of a C
    /// library is no part of it.
    ///
    /// # Errors
    /// When a call is refused.
    pub(super) fn once(&self) -> Result<Duration, Failure> {
        let mut command = Command::new(&self.program);
        let answer = output_of(command.arg(&self.root).args(&self.groups).stdin(Stdio::null()))?;
        answer.trim().parse().map(Duration::from_nanos).map_err(|_| Failure::Ended {
            program: KERNEL.to_owned(),
            status: "an unknown status".to_owned(),
            text: answer,
        })
    }
}
