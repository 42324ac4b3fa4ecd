//! The findings as JSON, for comparing two commits.

use serde_json::{Value, json};

use crate::bench::Findings;
use crate::bench::contestant::Contestant;
use crate::bench::report::Machine;
use crate::bench::sample::Result as Measured;

/// Times are microseconds.
pub(super) fn of(machine: &Machine, contestants: &[Contestant], findings: &Findings) -> Value {
    let machine: serde_json::Map<String, Value> =
        machine.iter().map(|(word, text)| ((*word).to_owned(), text.clone().into())).collect();
    let contestants: Vec<Value> = contestants
        .iter()
        .map(|one| json!({ "name": one.name, "version": one.version, "bytes": one.size }))
        .collect();
    let crowd: Vec<Value> = findings
        .crowd
        .iter()
        .map(|point| json!({ "verb": point.verb, "containers": point.containers, "median": tenth(point.median) }))
        .collect();
    let facts: Vec<Value> = findings
        .facts
        .iter()
        .map(|fact| json!({ "what": fact.what, "contestant": fact.contestant, "value": fact.value, "unit": fact.unit }))
        .collect();
    let load: Vec<Value> = findings
        .load
        .iter()
        .map(|point| {
            json!({
                "contestant": point.contestant,
                "containers": point.containers,
                "execs": tenth(point.execs),
                "processors": thousandth(point.processors),
            })
        })
        .collect();
    let rows: Vec<Value> = findings.rows.iter().map(row).collect();
    json!({
        "machine": machine,
        "contestants": contestants,
        "rows": rows,
        "crowd": crowd,
        "load": load,
        "facts": facts,
    })
}

fn row(row: &Measured) -> Value {
    json!({
        "scenario": row.scenario,
        "contestant": row.contestant,
        "count": row.count,
        "median": tenth(row.median),
        "best": tenth(row.best),
        "p99": tenth(row.p99),
        "cpu": tenth(row.cpu),
        "faults": tenth(row.faults),
        "throughput": row.throughput.map(tenth),
        "syscalls": row.syscalls,
    })
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
