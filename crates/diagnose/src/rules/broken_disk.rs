//! A file system on which daemons write, and to which the kernel lets nobody write after an error.
//!
//! *What it sees*: a place of a daemon, `/run`, `/tmp` or `/var/log` below a mount that is writable, on a file system that
//! says `emergency_ro` or `shutdown`. A plain `ro` of the file system below such a mount is no proof: an admin's remount
//! looks so at every bind of it, and overlay without an upper folder, squashfs and others always do. It counts for ext,
//! btrfs and f2fs, when the last that the kernel's log says of the device is an error; or with `errors=remount-ro`, as long
//! as no mount of the device is read-only, as whoever remounts one on purpose leaves it.
//!
//! *Why it happens*: a broken disk, a volume that was taken away, a file system that was not whole. ext4 with
//! `errors=remount-ro` goes on so. Containers run on; every start, most execs and every log line fail: `read-only file
//! system`, or, of an old runtime, `exit status 1` without a word.
//!
//! *How to confirm*: `grep -wE 'ro|emergency_ro|shutdown' /proc/self/mountinfo`; the kernel's log names the first error.
//!
//! *What to do*: move the load to another node, look at the disk, and repair the file system while it is not mounted.
//!
//! *What that costs*: everything on it is stopped meanwhile.
//!
//! Source: staged with ext4's `trigger_fs_error` on Linux 6.18 below containerd 1.6; no failure class.

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::{KernelLine, Mount};
use crate::view::View;

/// Lines of the kernel's log that are shown.
const FEW: usize = 3;

/// Errors, and what is worse. Source: syslog(2).
const ERROR: u8 = 3;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut told: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for system in view.snapshot.host.file_systems.iter().filter(|it| it.path != "/") {
        let Some(mount) = mount_of(view, &system.path).filter(|mount| is_broken(view, mount)) else {
            continue;
        };
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

/// Whether the mount would let people write, and its file system does not since an error.
///
/// Kernel: since 6.12 ext4 says `emergency_ro` or `shutdown` where it was `ro` before.
fn is_broken(view: &View<'_>, mount: &Mount) -> bool {
    let Some(words) = of_file_system(mount).filter(|_| mount.options.starts_with("rw,")) else {
        return false;
    };
    let has = |wanted: &str| words.contains(&wanted);
    if has("emergency_ro") || has("shutdown") {
        return true;
    }
    let by_itself = || has("errors=remount-ro") && !is_read_only_somewhere(view, mount);
    has("ro") && ON_DISK.contains(&mount.fs_type.as_str()) && (last_is_an_error(view, mount) || by_itself())
}

/// Types of file systems that the kernel makes read-only after an error; xfs is shut down, and stays `rw`.
const ON_DISK: [&str; 5] = ["ext2", "ext3", "ext4", "btrfs", "f2fs"];

/// The options of the file system, which begin with a `ro` or `rw` of their own behind those of the mount.
fn of_file_system(mount: &Mount) -> Option<Vec<&str>> {
    let words: Vec<&str> = mount.options.split(',').collect();
    let begin = words.iter().skip(1).position(|word| matches!(*word, "ro" | "rw"))?;
    Some(words[begin + 1..].to_vec())
}

fn is_read_only_somewhere(view: &View<'_>, mount: &Mount) -> bool {
    let mut same = view.snapshot.mounts.iter().filter(|it| it.device == mount.device);
    same.any(|it| it.options.split(',').next() == Some("ro"))
}

/// Whether the kernel has told an error of the device, and no mount or remount after it.
fn last_is_an_error(view: &View<'_>, mount: &Mount) -> bool {
    let tells = |line: &&KernelLine| line.level <= ERROR || line.text.contains("mounted");
    let mut lines = view.snapshot.kernel_log.iter().filter(|line| is_about(&line.text, mount));
    lines.rfind(tells).is_some_and(|line| line.level <= ERROR)
}

/// Whether a line of the kernel names the device of a mount: `(sda1)`, `(device sda1)`, `dev sda1`.
///
/// A `/dev/mapper/NAME` has another name there, and a source that is no device none at all.
fn is_about(text: &str, mount: &Mount) -> bool {
    let Some(device) = mount.source.strip_prefix("/dev/").filter(|name| !name.is_empty()) else {
        return false;
    };
    text.match_indices(device).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + device.len()..]);
        let begins = ["(", "device ", "dev "].iter().any(|word| before.ends_with(word));
        begins && !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
    })
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
    let errors = view.snapshot.kernel_log.iter().filter(|it| it.level <= ERROR && is_about(&it.text, mount));
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
