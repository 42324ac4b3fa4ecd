//! Properties of a unit that a bundle asks for: `"org.systemd.property.TimeoutStopUSec": "uint64 5000000"`.
//!
//! Compat: runc: the value is a GVariant in text form; a name that ends in `Sec` is given in seconds
//! and becomes the property in microseconds. Understood are booleans, numbers, strings, and lists of one of them.
//!
//! Source: the GVariant text format of GLib.

use std::collections::BTreeMap;

use zbus::wire::Array;
use zbus::{Signature, Variant};

use super::{Error, Property};

const PREFIX: &str = "org.systemd.property.";

/// The properties among annotations. What is malformed is an error: systemd would not get what the bundle asks for.
///
/// # Errors
/// [`Error::Annotation`] with what would be right.
pub fn annotated(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>, Error> {
    let ours = annotations.iter().filter_map(|(key, value)| Some((key, key.strip_prefix(PREFIX)?, value)));
    ours.map(|(key, name, value)| {
        let refuse = |expected| Error::Annotation { key: key.clone(), value: value.clone(), expected };
        property(name, value).map_err(refuse)
    })
    .collect()
}

fn property(name: &str, value: &str) -> Result<Property, &'static str> {
    let is_name = name.len() >= 3
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !is_name {
        return Err("stands at a key that must end in the name of a property, such as CollectMode");
    }
    let value = parse(value)?;
    match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        None => Ok(Property { name: name.to_owned(), value }),
        Some(stem) => Ok(Property { name: format!("{stem}USec"), value: microseconds(&value)?.into() }),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn microseconds(value: &Variant<'_>) -> Result<u64, &'static str> {
    const WANTED: &str = "must be a number of seconds from 0";
    let whole = |seconds: u64| seconds.checked_mul(1_000_000).ok_or(WANTED);
    match value {
        Variant::U64(seconds) => whole(*seconds),
        Variant::U32(seconds) => whole(u64::from(*seconds)),
        Variant::I32(seconds) => u64::try_from(*seconds).map_err(|_| WANTED).and_then(whole),
        Variant::I64(seconds) => u64::try_from(*seconds).map_err(|_| WANTED).and_then(whole),
        Variant::F64(seconds) if (0.0..1e12).contains(seconds) => Ok((seconds * 1e6) as u64),
        _ => Err(WANTED),
    }
}

const WANTED: &str =
    "must be a GVariant in text form: true, 5, uint64 5, double 0.5, 'text', or a list of these: ['a', 'b']";

fn parse(text: &str) -> Result<Variant<'static>, &'static str> {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return scalar(text, None).ok_or(WANTED);
    };
    list(inner).ok_or(WANTED)
}

/// The type of the first counts for all: `[uint64 1, 2]`.
fn list(inner: &str) -> Option<Variant<'static>> {
    let mut array: Option<Array<'static>> = None;
    let mut kind = None;
    for part in parts(inner)? {
        let value = scalar(part, kind)?;
        kind = kind.or_else(|| part.split_once(' ').map(|(word, _)| word).filter(|word| is_type(word)));
        let array = array.get_or_insert_with(|| Array::new(value.value_signature()));
        array.append(value).ok()?;
    }
    Some(Variant::Array(array.unwrap_or_else(|| Array::new(&Signature::Str))))
}

/// The text between commas that are in no string.
fn parts(inner: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, letter) in inner.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ',') => {
                parts.push(inner.get(start..at)?.trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inner.get(start..)?.trim();
    if !last.is_empty() {
        parts.push(last);
    }
    quote.is_none().then_some(parts)
}

fn is_type(word: &str) -> bool {
    matches!(word, "byte" | "int16" | "uint16" | "int32" | "uint32" | "int64" | "uint64" | "double")
}

fn scalar(text: &str, kind: Option<&str>) -> Option<Variant<'static>> {
    let (kind, text) = match text.split_once(' ') {
        Some((word, rest)) if is_type(word) => (Some(word), rest.trim()),
        _ => (kind, text),
    };
    match (kind, text) {
        (None, "true") => Some(true.into()),
        (None, "false") => Some(false.into()),
        (None, text) if text.starts_with(['\'', '"']) => string(text).map(Variant::from),
        (Some("byte"), text) => text.parse::<u8>().ok().map(Variant::from),
        (Some("int16"), text) => text.parse::<i16>().ok().map(Variant::from),
        (Some("uint16"), text) => text.parse::<u16>().ok().map(Variant::from),
        (None | Some("int32"), text) if text.parse::<i32>().is_ok() => {
            text.parse::<i32>().ok().map(Variant::from)
        }
        (Some("uint32"), text) => text.parse::<u32>().ok().map(Variant::from),
        (Some("int64"), text) => text.parse::<i64>().ok().map(Variant::from),
        (Some("uint64"), text) => text.parse::<u64>().ok().map(Variant::from),
        (None | Some("double"), text)
            if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') =>
        {
            text.parse::<f64>().ok().map(Variant::from)
        }
        _ => None,
    }
}

fn string(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    if text.len() < 2 || !text.ends_with(quote) {
        return None;
    }
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next()?),
            letter if letter == quote => return None,
            letter => plain.push(letter),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_have_the_types_that_they_say() {
        let table: [(&str, &str, &str, Variant<'static>); 9] = [
            ("CollectMode", "'inactive-or-failed'", "CollectMode", "inactive-or-failed".into()),
            ("TimeoutStopUSec", "uint64 5", "TimeoutStopUSec", 5_u64.into()),
            ("TimeoutStopSec", "uint64 5", "TimeoutStopUSec", 5_000_000_u64.into()),
            ("TimeoutStopSec", "1.5", "TimeoutStopUSec", 1_500_000_u64.into()),
            ("OOMScoreAdjust", "-7", "OOMScoreAdjust", (-7).into()),
            ("SendSIGKILL", "false", "SendSIGKILL", false.into()),
            ("Description", "\"it's\"", "Description", "it's".into()),
            ("Before", "['a.target', 'b,c']", "Before", vec!["a.target", "b,c"].into()),
            ("Numbers", "[uint64 1, 2]", "Numbers", vec![1_u64, 2].into()),
        ];
        for (name, text, expected, value) in table {
            let expected = Property { name: expected.to_owned(), value };
            assert_eq!(property(name, text), Ok(expected), "{name} {text}");
        }
    }

    #[test]
    fn what_is_no_property_is_told_what_would_be_one() {
        let table =
            [("Description", "text"), ("X", "true"), ("aB1", "true"), ("StopSec", "'a'"), ("Before", "['a'")];
        for (name, value) in table {
            let annotations = BTreeMap::from([(format!("{PREFIX}{name}"), value.to_owned())]);
            let error = annotated(&annotations).unwrap_err().to_string();
            assert!(error.starts_with(&format!("annotations/{PREFIX}{name}: {value:?} ")), "{error}");
            assert!(error.contains("must be") || error.contains("must end"), "{error}");
        }
        let others = BTreeMap::from([("org.example".to_owned(), "text".to_owned())]);
        assert_eq!(annotated(&others).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\[|\\]|'|\"|,| |\\\\|uint64|byte|-?[0-9.]{1,4}|\\PC){0,12}") {
            let _ = parse(&text);
        }
    }
}
