//! What a shim holds in memory: twenty of them, each with a running container, before and after execs.

use std::time::Duration;

use rustix::process::Pid;

use crate::bench::fact::Fact;
use crate::bench::options::Options;
use crate::bench::sample::number;
use crate::bench::shim::STOCK_PAIR;
use crate::bench::shim::containers::{Container, crowd};
use crate::bench::shim::node::Node;
use crate::failure::Failure;

/// Shims at once: what they share is divided among so many.
const SHIMS: usize = 20;

/// Execs in each of ours.
const EXECS: usize = 100;

/// Execs in each of the stock ones, which take a thirtieth of a second each.
const STOCK_EXECS: usize = 10;

/// Proportional memory of a shim of ours that has done its execs: the figure with a goal.
pub(in crate::bench) const USED: &str =
    "proportional memory of a shim, 20 of them, each with a running container and at rest after 100 execs";

/// Longer than a shim keeps threads that have nothing to do.
const REST: Duration = Duration::from_secs(3);

const FRESH: &str = "proportional memory of a shim, 20 of them, each with a running container";
const STOCK_USED: &str =
    "proportional memory of a shim, 20 of them, each with a running container and at rest after 10 execs";
const RESIDENT: &str = "resident memory of a shim after its execs";

/// Ours, then the stock ones.
///
/// # Errors
/// When a container does not run or an exec fails, or on Ctrl-C.
pub(super) fn measure(ours: &Node<'_>, stock: &Node<'_>, options: &Options) -> Result<Vec<Fact>, Failure> {
    eprintln!("bench: memory of shims");
    let execs = if options.blocks < 6 { EXECS / 10 } else { EXECS };
    let mut facts = of(ours, ("sluice", USED), execs)?;
    facts.extend(of(stock, (STOCK_PAIR, STOCK_USED), execs.min(STOCK_EXECS))?);
    Ok(facts)
}

fn of(node: &Node<'_>, (name, used): (&str, &'static str), execs: usize) -> Result<Vec<Fact>, Failure> {
    let containers = crowd(node, 0..SHIMS)?;
    let mut pids = Vec::new();
    for container in &containers {
        pids.push(container.shim()?.pid(&container.id)?);
    }
    std::thread::sleep(REST);
    let fresh = mean(&pids, "Pss:");
    containers.iter().try_for_each(|container| work(container, execs))?;
    std::thread::sleep(REST);
    Ok(vec![
        Fact::new(FRESH, name, fresh, "KB"),
        Fact::new(used, name, mean(&pids, "Pss:"), "KB"),
        Fact::new(RESIDENT, name, mean(&pids, "Rss:"), "KB"),
    ])
}

fn work(container: &Container<'_>, execs: usize) -> Result<(), Failure> {
    container.node().lab().interrupted()?;
    let mut shim = container.shim()?;
    (0..execs).try_for_each(|_| shim.exec(container))
}

/// The mean of a line of `smaps_rollup`, in kilobytes. Source: proc_pid_smaps(5).
fn mean(pids: &[Pid], line: &str) -> f64 {
    let of = |pid: &Pid| {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))
            .unwrap_or_default();
        let line = text.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0)
    };
    number(pids.iter().map(of).sum()) / number(pids.len().max(1))
}
