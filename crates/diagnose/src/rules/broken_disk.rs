//! A file system on which daemons write, and to which the kernel lets nobody write after an error.
//!
//! *What it sees*: a place of a daemon, `/run`, `/tmp` or `/var/log` below a mount that is writable, on a file system that
//! is not: `rw` of the mount and `ro`, `emergency_ro` or `shutdown` of the file system. Whoever mounts one read-only on
//! purpose has `ro` in both.
//!
//! *Why it happens*: a broken disk, a volume that was taken away, a file system that was not whole. ext4 with
//! `errors=remount-ro` goes on so. Containers run on; every start, most execs and every log line fail: `read-only file
//! system`, or, of an old runtime, `exit status 1` without a word.
//!
//! *How to confirm*: `grep -w ro /proc/self/mountinfo`; the kernel's log names the first error.
//!
//! *What to do*: move the load to another node, look at the disk, and repair the file system while it is not mounted.
//!
//! *What that costs*: everything on it is stopped meanwhile.
//!
//! Source: staged with ext4's `trigger_fs_error` on Linux 6.18 below containerd 1.6; no failure class.

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::Mount;
use crate::view::View;

/// Lines of the kernel's log that are shown.
const FEW: usize = 3;

/// Errors, and what is worse. Source: syslog(2).
const ERROR: u8 = 3;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut told: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for system in view.snapshot.host.file_systems.iter().filter(|it| it.path != "/") {
        let Some(mount) = mount_of(view, &system.path).filter(|mount| is_broken(mount)) else { continue };
        if !told.contains(&mount.device.as_str()) {
            told.push(&mount.device);
            findings.push(finding(view, &system.path, mount));
        }
    }
    findings
}

/// The mount that a path is on: the last one of the longest mount point above it.
fn mount_of<'a>(view: &View<'a>, path: &str) -> Option<&'a Mount> {
    let is_above = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.mount_point.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    view.snapshot.mounts.iter().filter(is_above).max_by_key(|mount| mount.mount_point.len())
}

/// Whether the mount would let people write, and its file system does not.
///
/// Kernel: since 6.12 ext4 says `emergency_ro` or `shutdown` where it was `ro` before.
fn is_broken(mount: &Mount) -> bool {
    let mut words = mount.options.split(',');
    words.next() == Some("rw") && words.any(|word| matches!(word, "ro" | "emergency_ro" | "shutdown"))
}

fn finding(view: &View<'_>, path: &str, mount: &Mount) -> Finding {
    let title =
        format!("nobody can write below {path} any more: the kernel has made {} read-only", mount.source);
    let mut finding = Finding::new("broken_disk", &mount.mount_point, Severity::Warning, title)
        .blocker(None, &mount.source, format!("the repair of its file system at {}", mount.mount_point))
        .evidence(
            "/proc/self/mountinfo",
            format!("{} {}: {}", mount.mount_point, mount.fs_type, mount.options),
        );
    let device = mount.source.rsplit('/').next().unwrap_or_default();
    let is_about = |text: &str| !device.is_empty() && text.contains(device);
    let errors = view.snapshot.kernel_log.iter().filter(|it| it.level <= ERROR && is_about(&it.text));
    for line in errors.take(FEW) {
        finding = finding.evidence("kernel log", &line.text);
    }
    finding.remedy(
        Remedy::advise(
            "repair",
            "move the load to another node, look at the disk (dmesg, smartctl), repair the file system with fsck while it \
             is not mounted",
        )
        .costs("everything that is on it is stopped meanwhile"),
    )
}
