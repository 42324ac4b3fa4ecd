//! `docs/errors.md`: every error text of the shipped code, collected from the source, with its answers.
//!
//! A text is what `#[error("...")]` of thiserror says. What the command exits with is one rule (1, in exec 255);
//! what dockerd makes of it depends on the text, so a text may hold one of dockerd's phrases only when its variant
//! says `Compat: dockerd 126` or `Compat: dockerd 127`.

mod collect;
mod dockerd;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::findings::Finding;
use crate::tree::Tree;
use crate::workspace::Workspace;

use collect::Condition;

/// Prints every text with what dockerd answers.
pub(crate) fn run(workspace: &Workspace, _arguments: &[String]) -> Result<ExitCode, Failure> {
    let tree = Tree::read(&workspace.root)?;
    for condition in collect::conditions(&tree) {
        println!("{} {:<24} {}", dockerd::answer(&condition.text), condition.name, condition.text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds texts whose phrases disagree with what their variant declares.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    collect::conditions(tree).iter().filter_map(disagreement).collect()
}

fn disagreement(condition: &Condition) -> Option<Finding> {
    let declared = condition.declared.unwrap_or(dockerd::OTHER);
    let answer = dockerd::answer(&condition.text);
    let text = format!(
        "{}: dockerd reads {answer} out of \"{}\", the comment says {declared}",
        condition.name, condition.text
    );
    (answer != declared).then(|| Finding::new(&condition.path, condition.line, text))
}

/// The table of docs/errors.md: one section per file that defines errors.
pub(crate) fn table(tree: &Tree) -> String {
    let mut text = String::new();
    let mut path = "";
    let conditions = collect::conditions(tree);
    for condition in &conditions {
        if condition.path != path {
            path = &condition.path;
            text.push_str(&format!("\n### [{path}](../{path})\n\n"));
            text.push_str("| condition | text | exit | docker |\n|---|---|---|---|\n");
        }
        text.push_str(&row(condition));
    }
    text
}

fn row(condition: &Condition) -> String {
    let words = condition.text.replace('|', "\\|").replace('`', "'");
    let docker = dockerd::answer(&condition.text);
    format!(
        "| {}: {} | `{words}` | 1, exec 255 | {docker} |\n",
        condition.name,
        condition.meaning.replace('|', "\\|")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(comment: &str, text: &str) -> Tree {
        let body = format!(
            "//! Errors of x.\nenum Error {{\n/// Cause. {comment}\n#[error(\"{text}\")]\nA {{ n: u8 }},\n}}\n"
        );
        Tree::of(&[("crates/x/src/error.rs", &body)])
    }

    #[test]
    fn a_phrase_of_dockerd_needs_a_declaration() {
        assert_eq!(check(&tree("", "open {n}: no such file or directory")).len(), 1);
        assert_eq!(check(&tree("Compat: dockerd 127.", "exec: {n}: no such file or directory")), []);
    }

    #[test]
    fn a_declaration_needs_the_phrase() {
        assert_eq!(check(&tree("Compat: dockerd 126.", "exec: {n} is not for you")).len(), 1);
        assert_eq!(check(&tree("", "exec: {n} is not for you")), []);
    }

    #[test]
    fn the_table_has_a_row_per_variant() {
        let text = table(&tree("", "a|b {n}"));
        assert!(text.contains("| Error::A: Cause. | `a\\|b {n}` | 1, exec 255 | 128 |"), "{text}");
    }
}
