//! Limits in the real files.

use cgroup::{Cgroup, Error, Paths, Resources};

use crate::fixture::Fixture;

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

fn text(fixture: &Fixture, controller: &str, file: &str) -> String {
    std::fs::read_to_string(fixture.directory(controller).join(file)).unwrap().trim().to_owned()
}

#[test]
fn memory_and_swap_are_raised_and_lowered_in_any_direction() {
    let Some(fixture) = Fixture::new("memory") else { return };
    let megabytes = |count: i64| count << 20;
    let unlimited = fixture.either("9223372036854771712", "max");
    for (limit, swap) in [(64, 128), (512, 1024), (32, 32), (1024, -1), (16, 64)] {
        let (limit, swap) = (megabytes(limit), if swap < 0 { swap } else { megabytes(swap) });
        fixture
            .cgroup
            .apply(&resources(&format!(r#"{{"memory": {{"limit": {limit}, "swap": {swap}}}}}"#)))
            .unwrap();
        assert_eq!(
            text(&fixture, "memory", fixture.either("memory.limit_in_bytes", "memory.max")),
            limit.to_string()
        );
        let (file, bytes) =
            fixture.either(("memory.memsw.limit_in_bytes", swap), ("memory.swap.max", swap - limit));
        let expected = if swap < 0 { unlimited.to_owned() } else { bytes.to_string() };
        assert_eq!(text(&fixture, "memory", file), expected, "{file}");
    }
    fixture.cgroup.apply(&resources(r#"{"memory": {"limit": -1}}"#)).unwrap();
    assert_eq!(text(&fixture, "memory", fixture.either("memory.limit_in_bytes", "memory.max")), unlimited);
}

#[test]
fn a_memory_limit_above_that_of_memory_and_swap_says_so() {
    let fixture =
        Fixture::new("memsw").and_then(|fixture| fixture.only_v1("cgroup v2 limits swap by itself"));
    let Some(fixture) = fixture else { return };
    fixture.cgroup.apply(&resources(r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#)).unwrap();
    let error =
        fixture.cgroup.apply(&resources(r#"{"memory": {"limit": 16777216}}"#)).unwrap_err().to_string();
    assert!(error.starts_with("write \"16777216\" to /"), "{error}");
    assert!(
        error.ends_with("(memory.memsw.limit_in_bytes is 8388608, and must not be lower than this)"),
        "{error}"
    );
}

#[test]
fn a_limit_below_the_usage_is_refused_with_the_usage() {
    let fixture = Fixture::new("below")
        .and_then(|fixture| fixture.only_v1("cgroup v2 takes the limit and kills for it"));
    let Some(mut fixture) = fixture else { return };
    // Anonymous memory that cannot be swapped out here: a shell variable of 8 MB.
    fixture.shell("x=$(head -c 8000000 /dev/zero | tr '\\0' x); sleep 1000");
    let usage = fixture.directory("memory").join("memory.usage_in_bytes");
    crate::fixture::wait_until("the memory is used", || {
        std::fs::read_to_string(&usage).unwrap().trim().parse::<u64>().unwrap() > 8_000_000
    });
    let error = fixture.cgroup.apply(&resources(r#"{"memory": {"limit": 1048576}}"#)).unwrap_err();
    assert_eq!(error.errno(), Some(rustix::io::Errno::BUSY), "{error}");
    let text = error.to_string();
    assert!(text.contains("memory.limit_in_bytes (memory.usage_in_bytes is "), "{text}");
    assert!(text.ends_with(", and the kernel could not reclaim enough)"), "{text}");
}

#[test]
fn a_failed_update_restores_what_it_had_written() {
    let burst = |fixture: Fixture| fixture.since((5, 14), "a burst of processor time");
    let Some(fixture) = Fixture::new("restore").and_then(burst) else { return };
    let before = r#"{"memory": {"limit": 16777216, "swap": 33554432}, "cpu": {"quota": 50000, "period": 100000, "burst": 1000}}"#;
    fixture.cgroup.apply(&resources(before)).unwrap();
    let after = r#"{"memory": {"limit": 67108864, "swap": 67108864, "swappiness": 5},
                    "cpu": {"quota": 2000, "period": 10000, "burst": 500, "cpus": "0-4000"}}"#;
    let error = fixture.cgroup.apply(&resources(after)).unwrap_err().to_string();
    assert!(error.contains("cpuset.cpus (processors online: "), "{error}");
    let v1 = [
        ("memory", "memory.limit_in_bytes", "16777216"),
        ("memory", "memory.memsw.limit_in_bytes", "33554432"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_burst_us", "1000"),
    ];
    let v2 = [
        ("memory", "memory.max", "16777216"),
        ("memory", "memory.swap.max", "16777216"),
        ("cpu", "cpu.max", "50000 100000"),
        ("cpu", "cpu.max.burst", "1000"),
    ];
    for (controller, file, expected) in fixture.either(&v1[..], &v2[..]).iter().copied() {
        assert_eq!(text(&fixture, controller, file), expected, "{file}");
    }
}

#[test]
fn quota_period_and_burst_fit_at_every_step() {
    let burst = |fixture: Fixture| fixture.since((5, 14), "a burst of processor time");
    let Some(fixture) = Fixture::new("quota").and_then(burst) else { return };
    fixture.parent().apply(&resources(r#"{"cpu": {"quota": 50000, "period": 100000}}"#)).unwrap();
    for (quota, period, burst) in
        [(50_000, 100_000, 50_000), (5_000, 10_000, 1_000), (100_000, 200_000, 100_000), (1_000, 2_000, 0)]
    {
        let json = format!(r#"{{"cpu": {{"quota": {quota}, "period": {period}, "burst": {burst}}}}}"#);
        fixture.cgroup.apply(&resources(&json)).unwrap();
        let v1 = vec![
            ("cpu.cfs_quota_us", quota.to_string()),
            ("cpu.cfs_period_us", period.to_string()),
            ("cpu.cfs_burst_us", burst.to_string()),
        ];
        let v2 = vec![("cpu.max", format!("{quota} {period}")), ("cpu.max.burst", burst.to_string())];
        for (file, expected) in fixture.either(v1, v2) {
            assert_eq!(text(&fixture, "cpu", file), expected, "{file}");
        }
    }
    // cgroup v2 lets a group have more than the one above, which then is what counts.
    let Some(fixture) = fixture.only_v1("a quota above that of the level above is no error in cgroup v2")
    else {
        return;
    };
    let error = fixture
        .cgroup
        .apply(&resources(r#"{"cpu": {"quota": 2000, "period": 2000}}"#))
        .unwrap_err()
        .to_string();
    assert!(error.contains("above: cpu.cfs_quota_us is 50000, cpu.cfs_period_us is 100000"), "{error}");
}

#[test]
fn the_other_v1_files_take_their_values() {
    let fixture = Fixture::new("others").and_then(|fixture| fixture.only_v1("they are cgroup v1's alone"));
    let Some(fixture) = fixture else { return };
    let all = r#"{"memory": {"reservation": 8388608, "swappiness": 10, "disableOOMKiller": true, "useHierarchy": true},
                  "cpu": {"shares": 512, "cpus": "0", "mems": "0", "realtimePeriod": 1000000},
                  "pids": {"limit": 33}, "blockIO": {"weight": 300}}"#;
    let applied = fixture.cgroup.apply(&resources(all)).unwrap();
    let now = [
        ("memory", "memory.soft_limit_in_bytes", "8388608"),
        ("memory", "memory.swappiness", "10"),
        ("cpu", "cpu.shares", "512"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "33"),
        ("blkio", "blkio.bfq.weight", "300"),
    ];
    for (controller, file, expected) in now {
        assert_eq!(text(&fixture, controller, file), expected, "{file}");
    }
    assert!(text(&fixture, "memory", "memory.oom_control").starts_with("oom_kill_disable 1"));
    assert!(applied.undo().is_empty());
    assert_eq!(text(&fixture, "pids", "pids.max"), "max");
    assert!(text(&fixture, "memory", "memory.oom_control").starts_with("oom_kill_disable 0"));
    assert_eq!(text(&fixture, "cpu", "cpu.shares"), "1024");
}

#[test]
fn idleness_and_shares_do_not_collide() {
    let idle = |fixture: Fixture| fixture.since((5, 15), "an idle group");
    let Some(fixture) = Fixture::new("idle").and_then(idle) else { return };
    for json in [
        r#"{"cpu": {"idle": 1, "shares": 100}}"#,
        r#"{"cpu": {"idle": 1, "shares": 100}}"#,
        r#"{"cpu": {"idle": 0, "shares": 100}}"#,
    ] {
        fixture.cgroup.apply(&resources(json)).unwrap();
    }
    let (file, expected) = fixture.either(("cpu.shares", "100"), ("cpu.weight", "17"));
    assert_eq!(text(&fixture, "cpu", file), expected);
}

#[test]
fn block_devices_are_throttled_and_unknown_ones_named() {
    let fixture = Fixture::new("blkio").and_then(|fixture| fixture.only_v1("tests/v2 has io.max"));
    let Some(fixture) = fixture else { return };
    let Some(device) = a_block_device() else { return };
    let (major, minor) = device.split_once(':').unwrap();
    let json = format!(
        r#"{{"blockIO": {{"throttleReadBpsDevice": [{{"major": {major}, "minor": {minor}, "rate": 1048576}}],
                          "throttleWriteIOPSDevice": [{{"major": {major}, "minor": {minor}, "rate": 100}}]}}}}"#
    );
    let applied = fixture.cgroup.apply(&resources(&json)).unwrap();
    assert_eq!(text(&fixture, "blkio", "blkio.throttle.read_bps_device"), format!("{device} 1048576"));
    assert!(applied.undo().is_empty());
    assert_eq!(text(&fixture, "blkio", "blkio.throttle.read_bps_device"), "");
    let json = r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 999, "minor": 7, "rate": 1}]}}"#;
    let error = fixture.cgroup.apply(&resources(json)).unwrap_err().to_string();
    assert!(error.ends_with("(there is no block device of this number)"), "{error}");
}

fn a_block_device() -> Option<String> {
    let entries = std::fs::read_dir("/sys/block").ok()?;
    entries.flatten().find_map(|entry| {
        let number = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        Some(number.trim().to_owned())
    })
}

#[test]
fn a_controller_that_is_not_mounted_is_an_error() {
    let fixture = Fixture::new("missing")
        .and_then(|fixture| fixture.only_v1("cgroup v2 has all controllers in one place"));
    let Some(fixture) = fixture else { return };
    let table = [
        (r#"{"network": {"classID": 5}}"#, "net_cls"),
        (r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}"#, "hugetlb"),
        (r#"{"rdma": {"x": {"hcaHandles": 1}}}"#, "rdma"),
    ];
    for (json, controller) in table {
        if fixture.cgroup.paths().v1(controller).is_some() {
            continue;
        }
        let error = fixture.cgroup.apply(&resources(json)).unwrap_err();
        assert!(
            matches!(&error, Error::NoController { controller: name, .. } if name == controller),
            "{error}"
        );
    }
}

#[test]
fn a_device_list_is_kept_by_the_kernel_and_restored() {
    let fixture =
        Fixture::new("devices").and_then(|fixture| fixture.only_v1("cgroup v2 has a program in its place"));
    let Some(mut fixture) = fixture else { return };
    let rules = r#"{"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}, {"allow": true, "type": "c", "access": "m"}]}"#;
    let only_v1 = Cgroup::new(Paths { unified: None, ..fixture.cgroup.paths().clone() });
    let applied = only_v1.apply(&resources(rules)).unwrap();
    assert_eq!(text(&fixture, "devices", "devices.list"), "c 1:3 rw\nc *:* m");
    assert_denied_and_allowed(&mut fixture);
    assert!(applied.undo().is_empty());
    assert_eq!(text(&fixture, "devices", "devices.list"), "a *:* rwm");
}

#[test]
fn a_device_program_passes_the_verifier_and_decides() {
    let Some(mut fixture) = Fixture::new("bpf") else { return };
    let Some(unified) = fixture.cgroup.paths().unified.clone() else { return };
    let rules = r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "w"}, {"allow": true, "type": "c", "access": "m"},
        {"allow": false, "type": "c", "major": 1, "minor": 5, "access": "m"}]}"#;
    let only_v2 = Cgroup::new(Paths { unified: Some(unified), ..Paths::default() });
    let first = only_v2.apply(&resources(rules)).unwrap();
    assert_denied_and_allowed(&mut fixture);
    // Replaced by "everything", then back to the first list.
    let second = only_v2.apply(&resources(r#"{"devices": [{"allow": true}]}"#)).unwrap();
    assert_eq!(run(&mut fixture, ": < /dev/zero"), 0);
    assert!(second.undo().is_empty());
    assert_denied_and_allowed(&mut fixture);
    assert!(first.undo().is_empty());
    assert_eq!(run(&mut fixture, ": < /dev/zero"), 0);
}

fn assert_denied_and_allowed(fixture: &mut Fixture) {
    assert_eq!(run(fixture, ": <> /dev/null"), 0);
    assert_ne!(run(fixture, "{ : < /dev/zero; } 2> /dev/null"), 0);
}

fn run(fixture: &mut Fixture, script: &str) -> i32 {
    let pid = fixture.shell(script);
    fixture.wait(pid).code().unwrap()
}
