//! What a control file takes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;

use crate::apply::Step;

/// Ends of file names, and what the kernel takes there. The first row that fits counts.
///
/// Source: the kernel's admin-guide/cgroup-v2.
const VALUES: [(&str, &str); 15] = [
    ("pids.max", "a number or max"),
    ("memory.oom.group", "0 or 1"),
    ("memory.swap.max", "a number of bytes or max"),
    ("memory.swap.high", "a number of bytes or max"),
    ("memory.max", "a number of bytes or max"),
    ("memory.high", "a number of bytes or max"),
    ("memory.low", "a number of bytes or max"),
    ("memory.min", "a number of bytes or max"),
    ("cpu.weight", "1 to 10000"),
    ("cpu.weight.nice", "-20 to 19"),
    ("cpu.idle", "0 or 1"),
    ("io.weight", "1 to 10000, as default N or MAJOR:MINOR N"),
    ("io.bfq.weight", "1 to 1000, as default N or MAJOR:MINOR N"),
    ("io.max", "MAJOR:MINOR and rbps=, wbps=, riops=, wiops= with a number or max"),
    ("cpuset.cpus.partition", "member, root or isolated"),
];

/// What would be right for a value that makes no sense to the kernel.
pub(super) fn value(step: &Step, errno: Errno) -> Option<String> {
    if !matches!(errno, Errno::INVAL | Errno::RANGE) {
        return None;
    }
    let name = step.path.file_name()?.to_str()?;
    let row = VALUES.iter().find(|(file, _)| *file == name).map(|(_, expected)| *expected);
    let expected = row.or_else(|| name.starts_with("hugetlb.").then_some("a number of bytes or max"))?;
    Some(format!("it takes {expected}"))
}

/// Kernel: opening such a file for writing answers `EINVAL`, also to root.
pub(super) fn not_writable(path: &Path) -> Option<String> {
    (!is_writable(path)?).then(|| "the file is read-only".to_owned())
}

fn is_writable(path: &Path) -> Option<bool> {
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o222 != 0)
}

/// The files of a controller that take a value.
pub(super) fn files(group: &Path, controller: &str) -> Option<String> {
    let prefix = format!("{controller}.");
    let names = std::fs::read_dir(group).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(&prefix) && is_writable(&group.join(name)) == Some(true))
        .collect();
    names.sort();
    (!names.is_empty()).then(|| format!(" (the {controller} controller has {})", names.join(", ")))
}
