//! The failure classes: `classes/*.toml`, one file for each area, part of the binary.

use serde::Deserialize;

use super::pattern::Line;
use crate::Error;

/// The files of `classes/`: the area, which starts the ids, and the text.
pub const AREAS: &[(&str, &str)] = &[
    ("exec", include_str!("../../classes/exec.toml")),
    ("start", include_str!("../../classes/start.toml")),
    ("inspect", include_str!("../../classes/inspect.toml")),
    ("delete", include_str!("../../classes/delete.toml")),
    ("logs", include_str!("../../classes/logs.toml")),
    ("node", include_str!("../../classes/node.toml")),
];

/// One way a container node fails, and what is known about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Two letters of the area and a number: `EX-03`.
    pub id: String,
    /// What it is, in half a sentence.
    pub title: String,
    /// Why it happens.
    pub cause: String,
    /// What helps.
    pub remedy: String,
    /// How to make sure that it is this; empty when nothing on the node shows it.
    #[serde(default)]
    pub confirm: String,
    /// Classes that usually stand behind it; `EX-*` is every class of that area, `*` every class.
    #[serde(default)]
    pub consequence_of: Vec<String>,
    /// Whether it never says anything of its own: it always comes with its cause.
    #[serde(default)]
    pub noise: bool,
    /// Whether it is only how another failure shows: it is folded under its cause when that is there.
    #[serde(default)]
    pub symptom: bool,
    /// Versions that have it: a program, then conditions (`runc >= 1.2.0 < 1.2.6`).
    #[serde(default)]
    pub known_bad: Vec<String>,
    /// Where it was reported: `owner/repository#number`.
    #[serde(default)]
    pub references: Vec<String>,
    /// Why no log line shows it, when none does.
    #[serde(default)]
    pub unseen: Option<String>,
    /// Words of lines that point at it without being it: where to look first when such a line is unknown.
    #[serde(default)]
    pub hints: Vec<String>,
    /// How log lines say it; none when no log line does.
    #[serde(default)]
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
struct File {
    class: Vec<Class>,
}

/// Every class, in the order of the files.
///
/// # Errors
/// When a file is not what `Class` says; the tests read them all.
pub fn classes() -> Result<Vec<Class>, Error> {
    let mut all = Vec::new();
    for &(area, text) in AREAS {
        let file: File =
            toml::from_str(text).map_err(|source| Error::Classes { area, source: Box::new(source) })?;
        all.extend(file.class);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_104_classes_with_ids_of_their_own() {
        let all = classes().unwrap();
        let ids: BTreeSet<&str> = all.iter().map(|class| class.id.as_str()).collect();
        assert_eq!((all.len(), ids.len()), (104, 104));
    }

    #[test]
    fn what_a_class_follows_from_exists() {
        let all = classes().unwrap();
        for class in &all {
            for cause in &class.consequence_of {
                let known = cause.ends_with('*') || all.iter().any(|other| other.id == *cause);
                assert!(known, "{} follows from {cause}", class.id);
            }
            assert!(!class.noise || !class.consequence_of.is_empty(), "{} is noise of nothing", class.id);
        }
    }

    #[test]
    fn a_class_without_lines_says_why() {
        for class in classes().unwrap() {
            assert_eq!(class.lines.is_empty(), class.unseen.is_some(), "{}", class.id);
        }
    }

    #[test]
    fn every_class_says_why_and_what_helps() {
        for class in classes().unwrap() {
            assert!(class.cause.len() > 20 && class.remedy.len() > 10, "{}", class.id);
            assert!(!class.references.is_empty(), "{} stands on nothing", class.id);
        }
    }
}
