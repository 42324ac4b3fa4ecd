//! What many programs write at the start of a line: a date, and a level as a word.

use std::borrow::Cow;

use super::{Inside, Level};

/// The level stands among the first words, if at all.
const WORDS: usize = 8;

/// `2018-11-13 18:16:19 ERROR: message`, `[error] message`, `INFO  message`; the text stays whole.
pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let mut end = 0;
    for word in text.split_ascii_whitespace().take(WORDS) {
        end = text.get(end..)?.find(word)? + end + word.len();
        let name = word.trim_matches(|character: char| !character.is_ascii_alphabetic());
        let is_marked = name.bytes().all(|byte| byte.is_ascii_uppercase()) || word.starts_with('[');
        let level = Level::named(name);
        // Compat: the kernel's "INFO: task x blocked" is no information.
        let is_hung_task = text.get(end..).is_some_and(|rest| rest.starts_with(" task "));
        if level != Level::Unknown && is_marked && !is_hung_task {
            let rest = text.get(end..)?.trim_start_matches([':', ' ', '-', ']', '|']);
            return Some(Inside { level, text: Cow::Borrowed(rest), ..Inside::default() });
        }
        if name.len() > 2 && !looks_like_a_head(word) {
            return None;
        }
    }
    None
}

/// Dates, process ids, threads in brackets: what stands before a level.
fn looks_like_a_head(word: &str) -> bool {
    word.starts_with(['[', '(', '"'])
        || word.contains('|')
        || word.bytes().any(|byte| byte.is_ascii_digit())
        || word.ends_with(',')
}
