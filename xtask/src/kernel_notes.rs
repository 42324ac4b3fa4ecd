//! Collects the comments tagged `Kernel:` and `Compat:` of the shipped code into the documents.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// Folders whose code is shipped.
const SHIPPED: &[&str] = &["crates/", "bins/"];

/// Kernel versions and fall-backs, for docs/kernel.md.
pub(crate) fn kernel(tree: &Tree) -> String {
    table(tree, "Kernel:", "what it needs, and what happens before")
}

/// What is done for the sake of a caller, for docs/compat.md.
pub(crate) fn compat(tree: &Tree) -> String {
    table(tree, "Compat:", "what is done because a caller relies on it")
}

fn table(tree: &Tree, tag: &str, title: &str) -> String {
    let mut notes: BTreeSet<(&str, Note)> = BTreeSet::new();
    for (source, _) in
        tree.rust().filter(|(source, _)| SHIPPED.iter().any(|folder| source.path.starts_with(folder)))
    {
        notes.extend(tagged(&source.text, tag).into_iter().map(|note| (source.path.as_str(), note)));
    }
    let mut text = format!("| file | at | {title} |\n|---|---|---|\n");
    for (path, note) in &notes {
        let words = note.words.replace('|', "\\|");
        text.push_str(&format!("| [{path}](../{path}) | `{}` | {words} |\n", note.subject));
    }
    text
}

/// A tagged comment.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    /// Name of the item that the comment stands above, or the code itself.
    subject: String,
    words: String,
}

/// Every comment that starts with the tag, its lines joined up to the end of its paragraph.
fn tagged(text: &str, tag: &str) -> Vec<Note> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| comment_of(line).is_some_and(|words| words.starts_with(tag)));
    starts.map(|(at, _)| note(lines.get(at..).unwrap_or(&[]), tag)).collect()
}

/// The note whose first line is the first of `lines`.
fn note(lines: &[&str], tag: &str) -> Note {
    let comments = lines.iter().map_while(|line| comment_of(line));
    let belongs = |(at, words): &(usize, &str)| *at == 0 || (!words.is_empty() && !starts_another(words));
    let paragraph = comments.enumerate().take_while(belongs).map(|(_, words)| words);
    let words: Vec<&str> = paragraph.collect();
    let of_the_file = lines.first().is_some_and(|line| line.starts_with("//!"));
    let below = lines.iter().find(|line| comment_of(line).is_none() && !line.trim_start().starts_with("#["));
    let subject =
        if of_the_file { "the file".to_owned() } else { below.map_or(String::new(), |line| subject(line)) };
    Note { subject, words: words.join(" ").trim_start_matches(tag).trim().to_owned() }
}

/// `pub fn name(...)` is about `name`; a statement is about itself.
fn subject(line: &str) -> String {
    let keywords = ["fn", "struct", "enum", "const", "static", "mod", "type", "trait", "use"];
    let mut words = line.split_whitespace().skip_while(|word| !keywords.contains(word));
    let end = |letter: char| !(letter.is_alphanumeric() || letter == '_');
    let named = words.nth(1).and_then(|name| name.split(end).next()).filter(|name| !name.is_empty());
    let line = line.trim().trim_start_matches("pub ");
    let field = line.split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(end));
    named.or(field).unwrap_or_else(|| line.trim_end_matches([',', '{', ' '])).replace('|', "\\|")
}

/// The words of a line that is a comment and nothing else.
fn comment_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let words = ["//!", "///", "//"].iter().find_map(|mark| line.strip_prefix(mark))?;
    Some(words.trim())
}

fn starts_another(words: &str) -> bool {
    let tags = ["Source:", "Compat:", "Kernel:", "Invariant:", "**Invariant", "SAFETY:", "# ", "- ", "* "];
    tags.iter().any(|tag| words.starts_with(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_runs_to_the_end_of_its_paragraph() {
        let text = "/// Does x.\n///\n/// Kernel: 5.12; before,\n/// mount(2) does it.\n/// Source: y\nfn x() {}\n// Kernel: 5.9\ny.z() {\n";
        let notes = tagged(text, "Kernel:");
        let words: Vec<_> = notes.iter().map(|note| (note.subject.as_str(), note.words.as_str())).collect();
        assert_eq!(words, [("x", "5.12; before, mount(2) does it."), ("y.z()", "5.9")]);
    }

    #[test]
    fn only_shipped_code_counts() {
        let tree = Tree::of(&[
            ("tests/a.rs", "// Kernel: 1\n"),
            ("crates/a/b.rs", "// Kernel: a|b\nconst A: u8 = 1;"),
        ]);
        assert!(kernel(&tree).ends_with("| [crates/a/b.rs](../crates/a/b.rs) | `A` | a\\|b |\n"));
    }
}
