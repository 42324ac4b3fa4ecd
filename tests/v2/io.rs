//! `io.max` and the weights, on a disk of the host.

use serde_json::{Value, json};

use crate::group::{create_refused, limited, update, value};
use crate::{both, ours};

/// Major and minor number of a disk, the first of the host.
fn disk() -> (u64, u64) {
    let entries = std::fs::read_dir("/sys/block").unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort_by_key(|path| (path.to_string_lossy().contains("/loop"), path.clone()));
    let number = std::fs::read_to_string(names.first().unwrap().join("dev")).unwrap();
    let (major, minor) = number.trim().split_once(':').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

fn throttle(name: &str, rate: u64) -> Value {
    let (major, minor) = disk();
    json!({"blockIO": {name: [{"major": major, "minor": minor, "rate": rate}]}})
}

both! {
    fn throttles_are_the_keys_of_io_max(lab) {
        let (major, minor) = disk();
        let device = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
        let c = lab.created(&limited(&json!({"blockIO": {
            "throttleReadBpsDevice": device(1 << 20), "throttleWriteBpsDevice": device(2 << 20),
            "throttleReadIOPSDevice": device(100), "throttleWriteIOPSDevice": device(200),
        }})));
        assert_eq!(value(&c, "io.max"), format!("{major}:{minor} rbps=1048576 wbps=2097152 riops=100 wiops=200"));
    }
}

ours! {
    fn a_rate_of_zero_lifts_one_limit_and_leaves_the_others(lab) {
        let (major, minor) = disk();
        let c = lab.sleeper();
        update(&c, &throttle("throttleReadBpsDevice", 1 << 20)).ok();
        update(&c, &throttle("throttleWriteIOPSDevice", 50)).ok();
        assert_eq!(value(&c, "io.max"), format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=50"));
        update(&c, &throttle("throttleReadBpsDevice", 0)).ok();
        assert_eq!(value(&c, "io.max"), format!("{major}:{minor} rbps=max wbps=max riops=max wiops=50"));
    }

    fn a_refused_update_restores_io_max(lab) {
        let (major, minor) = disk();
        let c = lab.sleeper();
        update(&c, &throttle("throttleReadBpsDevice", 1 << 20)).ok();
        let before = value(&c, "io.max");
        let mut wanted = throttle("throttleWriteBpsDevice", 1 << 20);
        wanted["unified"] = json!({"pids.max": "many"});
        update(&c, &wanted).run().code(1).says("pids.max");
        assert_eq!(value(&c, "io.max"), before);
        assert_eq!(before, format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=max"));
    }

    fn a_device_that_is_not_there_is_named(lab) {
        let limits = json!({"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 7, "rate": 1}]}});
        let (group, text) = create_refused(lab, &limited(&limits));
        let expected = format!("write \"4000:7 rbps=1\" to {}/io.max (there is no block device of this number)", group.display());
        assert!(text.contains(&expected), "{text}");
    }

    fn a_weight_reaches_the_file_this_kernel_has(lab) {
        let c = lab.created(&limited(&json!({"blockIO": {"weight": 500}})));
        let directory = crate::group::directory(&c);
        if directory.join("io.bfq.weight").exists() {
            assert_eq!(value(&c, "io.bfq.weight"), "default 500");
        } else {
            // 10 to 1000 become 1 to 10000.
            assert_eq!(value(&c, "io.weight"), "default 4950");
        }
    }

    fn a_weight_out_of_range_is_told(lab) {
        let (_, text) = create_refused(lab, &limited(&json!({"blockIO": {"weight": 5}})));
        assert!(text.contains("linux/resources/blockIO/weight: 5 is not between 10 and 1000"), "{text}");
    }
}
