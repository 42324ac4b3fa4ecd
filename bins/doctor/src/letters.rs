//! What a terminal can show: without UTF-8, trees are drawn with the characters of ASCII.

use std::borrow::Cow;
use std::ffi::OsString;

/// The characters that text for people may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    /// All.
    Utf8,
    /// None of the doctor's own but those of ASCII. Foreign names stay as they are.
    Ascii,
}

/// The doctor's own characters, and what stands for them.
const ASCII: &[(char, &str)] =
    &[('\u{2502}', "|"), ('\u{2514}', "`"), ('\u{2500}', "-"), ('\u{2026}', "..."), ('\u{fffd}', "?")];

impl Letters {
    /// By the variables of the environment.
    ///
    /// Source: locale(7): the first of the three that is set and not empty counts; none is the locale `C`.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        if is_utf8 && !is_dumb { Self::Utf8 } else { Self::Ascii }
    }

    /// The text in these characters.
    pub(crate) fn spell(self, text: &str) -> Cow<'_, str> {
        let instead = |letter: char| ASCII.iter().find(|row| row.0 == letter).map(|row| row.1);
        if self == Self::Utf8 || !text.contains(|letter| instead(letter).is_some()) {
            return Cow::Borrowed(text);
        }
        let mut spelt = String::with_capacity(text.len());
        for letter in text.chars() {
            match instead(letter) {
                Some(ascii) => spelt.push_str(ascii),
                None => spelt.push(letter),
            }
        }
        Cow::Owned(spelt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Letters {
        Letters::of(|name| variables.iter().find(|it| it.0 == name).map(|it| it.1.into()))
    }

    #[test]
    fn the_first_variable_that_is_set_tells_the_locale() {
        for (variables, expected) in [
            (&[][..], Letters::Ascii),
            (&[("LANG", "C")], Letters::Ascii),
            (&[("LANG", "POSIX")], Letters::Ascii),
            (&[("LANG", "de_DE.ISO-8859-1")], Letters::Ascii),
            (&[("LANG", "C.UTF-8")], Letters::Utf8),
            (&[("LANG", "en_US.utf8")], Letters::Utf8),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], Letters::Ascii),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "")], Letters::Utf8),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], Letters::Utf8),
            (&[("LANG", "C.UTF-8"), ("TERM", "dumb")], Letters::Ascii),
            (&[("LANG", "C.UTF-8"), ("TERM", "xterm")], Letters::Utf8),
        ] {
            assert_eq!(with(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_tree_is_drawn_in_ascii_and_a_name_stays() {
        let tree = "\u{2502}  asks\n\u{2514}\u{2500} caf\u{e9}\u{2026}";
        assert_eq!(Letters::Ascii.spell(tree), "|  asks\n`- caf\u{e9}...");
        assert_eq!(Letters::Utf8.spell(tree), tree);
    }
}
