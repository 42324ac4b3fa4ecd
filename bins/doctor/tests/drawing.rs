//! What a terminal without UTF-8 is given.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::process::Command;

/// What the doctor says of a stuck node.
fn said(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let node =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/diagnose/fixtures/rules/full_pipe.snapshot");
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_sluice-doctor"));
    let out = doctor.env_clear().envs(variables.iter().copied()).args(["--from", node]).args(arguments);
    String::from_utf8(out.output().unwrap().stdout).unwrap()
}

#[test]
fn a_tree_is_drawn_with_what_the_locale_has() {
    let drawn = said(&[("LANG", "C.UTF-8"), ("TERM", "xterm")], &[]);
    assert!(drawn.contains("\u{2514}\u{2500} "), "{drawn}");
    for variables in [&[("LANG", "C")][..], &[("LC_ALL", "POSIX")], &[("LANG", "C.UTF-8"), ("TERM", "dumb")]]
    {
        let plain = said(variables, &[]);
        assert!(plain.is_ascii() && plain.contains("`- "), "{plain}");
        assert_eq!(plain.lines().count(), drawn.lines().count());
    }
}

#[test]
fn programs_get_the_same_in_every_locale() {
    assert_eq!(said(&[("LANG", "C")], &["--json"]), said(&[("LANG", "C.UTF-8")], &["--json"]));
}
