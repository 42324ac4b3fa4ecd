//! A row of `kubectl get events` or of `kubectl describe pod`.

use std::borrow::Cow;

use super::{Inside, Level, Speaker};

/// `Warning  Unhealthy  99s (x7244 over 171m)  kubelet, node1  message`, and `4s  Warning  Reason  pod/name  message`.
/// The columns stay in the text: which reason it was belongs to what is said.
pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let mut words = text.split_ascii_whitespace().take(4);
    let kind = words.find(|word| matches!(*word, "Warning" | "Normal"))?;
    let reason = words.next()?;
    let is_reason = reason.len() > 3
        && reason.starts_with(|character: char| character.is_ascii_uppercase())
        && reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rest = after(text, reason)?;
    is_reason.then(|| Inside {
        speaker: Speaker::Road,
        level: Level::named(kind),
        time: None,
        text: Cow::Borrowed(message(rest)),
    })
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.get(text.find(word)? + word.len()..)
}

/// What follows the columns of age and source, or of the object; two spaces stand between columns.
fn message(rest: &str) -> &str {
    let mut message = rest.trim();
    for _ in 0..2 {
        match message.split_once("  ") {
            Some((column, after)) if column.len() < 80 => message = after.trim_start(),
            _ => break,
        }
    }
    message
}
