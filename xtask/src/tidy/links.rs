//! Relative links of the Markdown files, and documents that code names: the file exists, and the heading too.

use std::path::{Component, Path, PathBuf};

use crate::findings::Finding;
use crate::tree::{Source, Tree};

/// Finds links to files or headings that do not exist.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.ending(".md") {
        for (line, target) in links(&source.text) {
            if let Some(text) = broken(tree, source, &target) {
                findings.push(Finding::new(&source.path, line, text));
            }
        }
    }
    findings.extend(mentions(tree));
    findings
}

/// Documents that comments name by their path from the root.
fn mentions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in
        tree.files().filter(|source| !source.path.ends_with(".md") && !source.path.starts_with("xtask/"))
    {
        for (line, text) in source.lines() {
            let words = text.split(|letter: char| !(letter.is_alphanumeric() || "/-._".contains(letter)));
            let named = words
                .map(|word| word.trim_end_matches('.'))
                .filter(|word| word.starts_with("docs/") && word.ends_with(".md"));
            for path in named.filter(|path| tree.file(path).is_none()) {
                findings.push(Finding::new(&source.path, line, format!("{path} does not exist")));
            }
        }
    }
    findings
}

/// Every `](target)` outside code blocks that is no address of the web.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let pieces = line.split("](").skip(1).filter_map(|piece| piece.split_once(')'));
        let targets = pieces.map(|(target, _)| target).filter(|target| !target.contains("://") && !in_code);
        found.extend(targets.map(|target| (index + 1, target.to_owned())));
    }
    found
}

fn broken(tree: &Tree, source: &Source, target: &str) -> Option<String> {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { source.path.clone() } else { resolve(&source.path, file) };
    if let Some(page) = tree.file(&path) {
        let fine =
            heading.is_empty() || !path.ends_with(".md") || anchors(&page.text).any(|name| name == heading);
        return (!fine).then(|| format!("{path} has no heading #{heading}"));
    }
    let folder = format!("{}/", path.trim_end_matches('/'));
    let is_folder = tree.files().any(|other| other.path.starts_with(&folder));
    let is_other = matches!(path.as_str(), "LICENSE");
    (!is_folder && !is_other).then(|| format!("{path} does not exist"))
}

fn resolve(from: &str, target: &str) -> String {
    let mut path = PathBuf::from(from);
    path.pop();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.to_string_lossy().into_owned()
}

/// The anchors that a forge gives to headings: lower case, blanks as dashes, punctuation dropped.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let kept =
            heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_from_the_page_that_holds_them() {
        let page = "[a](../README.md) [b](b.md#Some-thing) [c](https://example.org) [d](#here)\n```\n[x](y)\n```\n## Here";
        let tree = Tree::of(&[("README.md", ""), ("docs/a.md", page), ("docs/b.md", "# Some thing")]);
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.text).collect();
        assert_eq!(found, ["docs/b.md has no heading #Some-thing"]);
    }

    #[test]
    fn a_document_named_in_a_comment_exists() {
        let tree = Tree::of(&[("a.rs", "// see docs/b.md, docs/c.md."), ("docs/b.md", "")]);
        assert_eq!(check(&tree), [Finding::new("a.rs", 1, "docs/c.md does not exist")]);
    }

    #[test]
    fn a_missing_file_is_found_and_a_folder_is_fine() {
        let tree = Tree::of(&[("README.md", "[a](docs) [b](gone.md)"), ("docs/a.md", "")]);
        assert_eq!(check(&tree), [Finding::new("README.md", 1, "gone.md does not exist")]);
    }
}
