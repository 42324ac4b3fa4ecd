//! Which crate may depend on which: the one table, also drawn in docs/architecture.md.

use crate::findings::Finding;
use crate::tidy::versions::{dependencies, manifests};
use crate::tree::Tree;

/// Folder of a crate, and the workspace crates it may use. An arrow that is not here does not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/sys", &[]),
    ("crates/proc", &["sys"]),
    ("crates/seccomp", &["sys"]),
    ("crates/child", &["sys"]),
    ("crates/cgroup", &["sys", "proc"]),
    ("crates/launch", &["sys", "proc", "child"]),
    ("crates/container", &["sys", "proc", "seccomp", "child", "cgroup", "launch"]),
    ("crates/diagnose", &["sys", "proc"]),
    ("bins/sluice", &["sys", "container"]),
    ("bins/shim", &["sys", "proc", "seccomp", "child", "cgroup", "launch", "container"]),
    ("bins/doctor", &["sys", "diagnose"]),
    ("testkit", &[]),
    ("tests", &["testkit"]),
    ("xtask", &[]),
    ("fuzz/targets", &["proc", "seccomp", "cgroup", "container", "diagnose", "shim"]),
];

/// What tests may use beyond the arrows.
const FOR_TESTS: &[&str] = &["testkit"];

/// Compares every manifest with the table.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, manifest) in manifests(tree) {
        let folder = source.path.trim_end_matches("/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|row| row.0 == folder) else {
            findings.push(Finding::new(
                &source.path,
                0,
                "crate is not in the table of xtask/src/tidy/arrows.rs",
            ));
            continue;
        };
        for dependency in dependencies(&manifest) {
            let fine = allowed.contains(&dependency.name.as_str())
                || (dependency.for_tests && FOR_TESTS.contains(&dependency.name.as_str()));
            if is_ours(&dependency.name) && !fine {
                let text = format!("{folder} -> {} is no arrow of docs/architecture.md", dependency.name);
                findings.push(Finding::new(&source.path, 0, text));
            }
        }
    }
    findings
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(folder, _)| folder.rsplit('/').next() == Some(name))
}

/// The table as Markdown, for docs/architecture.md.
pub(crate) fn picture(_tree: &Tree) -> String {
    let mut text = String::from("| folder | may use |\n|---|---|\n");
    for (folder, allowed) in ARROWS {
        let list: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
        let list = if list.is_empty() { "nothing of ours".to_owned() } else { list.join(", ") };
        text.push_str(&format!("| `{folder}` | {list} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(folder: &str, body: &str) -> Vec<Finding> {
        check(&Tree::of(&[(&format!("{folder}/Cargo.toml"), body)]))
    }

    #[test]
    fn an_upward_arrow_is_found() {
        let found = findings("crates/sys", "[package]\nname='x'\n[dependencies]\nproc.workspace = true");
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("crates/sys -> proc"));
    }

    #[test]
    fn a_downward_arrow_and_a_foreign_crate_are_fine() {
        let body = "[package]\nname='x'\n[dependencies]\nsys.workspace = true\nlog.workspace = true";
        assert_eq!(findings("crates/proc", body), []);
    }

    #[test]
    fn testkit_is_for_tests_only() {
        let manifest = |table: &str| format!("[package]\nname='x'\n[{table}]\ntestkit.workspace = true");
        assert_eq!(findings("crates/cgroup", &manifest("dev-dependencies")), []);
        assert_eq!(findings("crates/cgroup", &manifest("dependencies")).len(), 1);
    }

    #[test]
    fn a_crate_outside_the_table_is_found() {
        assert_eq!(findings("crates/new", "[package]\nname='x'").len(), 1);
    }
}
