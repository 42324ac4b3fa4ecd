//! Versions of dependencies stand in one place: `[workspace.dependencies]`.

use crate::findings::Finding;
use crate::tree::{Source, Tree};

/// One entry of a dependency table.
pub(crate) struct Dependency {
    /// The name it has in the manifest.
    pub(crate) name: String,
    /// Whether only tests see it.
    pub(crate) for_tests: bool,
    /// Whether it takes its version from the workspace.
    pub(crate) from_workspace: bool,
}

/// Manifests of the workspace's crates. The fuzz crate is a workspace of its own and not among them.
pub(crate) fn manifests(tree: &Tree) -> impl Iterator<Item = (&Source, toml::Table)> {
    tree.ending("/Cargo.toml")
        .filter(|source| source.path != "fuzz/Cargo.toml")
        .filter_map(|source| Some((source, source.text.parse().ok()?)))
}

/// Every dependency of a manifest, in all its tables.
pub(crate) fn dependencies(manifest: &toml::Table) -> Vec<Dependency> {
    let mut found = tables(manifest);
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    for target in targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table) {
        found.extend(tables(target));
    }
    found
}

fn tables(parent: &toml::Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (key, for_tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        let table = parent.get(key).and_then(toml::Value::as_table);
        for (name, value) in table.into_iter().flatten() {
            let from_workspace = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            found.push(Dependency { name: name.clone(), for_tests, from_workspace });
        }
    }
    found
}

/// Finds dependencies with a version of their own.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, manifest) in manifests(tree) {
        for dependency in dependencies(&manifest).iter().filter(|dependency| !dependency.from_workspace) {
            let text =
                format!("{0}: write `{0}.workspace = true` and the version in /Cargo.toml", dependency.name);
            findings.push(Finding::new(&source.path, 0, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_outside_the_workspace_table_is_found() {
        let manifest =
            "[dependencies]\na = \"1\"\nb.workspace = true\n[target.'cfg(unix)'.dependencies]\nc = \"2\"";
        let found = check(&Tree::of(&[("crates/x/Cargo.toml", manifest)]));
        let names: Vec<&str> = found.iter().filter_map(|finding| finding.text.split(':').next()).collect();
        assert_eq!(names, ["a", "c"]);
    }
}
