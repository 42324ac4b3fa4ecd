//! Paths that exist on one person's machine only.

use crate::findings::Finding;
use crate::tree::Tree;

/// Where people keep their checkouts; in halves, so that this file does not find itself.
const PLACES: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tmp/", "wt/"),
    ("/tmp/", "t/"),
    ("/home/", "user"),
    ("/Us", "ers/"),
    ("/root/", ".cargo"),
];

/// Finds lines that name such a place.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let places: Vec<String> = PLACES.iter().map(|(first, second)| format!("{first}{second}")).collect();
    let mut findings = Vec::new();
    for source in tree.files() {
        for (line, text) in source.lines() {
            for place in places.iter().filter(|place| names(text, place)) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("{place} exists on one machine only"),
                ));
            }
        }
    }
    findings
}

/// Whether the place stands there as a path from the root, not as the middle of another.
fn names(text: &str, place: &str) -> bool {
    text.match_indices(place).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        !before
            .is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '}' | ')' | '.' | '_' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_from_the_root_count() {
        let place = format!("{}{}", "/wo", "rk/");
        assert!(names(&format!("see {place}main"), &place));
        assert!(!names(&format!("run/containerd{place}x"), &place));
    }
}
