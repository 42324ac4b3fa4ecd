//! The rules: one file per finding, each a pure function from a snapshot to findings.
//!
//! The header of each file is its manual page. **Invariant**: a rule reads nothing and changes nothing; the same
//! snapshot gives the same findings on any machine.

mod full_pipe;

use crate::finding::Finding;
use crate::view::View;

/// A rule: its name (that of its file), the failure classes it stands for, and its check.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Name of the file without `.rs`.
    pub name: &'static str,
    /// Ids of docs/classes.md that it finds.
    pub classes: &'static [&'static str],
    /// The check.
    pub check: fn(&View<'_>) -> Vec<Finding>,
}

/// Every rule.
pub const RULES: &[Rule] =
    &[Rule { name: "full_pipe", classes: &["EX-03", "LO-01"], check: full_pipe::check }];
