//! `events`: one answer with `--stats`, a stream without.

use serde_json::json;
use testkit::{Config, conformance, hang};

conformance! {
    fn stats_is_one_event_with_the_callers_fields(lab) {
        let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 77})));
        hang::eventually("init to be the program alone", || c.read_control("pids", "pids.current") == "1");
        let event = c.verb("events", &["--stats"], &[]).ok().json();
        assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(c.id())));
        let data = &event["data"];
        assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{event}");
        assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{event}");
        assert!(data["memory"]["raw"].is_object(), "{event}");
        assert_eq!(data["pids"], json!({"current": 1, "limit": 77}));
        for field in ["kernel", "user"] {
            assert!(data["cpu"]["usage"][field].is_u64(), "{field}: {event}");
        }
        assert!(data["cpu"]["throttling"].is_object(), "{event}");
        assert!(data["blkio"].is_object(), "{event}");
    }

    fn a_memory_limit_shows(lab) {
        let limit = 64 << 20;
        let c = lab.started(&Config::new().set("/linux/resources/memory", json!({"limit": limit})));
        let event = c.verb("events", &["--stats"], &[]).ok().json();
        assert_eq!(event["data"]["memory"]["usage"]["limit"], limit);
        for field in ["usage", "max", "failcnt"] {
            assert!(
                event["data"]["memory"]["usage"].get(field).is_some() || field == "max",
                "{field}: {event}"
            );
        }
    }

    fn the_stream_repeats_at_the_interval(lab) {
        let c = lab.sleeper();
        let stream = c.verb("events", &["--interval", "100ms"], &[]).spawn();
        hang::eventually("three events", || stream.stdout().matches("\"stats\"").count() >= 3);
        for line in stream.stdout().lines().take(2) {
            assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap()["id"], json!(c.id()));
        }
    }

    fn the_stream_ends_with_the_container(lab) {
        let c = lab.sleeper();
        let stream = c.verb("events", &["--interval=100ms"], &[]).spawn();
        stream.wait_stdout("\"stats\"");
        c.stop();
        c.delete().ok();
        stream.wait();
    }

    fn an_oom_kill_is_an_event(lab) {
        let memory = json!({"limit": 16 << 20, "swap": 16 << 20});
        let c = lab.started(&Config::new().set("/linux/resources/memory", memory));
        let stream = c.verb("events", &["--interval=100ms"], &[]).spawn();
        stream.wait_stdout("\"stats\"");
        let output = c.exec(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"]);
        assert_ne!(output.status.code(), Some(0));
        stream.wait_stdout("\"oom\"");
    }

    fn a_stopped_container_has_no_stats(lab) {
        let c = lab.sleeper();
        c.stop();
        c.verb("events", &["--stats"], &[]).run().code(1).says("not running");
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["events", "--stats", "nobody"]).code(1).says("does not exist");
    }

    fn the_interval_must_be_positive(lab) {
        let c = lab.sleeper();
        c.verb("events", &["--interval=0s"], &[]).run().code(1).says("interval");
    }
}
