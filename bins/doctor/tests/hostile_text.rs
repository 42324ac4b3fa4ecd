//! Text that gives a terminal orders, as whoever is in a container can put into a log or a dump.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Title, colour, a C1 introducer, NUL and an override of the direction of writing.
const ORDERS: &str = "\u{1b}]0;x\u{7}\u{1b}[31m\u{9b}2J\0\u{202e}";

fn doctor(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-doctor"));
    let command = command
        .env("LC_ALL", "C.UTF-8")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What it printed, of which a terminal must obey line ends alone.
fn harmless(told: &Output) -> String {
    let text = String::from_utf8(told.stdout.clone()).unwrap();
    assert!(!text.contains(|it: char| it != '\n' && diagnose::harmless::steers(it)), "{text:?}");
    text
}

fn dump() -> String {
    format!(
        "goroutine 7 [semacquire, 5 minutes]:\nsync.runtime_Semacquire(0xc0)\n\t/go/sema.go:56 +0x4\n\
         github.com/docker/docker/daemon.{ORDERS}(0xc1)\n\t/go/{ORDERS}.go:1 +0x1\n"
    )
}

#[test]
fn explain_shows_a_line_without_its_orders() {
    let line = format!("{ORDERS}OCI runtime exec failed: exec failed: EOF: unknown");
    let text = harmless(&doctor(&["explain"], &line));
    assert!(text.contains("EX-01") && text.contains("exec failed: EOF"), "{text}");
    let json = harmless(&doctor(&["explain", "--json"], &line));
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["line"], line.as_str(), "a program gets what stood there");
}

#[test]
fn goroutines_shows_a_stack_without_its_orders() {
    let text = harmless(&doctor(&["goroutines"], &dump()));
    assert!(text.contains("1 goroutines") && text.contains("daemon."), "{text}");
    let json = harmless(&doctor(&["goroutines", "--json"], &dump()));
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    let frames = object["dumps"][0]["groups"][0]["stack"].to_string();
    assert!(frames.contains("\\u001b]0;x"), "{frames}");
}

#[test]
fn an_error_names_a_file_without_its_orders() {
    let told = doctor(&["--from", "/nowhere/\u{1b}[31m\u{9b}2J"], "");
    assert_eq!(told.status.code(), Some(64));
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("/nowhere/\u{fffd}[31m"), "{text:?}");
}
