//! `Stats` through `ctr tasks metrics`, beside what the control files say.

use std::fs;

use serde_json::Value;
use testkit::hang::eventually_some;
use testkit::hierarchy;

use crate::ctr::{Ctr, lab, ours};

fn metrics(ctr: &Ctr<'_>, id: &str) -> Value {
    ctr.cli(&["tasks", "metrics", "--format", "json", id]).ok().json()
}

/// The number in a control file of a container, with the names of v1 and v2.
fn control(ctr: &Ctr<'_>, id: &str, names: [&str; 2]) -> u64 {
    let groups = hierarchy::existing(&ctr.group(id));
    let paths = groups.iter().flat_map(|group| names.iter().map(|name| group.join(name)));
    let text = paths.filter_map(|path| fs::read_to_string(path).ok()).next();
    text.expect("one of the names of v1 and v2").trim().parse().unwrap()
}

/// A number anywhere in the JSON text of one of both messages.
fn number(metrics: &Value, pointers: [&str; 2]) -> u64 {
    let found = pointers.iter().find_map(|pointer| metrics.pointer(pointer)).and_then(Value::as_u64);
    assert!(found.is_some(), "none of {pointers:?} in {metrics}");
    found.unwrap_or_default()
}

#[test]
fn metrics_say_what_the_control_files_say() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&["--memory-limit", "67108864"], "c");
    ctr.exec("c", "work", &["/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]).ok();
    let found = metrics(&ctr, "c");
    assert_eq!(number(&found, ["/memory/usage/limit", "/memory/usage_limit"]), 67_108_864);
    assert_eq!(number(&found, ["/pids/current", "/pids/current"]), 1);
    assert!(number(&found, ["/cpu/usage/total", "/cpu/usage_usec"]) > 0, "{found}");
    // It changes while it is read.
    eventually_some("the same usage in both", || {
        let told = number(&metrics(&ctr, "c"), ["/memory/usage/usage", "/memory/usage"]);
        (told == control(&ctr, "c", ["memory.usage_in_bytes", "memory.current"])).then_some(())
    });
    ctr.remove("c");
    ctr.end();
}

#[test]
fn metrics_of_a_container_that_is_gone_are_not_found() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    ctr.cli(&["tasks", "metrics", "c"]).ok();
    ctr.remove("c");
    let refused = ctr.cli(&["tasks", "metrics", "c"]).run();
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("not found"), "{}", refused.stderr);
    ctr.end();
}
