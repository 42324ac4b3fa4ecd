//! `state`: the JSON that callers parse, and the four words for what a container is doing.

use serde_json::json;
use testkit::{Config, conformance};

conformance! {
    fn the_json_has_the_callers_fields(lab) {
        let c = lab.sleeper();
        let output = c.verb("state", &[], &[]).ok();
        assert_eq!(output.stderr, "", "callers read both streams as one");
        let state = output.json();
        assert_eq!(state["id"], json!(c.id()));
        assert_eq!(state["status"], "running");
        assert_eq!(state["bundle"], json!(c.bundle()));
        assert_eq!(state["rootfs"], json!(c.bundle().join("rootfs")));
        assert!(state["pid"].as_i64().unwrap() > 1);
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
        assert!(is_rfc3339_utc(state["created"].as_str().unwrap()), "{state}");
        assert!(state["owner"].is_string());
    }

    fn annotations_are_left_out_when_there_are_none(lab) {
        let c = lab.sleeper();
        assert_eq!(c.state().get("annotations"), None);
    }

    fn a_stopped_container_has_pid_0(lab) {
        let c = lab.sleeper();
        c.stop();
        assert_eq!(c.pid(), 0);
    }

    fn the_four_statuses(lab) {
        let c = lab.created(&Config::new());
        assert_eq!(c.status(), "created");
        c.start().ok();
        c.wait_status("running");
        c.pause().ok();
        assert_eq!(c.status(), "paused");
        c.resume().ok();
        assert_eq!(c.status(), "running");
        c.stop();
        assert_eq!(c.status(), "stopped");
    }

    fn the_program_is_what_makes_it_running_even_if_it_ends_at_once(lab) {
        let c = lab.started(&Config::new().args(&["true"]));
        c.wait_status("stopped");
    }

    fn an_unknown_container_is_named(lab) {
        lab.run(&["state", "nobody"]).code(1).says("does not exist").prints("");
    }

    fn exactly_one_argument_is_wanted(lab) {
        lab.run(&["state"]).code(1);
        lab.run(&["state", "a", "b"]).code(1);
    }
}

/// Nanoseconds may be left out, the zone is `Z`.
fn is_rfc3339_utc(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let fraction = shape.trim_start_matches("9999-99-99T99:99:99").trim_end_matches('Z');
    text.ends_with('Z')
        && (fraction.is_empty() || fraction.starts_with('.'))
        && shape.starts_with("9999-99-99T99:99:99")
}

#[test]
fn the_shape_of_a_time_stamp_is_told() {
    for (text, expected) in [
        ("2026-08-19T12:00:00.123456789Z", true),
        ("2026-08-19T12:00:00Z", true),
        ("2026-08-19T12:00:00+02:00", false),
        ("2026-08-19 12:00:00Z", false),
    ] {
        assert_eq!(is_rfc3339_utc(text), expected, "{text}");
    }
}
