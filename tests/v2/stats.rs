//! `events --stats` on v2: the counters of the reference, and pressure.

use serde_json::{Value, json};
use testkit::{Container, hang};

use crate::group::{limited, value};
use crate::{both, ours};

fn stats(c: &Container<'_>) -> Value {
    c.verb("events", &["--stats"], &[]).ok().json()["data"].clone()
}

both! {
    fn usage_and_limits_are_those_of_the_files(lab) {
        let limits = json!({"memory": {"limit": 64 << 20, "swap": 96 << 20}, "pids": {"limit": 77},
                            "cpu": {"quota": 50_000, "period": 100_000}});
        let c = lab.started(&limited(&limits));
        c.exec(&["sh", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done"]).ok();
        let data = stats(&c);
        assert_eq!(data["memory"]["usage"]["limit"], json!(64 << 20));
        assert_eq!(data["pids"]["limit"], 77);
        assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 1000, "{data}");
        assert!(data["cpu"]["throttling"]["periods"].as_u64().unwrap() > 0, "{data}");
        let raw = data["memory"]["raw"].as_object().unwrap();
        for key in ["anon", "file", "slab", "pgfault", "inactive_file"] {
            assert!(raw.contains_key(key), "{key}: {data}");
        }
        assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
    }
}

ours! {
    fn pressure_is_told_for_processor_memory_and_devices(lab) {
        let limits = json!({"cpu": {"quota": 5_000, "period": 100_000}});
        let c = lab.started(&limited(&limits).script("while :; do :; done"));
        hang::eventually("a program that waits for its quota to show", || {
            stats(&c)["cpu"]["psi"]["some"]["total"].as_u64().unwrap() > 0
        });
        let data = stats(&c);
        for group in ["cpu", "memory", "blkio"] {
            for line in ["some", "full"] {
                for field in ["avg10", "avg60", "avg300", "total"] {
                    assert!(data[group]["psi"][line][field].is_number(), "{group} {line} {field}: {data}");
                }
            }
        }
    }

    fn hits_and_peak_of_memory_are_told(lab) {
        if !testkit::partner::has_linux((5, 19), "memory.peak") {
            return;
        }
        let limits = json!({"memory": {"limit": 24 << 20, "swap": 24 << 20}});
        let c = lab.started(&limited(&limits));
        let before = stats(&c)["memory"]["usage"]["failcnt"].as_u64().unwrap();
        assert_ne!(c.exec(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"]).status.code(), Some(0));
        let usage = stats(&c)["memory"]["usage"].clone();
        assert!(usage["failcnt"].as_u64().unwrap() > before, "{usage}");
        assert_eq!(usage["max"].as_u64().unwrap().to_string(), value(&c, "memory.peak"), "{usage}");
    }

    fn an_oom_kill_is_an_event(lab) {
        let limits = json!({"memory": {"limit": 24 << 20, "swap": 24 << 20}});
        let c = lab.started(&limited(&limits));
        let stream = c.verb("events", &["--interval=100ms"], &[]).spawn();
        stream.wait_stdout("\"stats\"");
        assert_ne!(c.exec(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"]).status.code(), Some(0));
        stream.wait_stdout("\"oom\"");
    }
}
