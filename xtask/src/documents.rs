//! Generated parts of documents: between two marks, rewritten by `cargo xtask docs`, checked by `tidy`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::findings::Finding;
use crate::tree::Tree;
use crate::workspace::Workspace;
use crate::{classes, errors, flags, kernel_notes, map, tidy};

/// A document, the name of its generated part, and what writes that part.
type Part = (&'static str, &'static str, fn(&Tree) -> String);

const PARTS: &[Part] = &[
    ("docs/architecture.md", "arrows", tidy::picture),
    ("docs/architecture.md", "map", map::table),
    ("docs/errors.md", "errors", errors::table),
    ("docs/kernel.md", "kernel", kernel_notes::kernel),
    ("docs/compat.md", "options", flags::table),
    ("docs/compat.md", "compat", kernel_notes::compat),
    ("docs/classes.md", "classes", classes::table),
];

/// Rewrites every generated part.
pub(crate) fn run(workspace: &Workspace, _arguments: &[String]) -> Result<ExitCode, Failure> {
    let tree = Tree::read(&workspace.root)?;
    let mut documents: Vec<&str> = PARTS.iter().map(|part| part.0).collect();
    documents.dedup();
    for document in documents {
        let Some(source) = tree.file(document) else {
            return Err(Failure::Usage(format!("{document} does not exist")));
        };
        let text = renewed(&tree, document, &source.text)?;
        if text != source.text {
            replace(&workspace.root.join(document), &text)?;
            println!("rewrote {document}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds generated parts that differ from what would be written now.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (document, name, write) in PARTS {
        let text = tree.file(document).map_or("", |source| &source.text);
        match part_of(text, name) {
            None => findings.push(Finding::new(document, 0, format!("lacks the marks of the part `{name}`"))),
            Some((start, end)) if text.get(start..end) != Some(&write(tree)) => {
                findings.push(Finding::new(document, 0, format!("part `{name}` is old; run `make docs`")));
            }
            Some(_) => {}
        }
    }
    findings
}

fn renewed(tree: &Tree, document: &str, text: &str) -> Result<String, Failure> {
    let mut text = text.to_owned();
    for (_, name, write) in PARTS.iter().filter(|part| part.0 == document) {
        let Some((start, end)) = part_of(&text, name) else {
            return Err(Failure::Usage(format!(
                "{document} lacks `{}` and `{}`",
                opening(name),
                closing(name)
            )));
        };
        text.replace_range(start..end, &write(tree));
    }
    Ok(text)
}

/// Where a part's text begins and ends, between the line of its opening mark and its closing mark.
fn part_of(text: &str, name: &str) -> Option<(usize, usize)> {
    let opening = opening(name);
    let start = text.find(&opening)? + opening.len() + 1;
    let end = start + text.get(start..)?.find(&closing(name))?;
    Some((start, end))
}

fn opening(name: &str) -> String {
    format!("<!-- generated: {name}, by `make docs` -->")
}

fn closing(name: &str) -> String {
    format!("<!-- end of {name} -->")
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |source| Failure::File { operation: "write", path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().permissions(permissions(path)).tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn permissions(path: &Path) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).map_or_else(|_| std::fs::Permissions::from_mode(0o644), |data| data.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_stands_between_its_marks() {
        let text = format!("a\n{}\nold\n{}\nb\n", opening("x"), closing("x"));
        let (start, end) = part_of(&text, "x").unwrap();
        assert_eq!(&text[start..end], "old\n");
        assert_eq!(part_of(&text, "y"), None);
    }

    #[test]
    fn a_missing_document_is_found() {
        assert_eq!(check(&Tree::of(&[])).len(), PARTS.len());
    }
}
