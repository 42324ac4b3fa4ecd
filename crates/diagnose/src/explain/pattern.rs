//! How a class shows in a log line, and the words that such a line must have.
//!
//! A pattern is a regular expression over the normalised text (`text.rs`): lower case, quotes without backslashes,
//! single spaces. The words are taken from the expression itself, so they cannot differ from it.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use serde::Deserialize;

use crate::Error;

/// Patterns without a rank of their own.
const MIDDLE: u8 = 50;
/// Where a literal is cut: these look different, or may be absent, before a line is unwrapped.
const UNSTEADY: &[char] = &['"', '\'', '\\', '<', '>', '&', '`'];

/// One pattern of a class.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The regular expression.
    pub pattern: String,
    /// From which level on it counts.
    #[serde(default)]
    pub level: Threshold,
    /// Who has to say it.
    #[serde(default)]
    pub voice: Voice,
    /// Whether the line must show by other words that it is about containers.
    #[serde(default)]
    pub context: Context,
    /// Which pattern wins on a line where several match: the lowest. A cause is below 50, a wrapper above.
    #[serde(default = "middle")]
    pub rank: u8,
}

fn middle() -> u8 {
    MIDDLE
}

/// From which level on a pattern counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Warnings and errors, and lines that do not tell.
    #[default]
    Warning,
    /// Also what its writer calls information.
    Any,
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voice {
    /// The road to the container: kubelet, daemons, shims, runtimes, the kernel.
    #[default]
    Road,
    /// Those, and the output of a container too: the runtime's own last words come out there.
    Container,
}

/// Whether the words alone are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Context {
    /// Nobody else says it like that.
    #[default]
    Free,
    /// Any program may say it; the line must be from, or about, the road to the container.
    Required,
}

/// A pattern ready to be searched for.
pub(super) struct Pattern {
    pub(super) class: usize,
    pub(super) line: Line,
    pub(super) words: Vec<String>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(class: usize, id: &str, line: Line) -> Result<Self, Error> {
        let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&line.pattern).map_err(
            |source| Error::Pattern {
                class: id.to_owned(),
                pattern: line.pattern.clone(),
                source: Box::new(source),
            },
        )?;
        let words = required(&hir).unwrap_or_default();
        Ok(Self { class, line, words, compiled: OnceLock::new() })
    }

    /// Where it stands in the normalised text, as start and end.
    pub(super) fn find(&self, text: &str) -> Option<(usize, usize)> {
        let found = self.regex()?.find(text.as_bytes())?;
        Some((found.start(), found.end()))
    }

    /// Compiled when first needed: most runs meet a few classes.
    fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| RegexBuilder::new(&self.line.pattern).unicode(false).build().ok())
            .as_ref()
    }
}

/// Words of which each matching text has at least one; `None` when there are none.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => steady(&String::from_utf8_lossy(&literal.0)).map(|word| vec![word]),
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|words| shortest(words)),
        HirKind::Alternation(parts) => {
            let each: Option<Vec<Vec<String>>> = parts.iter().map(required).collect();
            each.map(|words| words.concat())
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        _ => None,
    }
}

fn shortest(words: &[String]) -> usize {
    words.iter().map(String::len).min().unwrap_or(0)
}

fn steady(literal: &str) -> Option<String> {
    literal.split(UNSTEADY).max_by_key(|piece| piece.len()).filter(|piece| piece.len() > 2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::classes;

    fn words(pattern: &str) -> Vec<String> {
        let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).unwrap();
        required(&hir).unwrap_or_default()
    }

    #[test]
    fn the_longest_word_that_must_be_there_is_found() {
        assert_eq!(words("a+ stream copy error(?: of x)?"), [" stream copy error"]);
        assert_eq!(words("(?:open|stat) /proc/\\d+"), [" /proc/"]);
        assert_eq!(words("(?:first|second) x?"), ["first", "second"]);
        assert_eq!(words("exec: \"name"), ["exec: "]);
        assert_eq!(words(".*"), [""; 0]);
    }

    #[test]
    fn every_pattern_compiles_and_has_a_word() {
        for class in classes().unwrap() {
            for line in class.lines {
                let pattern = Pattern::new(0, &class.id, line).unwrap();
                assert!(pattern.regex().is_some(), "{}: {}", class.id, pattern.line.pattern);
                let shortest = shortest(&pattern.words);
                assert!(shortest > 3, "{}: {} -> {:?}", class.id, pattern.line.pattern, pattern.words);
            }
        }
    }
}
