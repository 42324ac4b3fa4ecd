//! A node under probes: one exec per second in each of many containers, asked of containerd, and what the node's side of
//! it uses: containerd, the shims, the runtimes and the programs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::bench::options::Options;
use crate::bench::sample::number;
use crate::bench::shim::STOCK_PAIR;
use crate::bench::shim::containers::{Container, crowd};
use crate::bench::shim::node::Node;
use crate::failure::Failure;

/// Callers at a time, each with a connection of its own: so many execs may be late at once.
const CALLERS: usize = 16;

/// One point of the plot.
pub(in crate::bench) struct Load {
    /// Whose shim.
    pub(in crate::bench) contestant: &'static str,
    /// Containers, and so execs wanted each second.
    pub(in crate::bench) containers: usize,
    /// Execs that ended each second.
    pub(in crate::bench) execs: f64,
    /// Processors that were busy with them.
    pub(in crate::bench) processors: f64,
}

/// More and more containers; both nodes at each step, one after the other.
///
/// # Errors
/// When a container does not run or an exec fails, or on Ctrl-C.
pub(super) fn measure(ours: &Node<'_>, stock: &Node<'_>, options: &Options) -> Result<Vec<Load>, Failure> {
    let steps = [10, 25, 50, 100].into_iter().filter(|count| *count <= options.crowd);
    let seconds = Duration::from_secs(2 * options.seconds);
    let mut nodes = [("sluice", ours, Vec::new()), (STOCK_PAIR, stock, Vec::new())];
    let mut points = Vec::new();
    for count in steps {
        eprintln!("bench: a node with {count} containers under probes");
        for (name, node, containers) in &mut nodes {
            containers.extend(crowd(node, containers.len()..count)?);
            let (execs, processors) = probe(node, containers, seconds)?;
            points.push(Load { contestant: name, containers: count, execs, processors });
        }
    }
    Ok(points)
}

/// Execs per second, and processors used by them.
fn probe(node: &Node<'_>, containers: &[Container<'_>], length: Duration) -> Result<(f64, f64), Failure> {
    let (next, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (begun, before) = (Instant::now(), node.account().whole());
    let gap = Duration::from_secs(1) / u32::try_from(containers.len()).unwrap_or(u32::MAX);
    let call = || {
        let mut containerd = node.connect()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = gap * u32::try_from(number).unwrap_or(u32::MAX);
            // One that is due and cannot begin in time is one that the node did not manage.
            if due >= length || begun.elapsed() >= length {
                return Ok::<(), Failure>(());
            }
            node.lab().interrupted()?;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            containerd.exec(&containers[number % containers.len()])?;
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        callers.into_iter().try_for_each(|caller| {
            caller.join().map_err(|_| Failure::Usage("a caller panicked".to_owned()))?
        })
    })?;
    let took = begun.elapsed().as_secs_f64();
    let used = node.account().whole().saturating_sub(before).as_secs_f64();
    Ok((number(ended.load(Ordering::Relaxed)) / took, used / took))
}
