//! The map of docs/architecture.md: each shipped file with the first sentence of its header.

use crate::tree::{Source, Tree};

/// Folders on the map.
const FOLDERS: &[&str] = &["crates/", "bins/"];

/// One line per file.
pub(crate) fn table(tree: &Tree) -> String {
    let shipped = |source: &&Source| {
        FOLDERS.iter().any(|folder| source.path.starts_with(folder))
            && source.path.contains("/src/")
            && !source.path.ends_with("/tests.rs")
    };
    let mut text = String::from("| file | what it is for |\n|---|---|\n");
    for source in tree.rust().map(|(source, _)| source).filter(shipped) {
        let sentence = first_sentence(&source.text).replace('|', "\\|");
        text.push_str(&format!("| [{0}](../{0}) | {sentence} |\n", source.path));
    }
    text
}

/// The header up to its first full stop or blank line.
fn first_sentence(text: &str) -> String {
    let header = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = header.take_while(|line| !line.is_empty()).collect();
    let joined = paragraph.join(" ");
    joined.split_once(". ").map_or(joined.clone(), |(sentence, _)| format!("{sentence}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_sentence() {
        assert_eq!(first_sentence("//! One\n//! two. Three.\n//!\n//! Four.\nfn x() {}"), "One two.");
        assert_eq!(first_sentence("//! One\n\nfn x() {}"), "One");
    }
}
