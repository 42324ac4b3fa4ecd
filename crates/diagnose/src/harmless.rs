//! Foreign text without anything that a terminal, a log or a reader's eye obeys.
//!
//! Whoever is in a container chooses names, arguments and log lines. Control characters (C0 and C1) move the cursor or
//! give the terminal orders; bidirectional and invisible characters show another text than the one that stands there.
//! Source: ECMA-48; Unicode Standard Annex 9, and its general category `Cf`.

use std::borrow::Cow;

/// Whether it is obeyed instead of shown. So is a line end, which may break a line of somebody else's.
#[must_use]
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The character, or a mark in its place.
#[must_use]
pub fn shown(character: char) -> char {
    if steers(character) { '\u{fffd}' } else { character }
}

/// A text of several lines for people: line ends and tabs stay.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let is_bad = |character| steers(character) && !matches!(character, '\n' | '\t');
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|it| if is_bad(it) { '\u{fffd}' } else { it }).collect())
}

/// JSON that says the same in escapes: its own writer leaves DEL, C1 and bidirectional characters as they are.
#[must_use]
pub fn json(json: &str) -> Cow<'_, str> {
    let is_bad = |character| steers(character) && character != '\n';
    if !json.contains(is_bad) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if is_bad(character) {
            // Outside of strings JSON is ASCII without control characters, so this is inside of one.
            out.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_steers_is_left_in_a_text() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\0\u{7f}\u{202e}\u{2066}\u{61c}\u{e0041}\r\tb\n";
        let kept = text(hostile);
        assert_eq!(kept.replace('\u{fffd}', ""), "a]0;x31m\tb\n");
        assert!(matches!(text("plain é 日本\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn json_says_the_same(value in "\\PC*|[\u{0}-\u{ff}\u{2000}-\u{20ff}\u{e0000}-\u{e007f}]{0,40}") {
            let plain = serde_json::to_string(&value).unwrap();
            let safe = json(&plain);
            prop_assert!(!safe.contains(steers), "{safe:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), value);
        }
    }
}
