//! The test executables and the tests in them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;
use crate::workspace::{Workspace, output_of};

/// The packages whose tests make system calls that depend on the kernel or on the layout of control groups.
const PACKAGES: &[&str] =
    &["sluice-tests", "sluice-cgroup", "sluice-container", "sluice-launch", "sluice-proc", "sluice-sys"];

/// One test executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    /// Short name: that of the test target; for a crate's own tests the crate's, with the target after a slash.
    pub(super) name: String,
    /// Where cargo put it.
    pub(super) path: PathBuf,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    /// In which executable it is.
    pub(super) binary: Binary,
    /// What the executable calls it.
    pub(super) test: String,
    /// Marked `#[ignore]`: big counts that have a task of their own.
    pub(super) ignored: bool,
}

impl Test {
    /// What people call it, such as `oci::exec::the_users_ids_are_taken`.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.binary.name, self.test)
    }
}

/// Builds the executables and asks each for its tests. They are linked statically, so they run here as in the guest.
///
/// # Errors
/// When cargo fails, or an executable does not list its tests.
pub(super) fn tests(workspace: &Workspace) -> Result<Vec<Test>, Failure> {
    let mut cargo = workspace.cargo();
    cargo.args([
        "test",
        "--no-run",
        "--locked",
        "--lib",
        "--tests",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    // Its progress and its complaints belong to the terminal.
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        let (program, text) = ("cargo test --no-run".to_owned(), "see above".to_owned());
        return Err(Failure::Ended { program, status: output.status.to_string(), text });
    }
    let mut tests = Vec::new();
    for binary in binaries(&String::from_utf8_lossy(&output.stdout)) {
        tests.extend(listed(&binary)?);
    }
    Ok(tests)
}

/// The test executables in what cargo says, a JSON object a line.
fn binaries(messages: &str) -> Vec<Binary> {
    let mut all: Vec<Binary> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(binary).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn binary(message: Value) -> Option<Binary> {
    let is_test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let path = message["executable"].as_str().filter(|_| is_test)?;
    let target = message["target"]["name"].as_str()?;
    let package = package(message["manifest_path"].as_str()?)?;
    let name = match (package, message["target"]["kind"][0].as_str()?) {
        ("tests", _) => target.to_owned(),
        (package, "test") => format!("{package}/{target}"),
        (package, _) => package.to_owned(),
    };
    Some(Binary { name, path: PathBuf::from(path) })
}

/// The folder of a manifest, such as `cgroup`.
fn package(manifest: &str) -> Option<&str> {
    manifest.strip_suffix("/Cargo.toml")?.rsplit('/').next()
}

fn listed(binary: &Binary) -> Result<Vec<Test>, Failure> {
    let list = |extra: &[&str]| {
        output_of(Command::new(&binary.path).args(["--list", "--format", "terse"]).args(extra))
    };
    let (all, ignored) = (list(&[])?, list(&["--ignored"])?);
    let ignored: Vec<&str> = names(&ignored).collect();
    let test =
        |name| Test { binary: binary.clone(), test: String::from(name), ignored: ignored.contains(&name) };
    Ok(names(&all).map(test).collect())
}

/// The names in a terse list: `NAME: test`.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(manifest: &str, target: &str, kind: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","target":{{"name":"{target}","kind":["{kind}"]}},"profile":{{"test":true}},"executable":"/t/{target}-1"}}"#
        )
    }

    #[test]
    fn executables_get_the_names_of_their_targets() {
        let messages = [
            message("/s/tests/Cargo.toml", "oci", "test"),
            message("/s/crates/cgroup/Cargo.toml", "live", "test"),
            message("/s/crates/cgroup/Cargo.toml", "cgroup", "lib"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "noise".to_owned(),
        ];
        let found = binaries(&messages.join("\n"));
        let names: Vec<&str> = found.iter().map(|binary| binary.name.as_str()).collect();
        assert_eq!(names, ["cgroup", "cgroup/live", "oci"]);
    }

    #[test]
    fn what_is_no_test_executable_is_left_out() {
        let plain = message("/s/crates/cgroup/Cargo.toml", "cgroup", "lib");
        let library = plain.replace(r#""test":true"#, r#""test":false"#);
        let unlinked = plain.replace(r#""/t/cgroup-1""#, "null");
        assert_eq!(binaries(&[library, unlinked].join("\n")), []);
    }

    #[test]
    fn only_tests_are_taken_from_a_list() {
        let list = "exec::a: test\nbench_b: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(names(list).collect::<Vec<_>>(), ["exec::a"]);
    }
}
