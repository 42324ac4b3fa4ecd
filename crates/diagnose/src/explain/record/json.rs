//! JSON lines: docker's json-file, `journalctl -o json`, logrus, zap, klog and lager as JSON, Kubernetes events.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Inside, Level, Speaker};

/// Fields in which programs write the message, and what was wrong.
const MESSAGES: &[&str] = &["msg", "message", "log", "MESSAGE"];
const ERRORS: &[&str] = &["error", "err"];
const LEVELS: &[&str] = &["level", "severity", "lvl", "type"];
const TIMES: &[&str] = &["time", "ts", "timestamp", "@timestamp", "lastTimestamp"];

pub(super) fn open(text: &str) -> Option<Inside<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    if fields.contains_key("MESSAGE") {
        return Some(journal(&fields));
    }
    let message = first(&fields, MESSAGES)?;
    let lager = fields.get("data").and_then(Value::as_object);
    let error = first(&fields, ERRORS).or_else(|| first(lager?, ERRORS));
    let speaker = if fields.contains_key("log") && fields.contains_key("stream") {
        Speaker::Container
    } else if fields.contains_key("involvedObject") {
        Speaker::Road
    } else {
        Speaker::Unknown
    };
    Some(Inside {
        speaker,
        level: level(&fields),
        time: first(&fields, TIMES),
        text: Cow::Owned(with_error(message, error)),
    })
}

/// By name, or by the number that lager gives it. Source: code.cloudfoundry.org/lager, `LogLevel`.
fn level(fields: &Map<String, Value>) -> Level {
    let numbered = || match fields.get("log_level").and_then(Value::as_u64)? {
        0 => Some(Level::Debug),
        1 => Some(Level::Info),
        2 | 3 => Some(Level::Error),
        _ => None,
    };
    match first(fields, LEVELS) {
        Some(name) => Level::named(&name),
        None => numbered().unwrap_or(Level::Unknown),
    }
}

/// The message, and the error behind it, as programs print both.
pub(super) fn with_error(message: String, error: Option<String>) -> String {
    match error {
        Some(error) if message.is_empty() => error,
        Some(error) => format!("{message}: {error}"),
        None => message,
    }
}

fn journal(fields: &Map<String, Value>) -> Inside<'static> {
    let named = first(fields, &["SYSLOG_IDENTIFIER", "_COMM", "_SYSTEMD_UNIT"]).unwrap_or_default();
    let speaker = if fields.contains_key("CONTAINER_ID") || fields.contains_key("CONTAINER_NAME") {
        Speaker::Container
    } else {
        Speaker::of_program(&named)
    };
    Inside {
        speaker,
        level: Level::Unknown,
        time: first(fields, &["__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"]),
        text: Cow::Owned(first(fields, &["MESSAGE"]).unwrap_or_default()),
    }
}

fn first(fields: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| fields.get(*name).and_then(written))
}

/// A text; or a text as an array of bytes, as the journal writes what is not UTF-8; or a number.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
