//! From architecture and number to the decision about the arguments.
//!
//! The 2^32 numbers of an architecture fall into ranges of equal outcome. A range that consists of a single
//! number amid another range is a *hole* and costs one test for equality; the rest is a balanced binary tree.
//!
//! Beside the profile's rules, three things decide a number:
//!
//! * Numbers above the highest one the profile names answer `ENOSYS` unless the default action lets calls
//!   pass: a C library that tries a new system call must see that it is not there, and not `EPERM`.
//!   Compat: runc, libcontainer/seccomp/patchbpf.
//! * x86_64 and x32 share an architecture. Where the profile has only one of them, the numbers of the other
//!   kill; -1, by which a tracer skips a call, does not. Compat: libseccomp, gen_bpf.c.
//! * On S/390, number 0 answers `ENOSYS`: the kernel shows calls it does not know under it. Compat: runc.

use std::collections::BTreeMap;

use crate::action;
use crate::arch::{Arch, X32_BIT};
use crate::conditions::{self, Layout};
use crate::graph::{Graph, Id, Test};
use crate::rules::{Outcome, Rules};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// What a number nobody has called yet answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    /// The default action.
    Default,
    /// `ENOSYS`
    Enosys,
}

/// Chooses among architectures; one the profile does not have is killed.
pub(crate) fn by_architecture(graph: &mut Graph, archs: &[(Arch, Rules)], default: u32, newer: Newer) -> Id {
    let mut audits: Vec<u32> = archs.iter().map(|(arch, _)| arch.audit()).collect();
    audits.dedup();
    let mut next = graph.returns(action::KILL_THREAD);
    for audit in audits.into_iter().rev() {
        let abis: Vec<_> = archs.iter().filter(|(arch, _)| arch.audit() == audit).collect();
        let default = graph.returns(default);
        let mut numbers = Numbers::of_rules(graph, default, &abis);
        match abis[..] {
            [(Arch::X86_64, _)] => numbers.kill(graph, X32_BIT, u32::MAX - 1),
            [(Arch::X32, _)] => numbers.kill(graph, 0, X32_BIT - 1),
            _ => {}
        }
        if newer == Newer::Enosys {
            for (arch, rules) in &abis {
                numbers.refuse_newer(graph, *arch, rules.newest);
            }
        }
        let tree = numbers.tree(graph);
        let tree = graph.load(NUMBER, tree);
        next = graph.test(Test::Equal(audit), tree, next);
    }
    graph.load(ARCH, next)
}

/// The outcome of every number, as the starts of ranges.
struct Numbers {
    /// Keys beyond 32 bits do not occur, but ends of ranges do.
    starts: BTreeMap<u64, Id>,
    default: Id,
}

impl Numbers {
    /// The numbers that have a rule, and between them the default.
    fn of_rules(graph: &mut Graph, default: Id, abis: &[&(Arch, Rules)]) -> Self {
        let mut painted: Vec<(u32, Id)> = Vec::new();
        for (arch, rules) in abis {
            let layout = Layout { width: arch.width(), order: arch.byte_order() };
            painted.extend(rules.outcomes().map(|(number, outcome)| match outcome {
                Outcome::Always(returns) => (number, graph.returns(*returns)),
                Outcome::FirstOf(rules) => (number, conditions::first_of(graph, layout, rules, default)),
            }));
        }
        // The numbers of two ABIs of one architecture do not overlap.
        painted.sort_by_key(|(number, _)| *number);
        let mut starts = vec![(0, default)];
        for (number, id) in painted {
            let number = u64::from(number);
            starts.pop_if(|(start, _)| *start == number);
            starts.extend([(number, id), (number + 1, default)]);
        }
        Numbers { starts: starts.into_iter().collect(), default }
    }

    /// Gives all numbers from `first` to `last` the outcome `id`.
    fn paint(&mut self, first: u32, last: u32, id: Id) {
        if first > last {
            return;
        }
        let (first, after) = (u64::from(first), u64::from(last) + 1);
        let behind = self.starts.range(..=after).next_back().map_or(self.default, |(_, id)| *id);
        let inside: Vec<u64> = self.starts.range(first..after).map(|(start, _)| *start).collect();
        for start in inside {
            self.starts.remove(&start);
        }
        self.starts.insert(first, id);
        self.starts.insert(after, behind);
    }

    fn kill(&mut self, graph: &mut Graph, first: u32, last: u32) {
        let kill = graph.returns(action::KILL_THREAD);
        self.paint(first, last, kill);
    }

    fn refuse_newer(&mut self, graph: &mut Graph, arch: Arch, newest: Option<u32>) {
        let Some(newest) = newest else { return };
        let enosys = graph.returns(action::ENOSYS);
        match arch {
            Arch::X86_64 => {
                self.paint(newest + 1, X32_BIT - 1, enosys);
                self.paint(X32_BIT << 1, (X32_BIT << 1) + (X32_BIT - 1), enosys);
            }
            Arch::X32 => {
                self.paint(newest + 1, (X32_BIT << 1) - 1, enosys);
                self.paint((X32_BIT << 1) + X32_BIT, u32::MAX, enosys);
            }
            _ => self.paint(newest + 1, u32::MAX, enosys),
        }
        if matches!(arch, Arch::S390 | Arch::S390x) {
            self.paint(0, 0, enosys);
        }
    }

    /// The decision for the number in the accumulator.
    fn tree(self, graph: &mut Graph) -> Id {
        balance(graph, &self.ranges())
    }

    /// Ranges in order, with their holes.
    fn ranges(self) -> Vec<Range> {
        let mut starts: Vec<(u32, Id)> = Vec::new();
        for (start, id) in self.starts {
            let Ok(start) = u32::try_from(start) else { break };
            if starts.last().is_none_or(|last| last.1 != id) {
                starts.push((start, id));
            }
        }
        let mut ranges: Vec<Range> = Vec::new();
        let mut rest = starts.as_slice();
        while let [(start, id), tail @ ..] = rest {
            rest = tail;
            match (ranges.last_mut(), tail.first()) {
                (Some(range), Some((after, same))) if *after == start + 1 && *same == range.id => {
                    range.holes.push((*start, *id));
                    rest = &tail[1..];
                }
                _ => ranges.push(Range { start: *start, id: *id, holes: Vec::new() }),
            }
        }
        ranges.into_iter().flat_map(Range::split).collect()
    }
}

/// Numbers from `start` to the next range, but for the holes.
#[derive(Debug)]
struct Range {
    start: u32,
    id: Id,
    holes: Vec<(u32, Id)>,
}

/// Holes that are tested one after the other before it pays to split the range between them.
const HOLES_IN_A_ROW: usize = 3;

impl Range {
    /// Cuts a range of many holes into ranges of few.
    fn split(self) -> Vec<Range> {
        if self.holes.len() <= HOLES_IN_A_ROW {
            return vec![self];
        }
        let chunk = |(position, holes): (usize, &[(u32, Id)])| {
            let start = if position == 0 { self.start } else { holes[0].0 };
            Range { start, id: self.id, holes: holes.to_vec() }
        };
        self.holes.chunks(HOLES_IN_A_ROW).enumerate().map(chunk).collect()
    }

    fn decide(&self, graph: &mut Graph) -> Id {
        self.holes.iter().rev().fold(self.id, |otherwise, (number, id)| {
            let test = Test::Equal(*number);
            graph.test(test, *id, otherwise)
        })
    }
}

fn balance(graph: &mut Graph, ranges: &[Range]) -> Id {
    if let [range] = ranges {
        return range.decide(graph);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (balance(graph, low), balance(graph, high));
    graph.test(Test::AtLeast(high[0].start), above, below)
}
