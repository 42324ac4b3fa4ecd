//! `docs/classes.md`: for each failure class a rule, log lines, or why nothing shows it. A class without any is a gap.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::findings::Finding;
use crate::tree::Tree;

/// Where the classes and the rules are.
const CLASSES: &str = "crates/diagnose/classes/";
const RULES: &str = "crates/diagnose/src/rules.rs";
const FILES: &str = "crates/diagnose/src/rules/";
/// So many classes are known; a file that was lost would be a gap.
const COUNT: usize = 104;

#[derive(Deserialize)]
struct File {
    class: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    id: String,
    title: String,
    #[serde(default)]
    lines: Vec<toml::Value>,
    #[serde(default)]
    unseen: Option<String>,
}

/// The table of the document.
pub(crate) fn table(tree: &Tree) -> String {
    let rules = rules(tree);
    let mut text = String::from("\n| class | what it is | rule | explain |\n|---|---|---|---|\n");
    for class in classes(tree) {
        let named: Vec<String> = rules
            .get(&class.id)
            .into_iter()
            .flatten()
            .map(|rule| format!("[{rule}](../crates/diagnose/src/rules/{rule}.rs)"))
            .collect();
        let explained = match (class.lines.is_empty(), &class.unseen) {
            (false, _) => "by its lines".to_owned(),
            (true, Some(reason)) => format!("not visible: {reason}"),
            (true, None) => "not visible".to_owned(),
        };
        let title = class.title.replace('|', "\\|").replace('<', "\\<");
        let _ = writeln!(text, "| {} | {title} | {} | {explained} |", class.id, named.join(", "));
    }
    text.push('\n');
    text
}

/// Finds classes that neither a rule nor a log line shows, without the reason; and rules for classes that do not exist,
/// or that no finding of theirs can carry.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    if tree.file(RULES).is_none() {
        return Vec::new();
    }
    let (rules, classes) = (rules(tree), classes(tree));
    let mut findings = Vec::new();
    if classes.len() != COUNT {
        findings.push(Finding::new(CLASSES, 0, format!("{} classes, not {COUNT}", classes.len())));
    }
    for class in &classes {
        if !rules.contains_key(&class.id) && class.lines.is_empty() && class.unseen.is_none() {
            findings.push(Finding::new(
                CLASSES,
                0,
                format!("{} has no rule, no lines and no `unseen`", class.id),
            ));
        }
    }
    for (id, names) in &rules {
        if !classes.iter().any(|class| class.id == *id) {
            findings.push(Finding::new(
                RULES,
                0,
                format!("{} finds {id}, which is no class", names.join(", ")),
            ));
        }
        for name in names.iter().filter(|name| !carries(tree, name, id)) {
            let file = format!("{FILES}{name}.rs");
            findings.push(Finding::new(
                &file,
                0,
                format!("no finding here has the class {id} of its row in {RULES}"),
            ));
        }
    }
    findings
}

/// Whether the code of a rule, in its file or in the folder of its name, names a class; the headers may name others.
fn carries(tree: &Tree, rule: &str, id: &str) -> bool {
    let (file, folder) = (format!("{FILES}{rule}.rs"), format!("{FILES}{rule}/"));
    let quoted = format!("\"{id}\"");
    let own = tree.files().filter(|source| source.path == file || source.path.starts_with(&folder));
    own.flat_map(|source| source.text.lines()).any(|line| !line.starts_with("//!") && line.contains(&quoted))
}

fn classes(tree: &Tree) -> Vec<Class> {
    let files =
        tree.files().filter(|source| source.path.starts_with(CLASSES) && source.path.ends_with(".toml"));
    let mut classes: Vec<Class> = files
        .filter_map(|source| toml::from_str::<File>(&source.text).ok())
        .flat_map(|file| file.class)
        .collect();
    classes.sort_by(|one, other| one.id.cmp(&other.id));
    classes
}

/// For each class the rules that find it: the rows of `RULES`, and `CLASSES` of a rule that keeps its own list.
fn rules(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = tree.file(RULES).map_or("", |source| source.text.as_str());
    for row in text.split("rule(\"").skip(1) {
        let Some((name, rest)) = row.split_once('"') else { continue };
        let row = rest.split("::check").next().unwrap_or(rest);
        let own = format!("{FILES}{name}.rs");
        let list = if row.contains("::CLASSES") {
            let file = tree.file(&own).map_or("", |source| source.text.as_str());
            file.split("const CLASSES").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or("")
        } else {
            row
        };
        for id in list.split('"').filter(|word| is_id(word)) {
            found.entry(id.to_owned()).or_default().push(name.to_owned());
        }
    }
    found
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(area, number)| {
        area.len() == 2
            && area.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "const R: &[Rule] = &[\n rule(\"a\", &[\"EX-01\", \"EX-02\"], a::check),\n rule(\"b\", b::CLASSES, b::check),\n];";

    fn tree(class: &str) -> Tree {
        let own = "pub(super) const CLASSES: &[&str] =\n &[\"ST-09\"];";
        Tree::of(&[
            (RULES, ROWS),
            ("crates/diagnose/src/rules/b.rs", own),
            ("crates/diagnose/classes/exec.toml", class),
        ])
    }

    #[test]
    fn rules_name_their_classes_in_the_row_or_in_their_file() {
        let found = rules(&tree(""));
        assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["EX-01", "EX-02", "ST-09"]);
        assert_eq!(found["ST-09"], ["b"]);
    }

    #[test]
    fn a_class_that_nothing_shows_is_a_gap_unless_it_says_why() {
        let gap = "[[class]]\nid = \"EX-99\"\ntitle = \"t\"\n";
        let told = format!("{gap}unseen = \"it leaves no trace\"\n");
        let says = |class: &str| {
            check(&tree(class)).iter().any(|finding| finding.to_string().contains("EX-99 has no"))
        };
        assert!(says(gap));
        assert!(!says(&told));
        assert!(table(&tree(&told)).contains("| EX-99 | t |  | not visible: it leaves no trace |"));
    }

    #[test]
    fn a_rule_for_a_class_that_it_cannot_find_is_found() {
        let rule = "//! Source: \"EX-01\".\n\nconst CLASS: &str = \"EX-02\";\n";
        let tree = Tree::of(&[(RULES, ROWS), ("crates/diagnose/src/rules/a.rs", rule)]);
        let findings = check(&tree);
        let says = |text: &str| findings.iter().any(|finding| finding.to_string().contains(text));
        assert!(says("no finding here has the class EX-01"));
        assert!(!says("no finding here has the class EX-02"));
    }

    #[test]
    fn a_rule_for_an_unknown_class_is_found() {
        assert!(check(&tree("")).iter().any(|finding| finding.to_string().contains("a finds EX-01")));
    }
}
