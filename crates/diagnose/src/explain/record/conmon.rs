//! `[conmon:w]: message` on standard error, `conmon 77aa <nwarn>: message` in the system log.
//!
//! Source: conmon 2.1, `src/utils.h`.

use std::borrow::Cow;

use super::{Inside, Level, Speaker};

pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let (name, rest) = marked(text)?;
    let level = match name {
        "e" | "error" => Level::Error,
        "w" | "nwarn" => Level::Warning,
        "i" | "ninfo" => Level::Info,
        // It also tells what a runtime said as it failed.
        "d" | "ndebug" | "t" | "ntrace" => Level::Notice,
        _ => return None,
    };
    Some(Inside { speaker: Speaker::Road, level, text: Cow::Borrowed(rest), ..Inside::default() })
}

/// The name of the level, and what follows it.
fn marked(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix("[conmon:") {
        let (name, rest) = rest.split_once(']')?;
        return Some((name, rest.trim_start_matches(':')));
    }
    let (id, rest) = text.strip_prefix("conmon ")?.split_once(" <")?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| rest.split_once(">:")).flatten()
}
