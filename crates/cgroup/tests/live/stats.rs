//! The statistics against those of the reference on the same container.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cgroup::{Cgroup, Kind, Layout, Stats, resolve};
use serde_json::Value;

use crate::fixture::{Fixture, is_possible, wait_until};
use testkit::hang::GUARD;

/// Numbers that move between two readings.
const MOVING: [&str; 2] = ["/cpu/usage", "/memory"];

/// Numbers that move and are left out while they are 0.
const APPEARING: &str = "/cpu/throttling/";

/// What only newer references tell of cgroup v2: pressure since runc 1.2, the peak of memory.
const NEWER: [&str; 2] = ["/psi", "/memory/usage/max"];

/// A container of the reference runtime, removed with the test.
struct Reference {
    bundle: tempfile::TempDir,
    id: String,
    cgroup: Cgroup,
}

impl Reference {
    fn start() -> Option<Self> {
        let busybox = Path::new("/bin/busybox");
        if !is_possible() || !busybox.exists() || Command::new("runc").arg("--version").output().is_err() {
            eprintln!("skipped: needs root, runc and a static busybox");
            return None;
        }
        let id = format!("sluice-test-stats-{}", std::process::id());
        let cgroup =
            Cgroup::new(resolve(&Layout::discover().unwrap(), Some(&format!("/{id}")), &id).unwrap());
        let reference = Self { bundle: tempfile::tempdir().unwrap(), id, cgroup };
        std::fs::create_dir_all(reference.path("rootfs/bin")).unwrap();
        std::fs::copy(busybox, reference.path("rootfs/bin/busybox")).unwrap();
        assert!(reference.runc(&["spec", "--bundle", reference.path("").to_str().unwrap()]).is_some());
        reference.configure();
        let bundle = reference.path("").to_str().unwrap().to_owned();
        assert!(reference.runc(&["run", "--detach", "--bundle", &bundle, &reference.id]).is_some());
        // Before it there are the threads of the runtime's own child.
        wait_until("the program to run", || reference.cgroup.stats().pids.current == 1);
        Some(reference)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bundle.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn configure(&self) {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = serde_json::json!(["/bin/busybox", "sleep", "1000"]);
        config["linux"]["cgroupsPath"] = format!("/{}", self.id).into();
        config["linux"]["resources"] = serde_json::json!({
            "memory": {"limit": 67_108_864}, "pids": {"limit": 50}, "cpu": {"quota": 50_000, "period": 100_000}
        });
        std::fs::write(path, config.to_string()).unwrap();
    }

    /// The output of a successful call. The container inherits no pipe, else reading would never end.
    fn runc(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.path("state")).args(arguments).stdin(Stdio::null());
        if arguments[0] == "run" {
            return command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .ok()?
                .success()
                .then(String::new);
        }
        let output = command.output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.runc(&["delete", "--force", &self.id]);
        let _ = self.cgroup.kill(*GUARD);
        let _ = self.cgroup.remove(*GUARD);
    }
}

/// All places of a value, with their kind; numbers with their value unless they move.
fn shape(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(format!("{place}: object"));
            for (name, value) in fields {
                shape(value, &format!("{place}/{name}"), found);
            }
        }
        Value::Number(_) if MOVING.iter().any(|moving| place.starts_with(moving)) => {
            found.push(format!("{place}: number"));
        }
        Value::Array(items) if MOVING.iter().any(|moving| place.starts_with(moving)) => {
            found.push(format!("{place}: {} items", items.len()));
        }
        other => found.push(format!("{place}: {other}")),
    }
}

/// The reference has none on v2.
fn without_discards(mut stats: Stats) -> Stats {
    for entries in [&mut stats.blkio.io_service_bytes_recursive, &mut stats.blkio.io_serviced_recursive] {
        entries.retain(|entry| entry.op != "Discard");
    }
    stats
}

#[test]
fn the_statistics_have_the_shape_and_the_steady_values_of_the_reference() {
    let Some(reference) = Reference::start() else { return };
    let theirs = reference.runc(&["events", "--stats", &reference.id]).unwrap();
    let theirs: Value = serde_json::from_str(&theirs).unwrap();
    let ours = match reference.cgroup.kind() {
        Kind::V1 => reference.cgroup.stats(),
        Kind::V2 => without_discards(reference.cgroup.stats()),
    };
    let ours = serde_json::to_value(ours).unwrap();
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    shape(&theirs["data"], "", &mut expected);
    shape(&ours, "", &mut found);
    expected.retain(|place| !place.starts_with(APPEARING));
    found.retain(|place| !place.starts_with(APPEARING));
    found.retain(|place| expected.contains(place) || !NEWER.iter().any(|newer| place.contains(newer)));
    assert_eq!(found, expected);
}

#[test]
fn a_group_that_is_gone_has_zeros() {
    let Some(fixture) = Fixture::not_created("nostats") else { return };
    assert_eq!(fixture.cgroup.stats().pids.current, 0);
}
