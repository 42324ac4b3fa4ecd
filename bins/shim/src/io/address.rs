//! Where a stream goes to or comes from, as the caller wrote it: a path, or a URI.
//!
//! | text | meaning |
//! |---|---|
//! | empty | the null device |
//! | `/run/x/1-stdout` | a fifo; anything else at the path is appended to |
//! | `fifo:///run/x/1-stdout` | the same |
//! | `file:///var/log/x` | appended to, made with its directories |
//! | `binary:///bin/logger?key=value` | a program that reads the output: ready when it closes descriptor 5 |
//! | `binary-v2:///bin/logger?key=value` | the same: ready when it writes a byte to descriptor 5 |

use std::path::PathBuf;

use super::Error;

/// One end of a stream outside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Nothing comes from it, everything may go to it.
    Null,
    /// A fifo, or whatever is at the path.
    Path(PathBuf),
    /// A file that is made and appended to.
    File(PathBuf),
    /// A program that reads the output.
    Logger(Logger),
}

/// A program that reads the output of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments after its name.
    pub arguments: Vec<String>,
    /// How it says that it is ready.
    pub ready: Ready,
}

/// How a logger says that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It closes descriptor 5 (`binary`).
    Closes,
    /// It writes a byte to descriptor 5 (`binary-v2`); one that only closes it has given up.
    Writes,
}

impl Address {
    /// Reads an address of standard output or standard error.
    ///
    /// # Errors
    /// [`Error::Address`] for a URI that is none, or of a kind that nobody here knows.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = scheme(text) else {
            return Ok(if text.is_empty() { Self::Null } else { Self::Path(text.into()) });
        };
        let wrong = |reason| Error::Address { text: text.to_owned(), reason };
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !path.starts_with('/') {
            return Err(wrong("the path must be absolute: three slashes after the scheme"));
        }
        let path = decoded(path, Plus::Itself).ok_or_else(|| wrong("a % needs two hexadecimal digits"))?;
        let ready = match scheme.to_ascii_lowercase().as_str() {
            "fifo" => return Ok(Self::Path(path.into())),
            "file" => return Ok(Self::File(path.into())),
            "binary" => Ready::Closes,
            "binary-v2" => Ready::Writes,
            _ => return Err(wrong("unknown scheme: fifo, file, binary and binary-v2 are known")),
        };
        let arguments = arguments(query).ok_or_else(|| wrong("a % needs two hexadecimal digits"))?;
        Ok(Self::Logger(Logger { program: path.into(), arguments, ready }))
    }

    /// Reads an address of standard input.
    ///
    /// # Errors
    /// [`Error::Address`] for what no bytes come from.
    pub fn parse_input(text: &str) -> Result<Self, Error> {
        match Self::parse(text)? {
            address @ (Self::Null | Self::Path(_)) => Ok(address),
            _ => Err(Error::Address { text: text.to_owned(), reason: "nothing can be read from it" }),
        }
    }
}

/// What stands before `://`, if it can be a scheme, and what stands behind.
///
/// Source: RFC 3986, section 3.1.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on = letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    (begins && goes_on).then_some((scheme, rest))
}

/// `a=1&b` as `a`, `1`, `b` and an empty text, in this order; of a key that occurs twice the first value counts.
///
/// Compat: containerd, `cmd/containerd-shim-runc-v2/process/io.go`, `NewBinaryCmd`; there the order is left to chance.
fn arguments(query: &str) -> Option<Vec<String>> {
    let mut arguments: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key, Plus::Space)?, decoded(value, Plus::Space)?);
        if !arguments.iter().step_by(2).any(|known| *known == key) {
            arguments.extend([key, value]);
        }
    }
    Some(arguments)
}

/// What a `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Itself,
    Space,
}

/// Replaces `%41` by `A`; `None` for a broken sequence, and for bytes that are no UTF-8 in the end.
fn decoded(text: &str, plus: Plus) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logger(arguments: &[&str], ready: Ready) -> Address {
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        Address::Logger(Logger { program: "/bin/log".into(), arguments, ready })
    }

    #[test]
    fn each_form_is_understood() {
        let rows = [
            ("", Address::Null),
            ("/run/f/1-stdout", Address::Path("/run/f/1-stdout".into())),
            ("/run/a:b/c", Address::Path("/run/a:b/c".into())),
            ("/run/x://y", Address::Path("/run/x://y".into())),
            ("fifo:///run/f", Address::Path("/run/f".into())),
            ("file:///var/log/a%20b+c", Address::File("/var/log/a b+c".into())),
            ("FILE:///x#part", Address::File("/x".into())),
            ("binary:///bin/log", logger(&[], Ready::Closes)),
            ("binary:///bin/log?id=1&name=a+b%26", logger(&["id", "1", "name", "a b&"], Ready::Closes)),
            ("binary-v2:///bin/log?flag&id=1&id=2", logger(&["flag", "", "id", "1"], Ready::Writes)),
        ];
        for (text, wanted) in rows {
            assert_eq!(Address::parse(text).expect(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_text() {
        let rows = [
            ("file://var/log/x", "the path must be absolute: three slashes after the scheme"),
            ("file://", "the path must be absolute: three slashes after the scheme"),
            ("file:///%4", "a % needs two hexadecimal digits"),
            ("binary:///x?%zz", "a % needs two hexadecimal digits"),
            ("ttrpc+unix:///x?streaming_id=1", "unknown scheme: fifo, file, binary and binary-v2 are known"),
        ];
        for (text, reason) in rows {
            let error = Address::parse(text).expect_err(text).to_string();
            assert_eq!(error, format!("address {text:?} of a stream: {reason}"));
        }
        assert!(Address::parse_input("file:///x").is_err());
        assert_eq!(Address::parse_input("/x").expect("a path"), Address::Path("/x".into()));
    }

    proptest! {
        #[test]
        fn a_path_is_taken_as_it_stands(path in "/[ -~]{0,40}") {
            prop_assert_eq!(Address::parse(&path).ok(), Some(Address::Path(path.into())));
        }

        #[test]
        fn arguments_survive_being_written_and_read(
            pairs in proptest::collection::btree_map("[ -~é]{1,8}", "[ -~é]{0,8}", 0..4)
        ) {
            let coded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let query: Vec<_> = pairs.iter().map(|(k, v)| format!("{}={}", coded(k), coded(v))).collect();
            let wanted: Vec<_> = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            let parsed = Address::parse(&format!("binary:///bin/log?{}", query.join("&")));
            let Ok(Address::Logger(logger)) = parsed else { return Err(TestCaseError::fail("no logger")) };
            prop_assert_eq!(logger.arguments, wanted);
        }
    }
}
