//! `cargo xtask bench`: what the verbs cost, side by side with other runtimes in one run.
//!
//! A time alone says little: the clock of a virtual machine drifts and neighbours come and go. Contestants therefore
//! take turns within one run, and what counts is the ratio between them.
//!
//! **Invariant:** everything it makes hangs on a guard, so it cleans up after itself when a step fails or when it
//! is interrupted: containers, cgroups, mounts, the folder with the root file system.

mod bundle;
mod compare;
mod contestant;
mod crowd;
mod elf;
mod fact;
mod filter;
mod floor;
mod lab;
mod library;
mod machine;
mod options;
mod parallel;
mod report;
mod rhythm;
mod sample;
mod shim;
mod startup;
mod syscalls;
mod trial;
mod usage;
mod verbs;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::workspace::Workspace;

use contestant::{Contestant, Standing};
pub(crate) use lab::write_file;

use lab::Lab;
use options::Options;
use sample::Result as Measured;

/// Everything that was found out.
struct Findings {
    /// One row for each scenario and contestant.
    rows: Vec<Measured>,
    /// Median microseconds by verb and number of containers.
    crowd: Vec<crowd::Point>,
    /// Sizes and memory.
    facts: Vec<fact::Fact>,
    /// A node under probes.
    load: Vec<shim::Load>,
}

/// Runs the benchmark, or compares two earlier ones.
///
/// # Errors
/// When something it needs is missing, a runtime refuses, or on Ctrl-C.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let options = Options::parse(arguments)?;
    if options.help {
        println!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some((old, new)) = &options.compare {
        print!("{}", compare::table(old, new)?);
        return Ok(ExitCode::SUCCESS);
    }
    only_for_root()?;
    let machine = machine::describe(workspace);
    let lab = Lab::new(workspace)?;
    let contestants = contestant::all(&lab, &options)?;
    let findings = measure(&lab, &contestants, &options)?;
    report::write(workspace, &options, &machine, &contestants, &findings)?;
    Ok(ExitCode::SUCCESS)
}

/// The pages of text that a shim has in use after execs; the binary runs from memory.
///
/// # Errors
/// When the binary cannot be copied or a daemon refuses, without root, or on Ctrl-C.
pub(crate) fn touched(workspace: &Workspace, binary: &Path) -> Result<BTreeSet<u64>, Failure> {
    only_for_root()?;
    let lab = Lab::new(workspace)?;
    let copy = lab.state_of("binary");
    std::fs::copy(binary, &copy).map_err(|source| Failure::File {
        operation: "copy the shim to",
        path: copy.clone(),
        source,
    })?;
    shim::touched_pages(&lab, &copy)
}

fn only_for_root() -> Result<(), Failure> {
    let refused = "only root may make namespaces and cgroups here: try it with sudo";
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Failure::Usage(refused.to_owned())) }
}

/// The scenarios in the order of the report.
fn measure(lab: &Lab, contestants: &[Contestant], options: &Options) -> Result<Findings, Failure> {
    let (mut rows, mut facts) = (Vec::new(), Vec::new());
    let load = in_standing(lab, contestants, options, (&mut rows, &mut facts))?;
    if options.wants("run") {
        let floor = floor::Floor::new(lab);
        let mut trials = trial::runs(lab, contestants, floor.as_ref())?;
        rows.extend(rhythm::back_to_back(lab, "run", &mut trials, options)?);
        rows.extend(rhythm::probe(lab, "run", &mut trials, &options.slower())?);
    }
    if options.wants("verbs") {
        rows.extend(verbs::measure(lab, contestants, options)?);
    }
    if options.wants("startup") {
        rows.extend(startup::measure(lab, contestants, options)?);
    }
    if options.wants("facts") {
        facts.extend(fact::collect(lab, contestants)?);
    }
    let crowd = if options.wants("crowd") { crowd::measure(lab, contestants, options)? } else { Vec::new() };
    Ok(Findings { rows, crowd, facts, load })
}

/// What is measured in one container of each contestant that stands all the while.
fn in_standing(
    lab: &Lab,
    contestants: &[Contestant],
    options: &Options,
    (rows, facts): (&mut Vec<Measured>, &mut Vec<fact::Fact>),
) -> Result<Vec<shim::Load>, Failure> {
    let standing = contestants.iter().map(|one| Standing::new(lab, one)).collect::<Result<Vec<_>, _>>()?;
    if options.wants("exec") {
        rows.extend(rhythm::back_to_back(lab, "exec", &mut trial::execs(lab, &standing), options)?);
        rows.extend(rhythm::probe(lab, "exec", &mut trial::execs(lab, &standing), options)?);
    }
    if options.wants("syscalls") {
        syscalls::count(&standing, rows)?;
    }
    if options.wants("library") {
        rows.extend(library::measure(lab, &standing, options, facts)?);
    }
    if options.wants("parallel") {
        rows.extend(parallel::measure(lab, &standing, options)?);
    }
    if options.wants("filter") {
        rows.extend(filter::measure(lab, &standing, options, facts)?);
    }
    let found = shim::measure(lab, &standing, options)?;
    rows.extend(found.rows);
    facts.extend(found.facts);
    Ok(found.load)
}
