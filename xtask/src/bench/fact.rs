//! What is stated beside the times: sizes, and the memory that a container is charged for before its program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::contestant::{Contestant, must};
use crate::bench::lab::{Init, Lab};
use crate::bench::sample::number;
use crate::cgroups::Group;
use crate::failure::Failure;
use crate::workspace::output_of;

/// One figure.
pub(super) struct Fact {
    /// What was counted.
    pub(super) what: &'static str,
    /// Whose.
    pub(super) contestant: String,
    /// How much.
    pub(super) value: f64,
    /// Of what.
    pub(super) unit: &'static str,
}

impl Fact {
    /// Of these parts.
    pub(super) fn new(what: &'static str, contestant: &str, value: f64, unit: &'static str) -> Self {
        Self { what, contestant: contestant.to_owned(), value, unit }
    }
}

/// What a runtime brings along, and what a container of it is charged for.
///
/// # Errors
/// When a container cannot be created, or on Ctrl-C.
pub(super) fn collect(lab: &Lab, contestants: &[Contestant]) -> Result<Vec<Fact>, Failure> {
    eprintln!("bench: sizes and memory");
    let mut facts = Vec::new();
    for one in contestants {
        let libraries = libraries(&one.path);
        let sum = libraries.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum::<u64>();
        let binary = kilobytes(one.size);
        facts.push(Fact::new("binary", &one.name, binary, "KB"));
        facts.push(Fact::new("binary and the libraries it maps", &one.name, binary + kilobytes(sum), "KB"));
    }
    for one in contestants {
        lab.interrupted()?;
        if let Some(bytes) = charged(lab, one)? {
            let what = "most memory charged to a container up to the end of create";
            facts.push(Fact::new(what, &one.name, kilobytes(bytes), "KB"));
        }
    }
    Ok(facts)
}

fn kilobytes(bytes: u64) -> f64 {
    number(usize::try_from(bytes / 1024).unwrap_or(usize::MAX))
}

/// The shared libraries that the loader would map; none of a static program.
///
/// Source: ldd(1): `name => /path (address)`, and the loader itself as `/path (address)`.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let text = output_of(Command::new("ldd").arg(program)).unwrap_or_default();
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    text.lines().filter_map(path).collect()
}

/// The peak of the container's cgroup when `create` has returned: its init waits before the program.
///
/// Kernel: charges are taken in steps of 64 pages. `memory.peak` came with Linux 5.19.
fn charged(lab: &Lab, contestant: &Contestant) -> Result<Option<u64>, Failure> {
    let id = contestant.id("charged");
    let bundle = lab.bundle(&id, Init::Exit)?.to_string_lossy().into_owned();
    must(contestant.command(&["create", "--bundle", &bundle, &id]))?;
    let group = Group::new(&format!("{}/{id}", lab.name()));
    let peak = group.number("memory/memory.max_usage_in_bytes", "memory.peak");
    must(contestant.command(&["delete", "--force", &id]))?;
    Ok(peak)
}
