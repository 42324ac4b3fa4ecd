//! What a test needs from the machine: root, and programs that are not ours.
//!
//! On a laptop a missing partner skips the test aloud; with `CI` or `SLUICE_REQUIRE_PARTNERS` set it fails.

use std::env;
use std::path::PathBuf;

use crate::runtime::on_path;

/// The path of an installed program, or `None` after saying why the test is skipped.
///
/// # Panics
/// When it is missing and partners are required.
#[must_use]
#[track_caller]
pub fn find(name: &str) -> Option<PathBuf> {
    let found = on_path(name);
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// True when the test may use root's powers; else it says that it skips.
///
/// # Panics
/// When not root and partners are required.
#[must_use]
#[track_caller]
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("not root");
    }
    root
}

/// Says aloud that the running test is skipped, and why.
///
/// # Panics
/// When `CI` or `SLUICE_REQUIRE_PARTNERS` is set: there nothing may be skipped.
#[track_caller]
pub fn skip(reason: &str) {
    let required = ["CI", "SLUICE_REQUIRE_PARTNERS"].into_iter().find(|name| env::var_os(name).is_some());
    assert!(required.is_none(), "{reason}, but {} is set", required.unwrap_or_default());
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    eprintln!("SKIPPED {name}: {reason}");
}

/// Says aloud that the running test has nothing to run on this host, and why: what it is about does not exist here.
pub fn not_run(reason: &str) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    eprintln!("NOT RUN {name}: {reason}");
}

/// Whether the kernel is of this version or younger; says aloud what an older one lacks.
#[must_use]
pub fn has_linux(version: (u32, u32), what: &str) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    let is_there = (numbers.next(), numbers.next()) >= (Some(version.0), Some(version.1));
    if !is_there {
        not_run(&format!("{what} came with Linux {}.{}", version.0, version.1));
    }
    is_there
}

/// Whether this process has `CAP_SYS_RESOURCE`, which not every machine's root has; else says that there is nothing to
/// run.
///
/// # Panics
/// When `/proc` does not tell.
#[must_use]
pub fn has_sys_resource() -> bool {
    let own = i32::try_from(std::process::id()).unwrap();
    let mask = crate::process::status_line(own, "CapEff");
    let has = u64::from_str_radix(&mask, 16).unwrap() & (1 << 24) != 0;
    if !has {
        not_run("this machine's root has no CAP_SYS_RESOURCE");
    }
    has
}

/// Returns from the test unless it runs as root.
#[macro_export]
macro_rules! require_root {
    () => {
        if !$crate::partner::is_root() {
            return;
        }
    };
}

/// The path of a program, or return from the test.
#[macro_export]
macro_rules! require_partner {
    ($name:expr) => {
        match $crate::partner::find($name) {
            Some(path) => path,
            None => return,
        }
    };
}
