//! Where the numbers come from.

use std::process::Command;

use crate::workspace::{Workspace, output_of};

/// The machine, the kernel and our commit, as pairs of a word and what it is.
pub(super) fn describe(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let uname = rustix::system::uname();
    let kernel = format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut git = Command::new("git");
    git.arg("-C").arg(&workspace.root).args(["describe", "--always", "--dirty", "--abbrev=12"]);
    let commit = output_of(&mut git).unwrap_or_else(|_| "unknown".to_owned());
    vec![
        ("commit", commit.trim().to_owned()),
        ("kernel", kernel),
        ("processor", format!("{processors} x {}", model())),
        ("cgroups", hierarchies()),
    ]
}

fn model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, model)| model.trim());
    let hypervisor = text.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    format!("{model}{}", if hypervisor { ", virtual machine" } else { "" })
}

fn hierarchies() -> String {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of = |kind: &str| text.lines().filter(|line| line.contains(&format!(" - {kind} "))).count();
    match (of("cgroup"), of("cgroup2")) {
        (0, _) => "v2".to_owned(),
        (v1, 0) => format!("{v1} v1 hierarchies"),
        (v1, _) => format!("{v1} v1 hierarchies and v2 (hybrid)"),
    }
}
