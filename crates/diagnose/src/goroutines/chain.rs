//! How a wait goes on: from a queue to the holder of its lock, from a call to who serves it in the next process.

use super::parse::Dump;
use super::queue::{lock_name, queues};
use super::stack::{Group, Program};
use super::wait::{Wait, operation};

/// Longer chains are a circle.
const LONGEST: usize = 16;

/// One goroutine of the chain, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which of the dumps.
    pub dump: usize,
    /// Its program.
    pub program: Program,
    /// Which group of that dump.
    pub group: usize,
    /// The goroutine's number, if the dump numbers them.
    pub goroutine: Option<u64>,
    /// What it does.
    pub operation: String,
    /// What it waits for.
    pub wait: Wait,
}

/// From the longest queue, or else from a call that hangs, to the last goroutine that the dumps show.
#[must_use]
pub fn chain(dumps: &[Dump]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut next = start(dumps);
    while let Some((dump, group)) = next {
        let is_circle = links.iter().any(|link| link.dump == dump && link.group == group);
        let Some(link) = link(dumps, dump, group).filter(|_| !is_circle && links.len() < LONGEST) else {
            break;
        };
        next = follow(dumps, &link);
        links.push(link);
    }
    links
}

/// The dump nearest to the client comes first: dockerd, then containerd, then shims.
fn start(dumps: &[Dump]) -> Option<(usize, usize)> {
    let mut order: Vec<usize> = (0..dumps.len()).collect();
    order.sort_by_key(|at| dumps.get(*at).map(|dump| dump.program));
    let queued = order.iter().find_map(|at| {
        let dump = dumps.get(*at)?;
        let holder = queues(dump).into_iter().find_map(|queue| queue.holder)?;
        Some((*at, holder.group))
    });
    queued.or_else(|| {
        order.iter().find_map(|at| {
            let groups = &dumps.get(*at)?.groups;
            let group = groups
                .iter()
                .position(|group| matches!(Wait::of(group), Wait::Answer { .. } | Wait::Child { .. }))?;
            Some((*at, group))
        })
    })
}

fn link(dumps: &[Dump], dump: usize, at: usize) -> Option<Link> {
    let of = dumps.get(dump)?;
    let group = of.groups.get(at)?;
    Some(Link {
        dump,
        program: of.program,
        group: at,
        goroutine: group.first,
        operation: operation(group),
        wait: Wait::of(group),
    })
}

fn follow(dumps: &[Dump], link: &Link) -> Option<(usize, usize)> {
    match &link.wait {
        Wait::Lock { caller, mutex } => {
            let dump = dumps.get(link.dump)?;
            let name = lock_name(caller);
            let queue = queues(dump).into_iter().find(|queue| queue.lock == name && queue.mutex == *mutex)?;
            Some((link.dump, queue.holder?.group))
        }
        Wait::Answer { of, call } => served(dumps, of, call),
        _ => None,
    }
}

/// Who serves that call in a dump of that program; the one that waits longest for something else.
fn served(dumps: &[Dump], of: &str, call: &str) -> Option<(usize, usize)> {
    let method = call.rsplit('.').next()?;
    let is_it = |program: Program| program.name() == of;
    dumps.iter().enumerate().filter(|row| is_it(row.1.program)).find_map(|(at, dump)| {
        let serves = |group: &Group| {
            let operation = operation(group);
            operation.rsplit('.').next() == Some(method)
        };
        let mut groups: Vec<usize> =
            (0..dump.groups.len()).filter(|group| dump.groups.get(*group).is_some_and(serves)).collect();
        groups.sort_by_key(|group| dump.groups.get(*group).map(|group| order(&Wait::of(group))));
        groups.first().map(|group| (at, *group))
    })
}

fn order(wait: &Wait) -> u8 {
    match wait {
        Wait::Child { .. } => 0,
        Wait::Answer { .. } => 1,
        Wait::Lock { .. } => 2,
        _ => 3,
    }
}
