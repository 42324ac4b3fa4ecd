//! A watch over a node on which something goes wrong and is mended again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
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

/// A small disk in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: PathBuf) -> Self {
        std::fs::create_dir(&place).unwrap();
        mount("tmpfs", &place, "tmpfs", MountFlags::empty(), Some(c"size=16m")).unwrap();
        Self(place)
    }

    fn fill(&self) {
        let mut file = std::fs::File::create_new(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_does_not_silence_it() {
    on_stock(|lab, docker, doctor| {
        let disk = SmallDisk::mount(lab.path("state"));
        let metrics = disk.0.join("doctor.prom");
        let watch = doctor.cli(&["watch", "--state"]).args([&disk.0]);
        let watch = watch.args(["--metrics"]).args([&metrics]).spawn();
        hang::eventually("the first look", || metrics.is_file());
        disk.fill();
        docker.sleeper("one", &["--runtime=flood"]);
        let container = id_of(docker, "one");
        let exec = docker.cli(&["exec", &container, "true"]).spawn();
        let found = doctor.finding("full_pipe", &container);
        let id = found["id"].as_str().unwrap();

        lab.step("told, with why its snapshot is not there");
        let onset = hang::eventually_some("the watch to tell it", || events(&watch, id).pop());
        assert_eq!(onset["snapshot"], Value::Null, "{onset:#}");
        assert!(onset["not_kept"].as_str().unwrap().contains("No space left on device"), "{onset:#}");
        assert!(watch.stderr().contains("No space left on device"), "{}", watch.stderr());
        let active = "sluice_doctor_findings{rule=\"full_pipe\",severity=\"critical\"} 1";
        let read = || std::fs::read_to_string(&metrics).unwrap_or_default();
        hang::eventually("the metrics", || read().contains(active));
        assert!(!read().contains("\nsluice_doctor_not_kept 0\n"), "{}", read());
        assert_eq!(disk.names(), ["doctor.prom", "filler"], "nothing unfinished is left");

        lab.step("kept when there is room");
        std::fs::remove_file(disk.0.join("filler")).unwrap();
        hang::eventually("a snapshot", || disk.names().iter().any(|name| name.ends_with(".snapshot")));
        doctor.heal(&found, &[]);
        exec.wait();
        docker.ok(&["rm", "--force", "one"]);
    });
}
