//! The program beside its service: version and mistakes on the command line.

use std::process::{Command, Output};

use testkit::shim::Shim;

fn shim(arguments: &[&str]) -> Option<Output> {
    Some(Command::new(Shim::Sluice.find()?).args(arguments).output().unwrap())
}

#[test]
fn the_version_is_printed() {
    let Some(output) = shim(&["-v"]) else { return };
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("Version:"));
}

#[test]
fn a_mistake_is_named_on_stderr() {
    let Some(output) = shim(&["-nope"]) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "flag provided but not defined: -nope\n");
}
