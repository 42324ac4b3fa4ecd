//! Names of files and folders: named by the outside world, never by a drawer.

use crate::findings::Finding;
use crate::tree::Tree;

/// Names under which anything could lie.
const BANNED: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "manager", "core", "types", "mod"];

/// Finds Rust files, and folders with Rust files, that have a banned name.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (source, _) in tree.rust() {
        let folders = source.path.rsplit_once('/').map_or("", |(folders, _)| folders);
        for name in folders.split('/').chain([source.stem()]).filter(|name| BANNED.contains(name)) {
            let text = format!("`{name}` says nothing; name it after what it does");
            findings.push(Finding::new(&source.path, 0, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawers_are_found_as_files_and_as_folders() {
        let tree = Tree::of(&[
            ("a/src/util.rs", ""),
            ("a/src/common/x.rs", ""),
            ("a/src/mod.rs", ""),
            ("a/src/exec.rs", ""),
        ]);
        assert_eq!(check(&tree).len(), 3);
    }
}
