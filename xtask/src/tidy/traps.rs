//! `docs/shim.md` numbers the traps of the shim protocol; each has a row with a test.
//!
//! That the tests exist is the business of `proofs`.

use std::ops::RangeInclusive;

use crate::findings::Finding;
use crate::tree::Tree;

const PAGE: &str = "docs/shim.md";

/// Their numbers.
const TRAPS: RangeInclusive<usize> = 1..=21;

/// Finds numbers without a row that names a test.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else { return vec![Finding::new(PAGE, 1, "does not exist".to_owned())] };
    let shown = |number: &usize| {
        let begin = format!("| {number} | ");
        page.text.lines().any(|line| line.starts_with(&begin) && line.contains(".rs::"))
    };
    let missing = TRAPS.filter(|number| !shown(number));
    missing.map(|number| Finding::new(PAGE, 1, format!("trap {number} has no test"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_without_a_test_is_found() {
        let row = |number: usize| format!("| {number} | words | `tests/shim/a.rs::b` | words |\n");
        let all: String = TRAPS.map(row).collect();
        assert_eq!(check(&Tree::of(&[(PAGE, &all)])), []);
        let without = all.replace("| 7 | words | `tests/shim/a.rs::b` |", "| 7 | words | none |");
        assert_eq!(check(&Tree::of(&[(PAGE, &without)])), [Finding::new(PAGE, 1, "trap 7 has no test")]);
    }
}
