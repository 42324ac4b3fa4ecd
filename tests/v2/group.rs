//! The group of a container in the v2 tree: its files, and what a command says that was refused by one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Cmd, Config, Container, Lab, Output, Runtime, case, hierarchy};

/// Runs a case in a lab of its own if this host has cgroup v2 alone.
pub(crate) fn run(runtime: Runtime, body: impl FnOnce(&Lab)) {
    if hierarchy::all().iter().all(hierarchy::Hierarchy::is_unified) {
        case::run(runtime, |lab| {
            body(lab);
            // What the reference leaves behind is its own affair: it gives up on a group that is busy for long.
            if lab.is_reference() {
                hierarchy::destroy(lab.group());
            }
        });
    } else {
        eprintln!("NOT RUN: this host has cgroup v1");
    }
}

/// The directory of a container's group.
pub(crate) fn directory(c: &Container<'_>) -> PathBuf {
    c.control("", "").components().collect()
}

/// The directory of the group above the containers of a lab.
pub(crate) fn above(lab: &Lab) -> PathBuf {
    hierarchy::directory("", lab.group())
}

/// Content of a control file of the container, without white space at its ends.
#[track_caller]
pub(crate) fn value(c: &Container<'_>, file: &str) -> String {
    read(&directory(c).join(file))
}

/// Content of any control file, without white space at its ends.
#[track_caller]
pub(crate) fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Writes a control file in one `write(2)`.
#[track_caller]
pub(crate) fn write(path: &Path, value: &str) {
    try_write(path, value).unwrap_or_else(|error| panic!("write {value:?} to {}: {error}", path.display()));
}

/// Writes a control file in one `write(2)`, or says why not.
pub(crate) fn try_write(path: &Path, value: &str) -> rustix::io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes()).map(drop)
}

/// The limits of a container, with the usual device rules.
pub(crate) fn limited(resources: &Value) -> Config {
    let merged = resources.as_object().unwrap().iter();
    merged.fold(Config::new(), |config, (name, value)| {
        config.set(&format!("/linux/resources/{name}"), value.clone())
    })
}

/// `update` with resources as a document.
pub(crate) fn update(c: &Container<'_>, resources: &Value) -> Cmd {
    c.verb("update", &["--resources=-"], &[]).stdin_bytes(resources.to_string().as_bytes())
}

/// Any verb with its log as JSON on standard error; the container's id is still to be added.
pub(crate) fn logged(lab: &Lab, verb: &str, flags: &[&str]) -> Cmd {
    lab.rt(&["--log-format", "json", verb]).args(flags)
}

/// An exec with its log as JSON on standard error.
pub(crate) fn exec(lab: &Lab, c: &Container<'_>, arguments: &[&str]) -> Cmd {
    logged(lab, "exec", &[]).args([c.id()]).args(arguments)
}

/// The text of the error a command ended with.
#[track_caller]
pub(crate) fn text(output: &Output) -> String {
    let last = output.stderr.lines().last().unwrap_or_default();
    let line: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!(line["level"], "error", "{output}");
    line["msg"].as_str().unwrap().to_owned()
}

/// Runs an exec that must be refused with this text, and leave the container as it was.
#[track_caller]
pub(crate) fn exec_refused(lab: &Lab, c: &Container<'_>, expected: &str) {
    let before = (c.status(), hierarchy::pids(&c.group()));
    let output = exec(lab, c, &["true"]).run().code(255);
    assert_eq!(text(&output), expected);
    assert_eq!((c.status(), hierarchy::pids(&c.group())), before, "the container after {output}");
}

/// Runs a create that must be refused, and returns its text; nothing of the container is left.
#[track_caller]
pub(crate) fn create_refused(lab: &Lab, config: &Config) -> (PathBuf, String) {
    let c = lab.bundle(config);
    let bundle = c.bundle().to_str().unwrap();
    let output = logged(lab, "create", &["--bundle", bundle]).args([c.id()]).run().code(1);
    logged(lab, "state", &[]).args([c.id()]).run().code(1);
    assert_eq!(hierarchy::existing(&c.group()), Vec::<PathBuf>::new(), "a group is left");
    (directory(&c), text(&output))
}
