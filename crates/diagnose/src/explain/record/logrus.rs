//! `time="..." level=error msg="..." error="..."`, wherever it starts in the line, and its form on a terminal.

use std::borrow::Cow;

use super::json::with_error;
use super::{Inside, Level, Speaker};

/// Within so many bytes the fields begin, if the line is of this kind.
const HEAD: usize = 160;

pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    let start = beginning(text)?;
    let mut found = Inside { text: Cow::Borrowed(""), ..Inside::default() };
    let (mut message, mut error) = (None, None);
    for (key, value) in Fields(text.get(start..)?) {
        match key {
            "time" | "ts" => found.time = Some(unquoted(value)),
            "level" | "lvl" => found.level = Level::named(value.trim_matches('"')),
            "msg" => message = Some(unquoted(value)),
            // dockerd quotes the output that it could not log in a field of this name.
            "message" => message = message.or_else(|| Some(unquoted(value))),
            "error" | "err" => error = Some(unquoted(value)),
            "runtime" | "module" | "namespace" if is_road(value) => found.speaker = Speaker::Road,
            _ => {}
        }
    }
    let outer = text.get(..start).unwrap_or_default().trim_end();
    let message = with_error(message?, error);
    found.text = Cow::Owned(if is_prose(outer) { format!("{outer} {message}") } else { message });
    Some(found)
}

/// `WARN[2020-01-19T02:10:57.6-05:00] message   id=x` and `ERRO[0000] message`.
pub(super) fn terminal(text: &str) -> Option<Inside<'_>> {
    let (name, rest) = text.split_at_checked(4)?;
    let level = Level::named(name);
    if level == Level::Unknown || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let (time, message) = rest.strip_prefix('[')?.split_once(']')?;
    Some(Inside { level, time: Some(time.to_owned()), text: Cow::Borrowed(message), ..Inside::default() })
}

/// Where the fields start: at `time="`, or at `level=` when a message follows.
fn beginning(text: &str) -> Option<usize> {
    let mut end = text.len().min(HEAD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end)?;
    let start = head.find("time=\"").or_else(|| head.find("time=2")).or_else(|| head.find("level="))?;
    let fields = text.get(start..)?;
    (fields.contains("level=") && (fields.contains("msg=") || fields.contains("message="))).then_some(start)
}

/// Words before the fields that belong to the message: `Error: OCI runtime error: time="..."`.
fn is_prose(outer: &str) -> bool {
    outer.contains("rror")
}

fn is_road(value: &str) -> bool {
    ["io.containerd", "moby", "k8s.io", "libcontainerd"].iter().any(|part| value.contains(part))
}

fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner));
    inner.replace("\\\"", "\"").replace("\\n", " ")
}

/// `key=value` pairs; a value in quotes ends at its own closing quote, or at the end of a line that was cut.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (before, after) = self.0.split_once('=')?;
        let key = before.rsplit(|character: char| character.is_whitespace()).next()?;
        let end = if after.starts_with('"') {
            closing_quote(after)
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let (value, rest) = after.split_at_checked(end)?;
        self.0 = rest;
        Some((key, value))
    }
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\\' => escaped = !escaped,
            b'"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}
