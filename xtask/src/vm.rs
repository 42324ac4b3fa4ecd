//! `cargo xtask vm`: a guest with systemd and pure cgroup v2, and the tests in it.
//!
//! Many machines have cgroup v1 or no systemd as process 1, and no KVM. The guest therefore runs under emulation: a
//! Debian with Debian's own kernels, made once and kept in the user's cache.
//!
//! ```text
//!   machine's apt -> recipe -> cache: disk, kernels        first disk, writes thrown away
//!   cargo test --no-run -> selection -> plan, binaries     second disk, read only
//!                                 |
//!                                qemu: systemd -> `xtask vm-inside` -> one process per test
//!                                 |
//!   results, line by line  <------'                        a virtio port
//! ```
//!
//! **Invariant:** success is said only after a summary that agrees with every single result, and a clean power-off.

mod apt;
mod binaries;
mod cache;
mod event;
mod inside;
mod machine;
mod options;
mod payload;
mod plan;
mod recipe;
mod results;
mod selection;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::workspace::Workspace;

pub(crate) use inside::run as run_inside;

use cache::Guest;
use options::{Options, Wish};
use payload::Payload;

/// Makes the guest, runs tests in it, or gives a shell in it.
///
/// # Errors
/// When something it needs is missing, the guest cannot be made, nothing is selected, or on Ctrl-C.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let options = Options::parse(arguments)?;
    if options.wish == Wish::Help {
        println!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let guest = Guest::obtain()?;
    match options.wish {
        Wish::Build | Wish::Help => {
            println!("{}", guest.folder().display());
            Ok(ExitCode::SUCCESS)
        }
        Wish::Shell => machine::shell(&guest, &options, &payload(workspace, &options)?),
        Wish::Test => test(workspace, &guest, &options),
    }
}

fn payload(workspace: &Workspace, options: &Options) -> Result<Payload, Failure> {
    let tests = selection::select(binaries::tests(workspace)?, options)?;
    Payload::new(&tests, options)
}

/// The same tests on each kernel in turn.
fn test(workspace: &Workspace, guest: &Guest, options: &Options) -> Result<ExitCode, Failure> {
    let payload = payload(workspace, options)?;
    let mut all_well = true;
    for kernel in &options.kernels {
        all_well &= machine::test(guest, kernel, options, &payload)?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
