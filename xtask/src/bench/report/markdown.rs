//! The page `results.md`.

use std::fmt::Write as _;

use crate::bench::Findings;
use crate::bench::contestant::Contestant;
use crate::bench::report::{Machine, goals, table};

/// Machine, contestants, charts, tables.
pub(super) fn text(machine: &Machine, contestants: &[Contestant], findings: &Findings) -> String {
    let mut text = String::from("# What the verbs cost\n\nWritten by `make bench`; do not edit.\n\n");
    for (word, what) in machine {
        let _ = writeln!(text, "* {word}: {what}");
    }
    for one in contestants {
        let _ = writeln!(text, "* {}: {}, {} KB", one.name, one.version, one.size / 1024);
    }
    text.push_str(INTRODUCTION);
    if !findings.crowd.is_empty() {
        text.push_str("\n![cost among many containers](crowd.svg)\n");
    }
    if !findings.load.is_empty() {
        text.push_str("\n![processors of a node under probes](probes.svg)\n");
    }
    text.push_str(&goals::text(&findings.rows, &findings.facts));
    text.push_str(&table::text(&findings.rows));
    if !findings.facts.is_empty() {
        text.push_str("\n### Sizes and memory\n\n| what | whose | how much |\n|---|---|--:|\n");
        for fact in &findings.facts {
            let _ =
                writeln!(text, "| {} | {} | {:.0} {} |", fact.what, fact.contestant, fact.value, fact.unit);
        }
    }
    if !findings.crowd.is_empty() {
        text.push_str("\n### Among many containers\n\n| verb | containers | median us |\n|---|--:|--:|\n");
        for point in &findings.crowd {
            let _ = writeln!(text, "| {} | {} | {:.0} |", point.verb, point.containers, point.median);
        }
    }
    if !findings.load.is_empty() {
        text.push_str(LOAD);
        for point in &findings.load {
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.3} |",
                point.containers, point.contestant, point.execs, point.processors
            );
        }
    }
    text
}

const LOAD: &str = "
### A node under probes

One exec per second in each container, asked of containerd. Processors: the time that containerd, the shims, the runtimes
and the programs used, by the time that passed. A node that cannot keep up makes fewer execs than it has containers.

| containers | shim | execs per second | processors |
|--:|---|--:|--:|
";

const INTRODUCTION: &str = "
Every container has Docker's default seccomp profile and capabilities, its own pid, mount, network, ipc and uts
namespace, a limit on memory and on pids. The program ends at once and has no C library. State roots are in memory.
`host` is the same program started by `posix_spawn` without any container: no runtime can be faster. `kernel` is a C
program that makes the system calls of a `run` one after the other (groups, limits, namespaces, mounts, change of root)
and nothing else: no configuration, no state, no check, no filter; its time is that of the calls, without its own start.

*Back to back*: blocks of calls of one runtime, the runtimes' blocks alternating; the median is that of the blocks'
medians. *One per 100 ms*: in turn, as probes come. `cpu` and `faults` count a call with all children it waited for;
the kernel tells processor time in steps of 10 ms, so it is a mean over all calls. `sluice/x` is our median divided by
theirs: the figure that holds when the machine's clock or neighbours change.

*Over the shim's socket*: Exec, Start, Wait and Delete, one after the other on one connection, streams to the null device;
`crun` and `runc` beside it are their command lines, `stock+crun` and `stock+runc` the stock shim with them. Its processor
time is that of the shim and all that it starts, which the kernel counts in nanoseconds, without containerd's. *ctr* is the
whole way, with the start of `ctr`, its streams and containerd.

![medians](results.svg)
";
