//! A watch over a node on which something goes wrong and is mended again.

use std::path::Path;

use serde_json::Value;
use testkit::{Doctor, Running, hang};

use crate::{id_of, on_stock};

/// What a watch has said about a finding: `"onset"`, `"over"`.
fn events(watch: &Running, id: &str) -> Vec<Value> {
    assert!(!watch.has_ended(), "{}", watch.stderr());
    let text = watch.stdout();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let all = whole.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|event: &Value| event["finding"]["id"] == id || event["id"] == id).collect()
}

/// What the snapshot of an onset says elsewhere.
fn judged_elsewhere(doctor: &Doctor<'_>, onset: &Value) -> Vec<Value> {
    let path = onset["snapshot"].as_str().unwrap();
    assert!(Path::new(path).is_file(), "{path}");
    doctor.cli(&["--json", "--from", path]).run().json()["findings"].as_array().unwrap().clone()
}

#[test]
fn an_onset_is_told_once_with_its_snapshot_and_its_end_once() {
    on_stock(|lab, docker, doctor| {
        let metrics = lab.path("doctor.prom");
        let watch = doctor.cli(&["watch", "--state"]).args([lab.path("watch")]);
        let watch = watch.args(["--metrics"]).args([&metrics]).spawn();
        hang::eventually("the first look", || metrics.is_file());
        docker.sleeper("one", &["--runtime=flood"]);
        // While the exec hangs, an inspect does too.
        let container = id_of(docker, "one");

        lab.step("an exec hangs");
        let exec = docker.cli(&["exec", &container, "true"]).spawn();
        let found = doctor.finding("full_pipe", &container);
        let id = found["id"].as_str().unwrap();
        let onset = hang::eventually_some("the watch to tell it", || events(&watch, id).pop());
        assert_eq!((&onset["event"], &onset["finding"]["blocker"]), (&"onset".into(), &found["blocker"]));
        let (begun, told) = (onset["onset_ms"].as_u64().unwrap(), onset["found_ms"].as_u64().unwrap());
        lab.step(&format!("told {} ms after it was first suspected", told - begun));

        lab.step("its snapshot says the same on another machine");
        assert!(judged_elsewhere(doctor, &onset).iter().any(|it| it["id"] == id), "{onset:#}");

        lab.step("healed: its end is told, and nothing twice");
        doctor.heal(&found, &[]);
        exec.wait();
        hang::eventually("the watch to tell the end", || events(&watch, id).len() > 1);
        let told: Vec<Value> = events(&watch, id).iter().map(|event| event["event"].clone()).collect();
        assert_eq!(told, ["onset", "over"]);
        docker.ok(&["rm", "--force", "one"]);
    });
}
