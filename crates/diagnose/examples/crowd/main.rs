//! What it costs to diagnose a node with a thousand containers, as a simulated tree; `make bench` runs it.
//!
//! Processor time of this process and of all children that read.

mod node;

use std::io::Write;
use std::time::Instant;

use diagnose::{Source, collect};
use node::Node;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| containers | processes | threads | processor time | wall time | saved file |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for count in [100, 1000] {
        let node = Node::with_containers(count);
        let source = Source::Tree(node.root().to_owned());
        // The first one warms the caches of the file system up, as a live /proc always is.
        let _ = collect(&source);
        let (ticks, begin) = (ticks(), Instant::now());
        let seen = collect(&source).map_err(std::io::Error::other)?;
        let diagnosis = diagnose::diagnose::diagnose(&seen);
        let (wall, used) = (begin.elapsed(), self::ticks() - ticks);
        let threads: usize = seen.processes.iter().map(|process| process.threads.len()).sum();
        let saved = diagnose::saved::encode(&seen)?.len() / 1024;
        let ms = used * 1000 / seen.taken.ticks_per_second.max(1);
        writeln!(
            out,
            "| {count} | {} | {threads} | {ms} ms | {} ms | {saved} KiB |",
            seen.processes.len(),
            wall.as_millis()
        )?;
        assert!(diagnosis.findings.is_empty(), "an idle node: {:?}", diagnosis.findings);
    }
    Ok(())
}

/// Clock ticks that this process and the children it waited for have used. Source: proc_pid_stat(5), fields 14 to 17.
fn ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    fields.skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
}
