//! What the kernel alone charges for a container: a C program that makes the system calls of a `run` and nothing else.
//!
//! A second floor, above that of the bare program: no runtime that makes the same groups, namespaces and mounts one
//! after the other can be faster.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bench::lab::Lab;
use crate::cgroups;
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

    /// One container's worth of calls.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.root).args(&self.groups);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
