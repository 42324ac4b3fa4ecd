//! What a watch costs on this machine, in processor time: a cheap look, and a whole snapshot with its diagnosis.
//!
//! `cargo run --release -p sluice-diagnose --example look_cost`
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use diagnose::collect::look::Eyes;
use diagnose::{Source, collect};

/// Looks that are measured; a tick is 10 ms, so a few would say nothing.
const LOOKS: u32 = 100;

/// Snapshots that are measured.
const SNAPSHOTS: u32 = 10;

/// A clock tick in milliseconds.
const TICK: f64 = 10.0;

fn main() -> diagnose::Result<()> {
    let mut eyes = Eyes::open()?;
    let first = eyes.look();
    println!("{} processes, {} groups that stand out", first.processes.len(), first.groups.len());
    println!("a look: {:.2} ms", cost(LOOKS, || drop(eyes.look())));
    let mut failed = Ok(());
    let snapshot = || match collect(&Source::Live) {
        Ok(snapshot) => drop(diagnose::diagnose::diagnose(&snapshot)),
        Err(error) => failed = Err(error),
    };
    println!("a snapshot and its diagnosis: {:.1} ms", cost(SNAPSHOTS, snapshot));
    failed
}

/// Milliseconds of processor time of this process and its children for each call.
fn cost(times: u32, mut call: impl FnMut()) -> f64 {
    let before = ticks();
    (0..times).for_each(|_| call());
    (ticks() - before) * TICK / f64::from(times)
}

/// Fields 14 to 17 of proc_pid_stat(5).
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
