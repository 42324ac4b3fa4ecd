//! Every Rust file says in its first line what it is for.

use crate::findings::Finding;
use crate::tree::Tree;

/// Finds Rust files that do not open with a `//!` sentence.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let headless = tree.rust().filter(|(source, _)| !opens_with_a_sentence(&source.text));
    headless
        .map(|(source, _)| Finding::new(&source.path, 1, "open with `//!`: what is this file for?"))
        .collect()
}

fn opens_with_a_sentence(text: &str) -> bool {
    let first = text.lines().next().and_then(|line| line.strip_prefix("//! "));
    first.is_some_and(|sentence| !matches!(sentence.trim(), "" | "placeholder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_header_is_none() {
        for (text, fine) in
            [("//! What it does.", true), ("//! placeholder", false), ("fn main() {}", false), ("", false)]
        {
            assert_eq!(opens_with_a_sentence(text), fine, "{text}");
        }
    }
}
