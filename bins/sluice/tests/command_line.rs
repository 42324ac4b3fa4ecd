//! What the command line does by itself: help, wrong usage, logs, and the verbs that need no container.

use std::path::Path;
use std::process::{Command, Output};

fn sluice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("sluice starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn without_arguments_the_help_is_printed() {
    for arguments in [&[][..], &["--help"], &["-h"], &["help"]] {
        let output = sluice(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(out(&output).contains("Life of a container:\n  create "), "{arguments:?}");
        assert!(!out(&output).contains('\x1b'), "no colours in a pipe");
        assert_eq!(err(&output), "");
    }
}

#[test]
fn every_verb_has_a_help() {
    for arguments in [["exec", "--help"], ["exec", "-h"], ["help", "exec"]] {
        let output = sluice(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("Usage: sluice exec [OPTIONS] ID COMMAND"), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_prints_the_help_and_ends_with_1() {
    for (arguments, complaint) in [
        (&["delete"][..], "sluice: \\\"delete\\\" requires exactly 1 argument(s): ID, but 0 were given"),
        (
            &["kill", "a", "9", "x"],
            "sluice: \\\"kill\\\" requires a minimum of 1 and a maximum of 2 argument(s)",
        ),
        (&["exec"], "sluice: \\\"exec\\\" requires a minimum of 1 argument(s)"),
        (&["exec", "--what", "a", "b"], "unknown option \\\"--what\\\""),
        (&["features", "x"], "sluice: \\\"features\\\" requires exactly 0 argument(s)"),
    ] {
        let output = sluice(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(out(&output).starts_with("Incorrect Usage.\n\n"), "{arguments:?}: {}", out(&output));
        assert!(err(&output).contains(complaint), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn an_unknown_command_suggests_the_nearest() {
    let output = sluice(&["stat", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("did you mean \\\"state\\\"?"), "{}", err(&output));
}

#[test]
fn the_version_is_what_dockerd_and_go_runc_can_read() {
    for option in ["--version", "-v", "-version"] {
        let output = sluice(&[option]);
        assert_eq!(output.status.code(), Some(0));
        let text = out(&output);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(concat!("sluice version ", env!("CARGO_PKG_VERSION"))));
        assert!(lines.any(|line| line.starts_with("spec: 1.")), "{text}");
        assert_eq!(text.matches("version").count(), 1, "dockerd takes the last line that holds the word");
    }
}

#[test]
fn features_is_one_json_object() {
    let output = sluice(&["--root", "/nonexistent/root", "features"]);
    assert_eq!(output.status.code(), Some(0));
    let features: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["cgroup"]["systemd"], true);
    assert_eq!(err(&output), "");
}

#[test]
fn spec_writes_a_bundle_once() {
    let bundle = root();
    let path = bundle.path().to_str().expect("UTF-8");
    assert_eq!(sluice(&["spec", "-b", path]).status.code(), Some(0));
    let text = std::fs::read(bundle.path().join("config.json")).expect("config.json");
    let config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(config["process"]["args"][0], "sh");
    let again = sluice(&["spec", "--bundle", path]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("file config.json exists in"), "{}", err(&again));
}

#[test]
fn an_error_goes_to_the_log_and_in_plain_to_standard_error() {
    let place = root();
    let log = place.path().join("log.json");
    let arguments =
        ["--log", log.to_str().expect("UTF-8"), "--log-format", "json", "--root", "/x/..", "state", "c1"];
    let output = sluice(&arguments);
    // The root is wrong, so the log is not open yet: standard error alone has it.
    assert_eq!(err(&output), "Option --root argument should not be set to /\n");
    let output = sluice(&["--log", log.to_str().expect("UTF-8"), "--log-format", "json", "frobnicate"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output), "unknown command \"frobnicate\": `sluice --help` lists all\n");
    let line = last_line(&log);
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "unknown command \"frobnicate\": `sluice --help` lists all");
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

fn last_line(log: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(log).expect("a log");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn the_log_is_appended_to() {
    let place = root();
    let log = place.path().join("log");
    for _ in 0..2 {
        sluice(&["--log", log.to_str().expect("UTF-8"), "frobnicate"]);
    }
    let text = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(text.lines().filter(|line| line.contains("level=error")).count(), 2, "{text}");
}

#[test]
fn a_log_that_is_a_pipe_without_a_reader_is_an_error_and_no_hang() {
    let place = root();
    let log = place.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &log, rustix::fs::Mode::from_raw_mode(0o600)).expect("a fifo");
    let output = sluice(&["--log", log.to_str().expect("UTF-8"), "features"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("open the log "), "{}", err(&output));
}

#[test]
fn wrong_global_values_are_named() {
    for (arguments, complaint) in [
        (["--log-format", "xml"], "invalid log-format: xml: must be text or json\n"),
        (["--rootless", "maybe"], "invalid rootless \"maybe\": must be true, false or auto\n"),
        (["--cgroup-manager", "x"], "invalid cgroup-manager \"x\": must be cgroupfs, systemd or disabled\n"),
    ] {
        let output = sluice(&[&arguments[..], &["list"]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(err(&output), complaint);
    }
}

#[test]
fn checkpoint_and_restore_say_that_criu_is_missing() {
    for verb in ["checkpoint", "restore"] {
        let output = sluice(&[verb, "-no-subreaper", "c1"]);
        let output = if verb == "restore" { output } else { sluice(&[verb, "--image-path", "/x", "c1"]) };
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(out(&output), "");
        assert!(err(&output).contains(&format!("{verb}: CRIU is not supported yet")), "{}", err(&output));
    }
}

#[test]
fn an_empty_list_is_an_empty_table_or_array() {
    let place = root();
    let root = place.path().to_str().expect("UTF-8");
    for (arguments, want) in [
        (&["list"][..], "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"),
        (&["list", "--format=json"], "[]\n"),
        (&["list", "-q"], ""),
    ] {
        let output = sluice(&[&["--root", root], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_eq!(out(&output), want);
    }
}

#[test]
fn a_bad_container_id_is_named_and_exec_ends_with_255() {
    let place = root();
    let root = place.path().to_str().expect("UTF-8");
    for (arguments, code) in [(&["state", "a/b"][..], 1), (&["exec", "a/b", "ls", "-l"], 255)] {
        let output = sluice(&[&["--root", root], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(out(&output), "");
        assert!(err(&output).contains("invalid container ID format"), "{}", err(&output));
    }
}
