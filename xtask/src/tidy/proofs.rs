//! Documents name tests as proof: `tests/oci/exec.rs::name_of_the_test`. Each such test exists.

use crate::findings::Finding;
use crate::tree::Tree;

/// Finds names of tests in Markdown files that no source file defines.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.ending(".md") {
        for (line, text) in source.lines() {
            for proof in proofs(text).filter(|(path, name)| !exists(tree, path, name)) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("{}::{} does not exist", proof.0, proof.1),
                ));
            }
        }
    }
    findings
}

/// Every `path.rs::name` between backticks.
fn proofs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|word| word.split_once("::")).filter(|(path, _)| path.ends_with(".rs"))
}

fn exists(tree: &Tree, path: &str, name: &str) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    tree.file(path).is_some_and(|source| source.text.contains(&format!("fn {name}(")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_is_gone_is_found() {
        let page = "| a | `t/a.rs::here` | `t/a.rs::gone` | `Some::Type` |";
        let tree = Tree::of(&[("d.md", page), ("t/a.rs", "fn here() {}")]);
        assert_eq!(check(&tree), [Finding::new("d.md", 1, "t/a.rs::gone does not exist")]);
    }
}
