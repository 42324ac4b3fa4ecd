//! What may stand in one folder only: `unsafe`, and tokio.
//!
//! The lint `unsafe_code` can be switched off by an attribute; this check cannot, and it sees into macros.

use proc_macro2::{TokenStream, TokenTree};

use crate::findings::Finding;
use crate::tree::Tree;

/// A word, and the only folder that may hold it.
const CONFINED: &[(&str, &str)] = &[("unsafe", "crates/sys/"), ("tokio", "bins/shim/")];

/// Finds confined words outside their folders, in Rust files and in manifests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, _) in tree.rust() {
        let tokens: TokenStream = source.text.parse().unwrap_or_default();
        for &(word, home) in CONFINED.iter().filter(|(_, home)| !source.path.starts_with(home)) {
            for line in lines_with(&tokens, word) {
                findings.push(Finding::new(&source.path, line, format!("`{word}` belongs into {home} only")));
            }
        }
    }
    findings.extend(in_manifests(tree));
    findings
}

fn lines_with(tokens: &TokenStream, word: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(name) if name == word => lines.push(name.span().start().line),
            TokenTree::Group(group) => lines.extend(lines_with(&group.stream(), word)),
            _ => {}
        }
    }
    lines
}

fn in_manifests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, manifest) in super::versions::manifests(tree) {
        for dependency in super::versions::dependencies(&manifest) {
            let home = CONFINED.iter().find(|row| row.0 == dependency.name).map(|row| row.1);
            if home.is_some_and(|home| !source.path.starts_with(home)) {
                findings.push(Finding::new(
                    &source.path,
                    0,
                    format!("{} has no place here", dependency.name),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_seen_in_blocks_and_macros_but_not_in_words() {
        let text =
            "//! unsafe\nfn f() { g(\"unsafe\"); /* unsafe */ }\nmacro_rules! m { () => { unsafe { } } }\n";
        let found = check(&Tree::of(&[("crates/proc/src/lib.rs", text)]));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
        assert_eq!(check(&Tree::of(&[("crates/sys/src/lib.rs", text)])), []);
    }

    #[test]
    fn tokio_as_a_dependency_is_found() {
        let manifest = "[dependencies]\ntokio.workspace = true";
        assert_eq!(check(&Tree::of(&[("crates/proc/Cargo.toml", manifest)])).len(), 1);
    }
}
