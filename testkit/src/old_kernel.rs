//! The system calls of an old kernel on a young one, for what the runtime does without the younger calls.
//!
//! A seccomp filter answers as Linux 5.10 would to calls, flags and requests that came later. Files such as `cgroup.kill`
//! and the content of structures stay those of the kernel that runs. On Linux 5.10 itself nothing is filtered.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::compile::compile;
use crate::lab::Lab;
use crate::partner;
use crate::runtime::Runtime;

/// The first version with a call that the runtime uses and 5.10 lacks: `mount_setattr`.
const YOUNGER: (u32, u32) = (5, 12);

/// Runs one body in a lab whose runtime is ours with the system calls of Linux 5.10.
///
/// # Panics
/// When the body panics, when it leaks, or when something that is required is missing.
pub fn run(body: impl FnOnce(&Lab)) {
    if !partner::is_root() {
        return;
    }
    let Some(path) = Runtime::Sluice.find() else { return partner::skip("sluice is not built") };
    let directory = tempfile::tempdir().unwrap();
    let own = writable(directory.path(), &path);
    if release() < YOUNGER {
        return finish(&Lab::new(Runtime::Sluice, own), body);
    }
    if partner::find("cc").is_some() {
        finish(&Lab::new(Runtime::Sluice, with_old_calls(directory.path(), &own)), body);
    }
}

/// A copy of the runtime on a file system that can be written: on another it needs no protection.
fn writable(directory: &Path, runtime: &Path) -> PathBuf {
    let own = directory.join("runtime");
    fs::copy(runtime, &own).unwrap();
    own
}

fn finish(lab: &Lab, body: impl FnOnce(&Lab)) {
    body(lab);
    lab.assert_nothing_left();
}

/// Major and minor version of the kernel that runs.
///
/// # Panics
/// When its name does not begin with them.
#[must_use]
pub fn release() -> (u32, u32) {
    let system = rustix::system::uname();
    let text = system.release().to_str().unwrap().to_owned();
    let mut numbers = text.split(['.', '-']).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A program in `directory` that becomes `runtime` with the filter in force.
fn with_old_calls(directory: &Path, runtime: &Path) -> PathBuf {
    let filter = compile(directory, "linux-5.10", include_str!("linux_5_10.c"));
    let program = directory.join("sluice");
    let script = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", filter.display(), runtime.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}
