//! `journalctl -o export`: entries of `FIELD=value` lines, and values with a length for what is not plain text.
//! Source: systemd, "Journal Export Formats".

use std::io::{BufRead, Error, Read};

use serde_json::{Map, Value};

/// How such a stream starts.
pub(super) const START: &[u8] = b"__CURSOR=";
/// Fields that matter here.
const FIELDS: &[&str] = &[
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "_COMM",
    "_SYSTEMD_UNIT",
    "CONTAINER_ID",
    "CONTAINER_NAME",
    "__REALTIME_TIMESTAMP",
];
/// Longer fields are cut here, in bytes.
const LONGEST: u64 = 1 << 20;

/// The next entry, in the form of `journalctl -o json`; `None` at the end.
///
/// # Errors
/// When the input cannot be read.
pub(super) fn entry(input: &mut dyn BufRead) -> Result<Option<String>, Error> {
    let mut fields = Map::new();
    loop {
        let mut line = Vec::new();
        let length = input.take(LONGEST).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if length == 0 || line.is_empty() {
            let is_end = length == 0 && fields.is_empty();
            return Ok((!is_end).then(|| Value::Object(fields).to_string()));
        }
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (line.get(..at), line.get(at + 1..).unwrap_or_default().to_vec()),
            None => (Some(line), binary(input)?),
        };
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        if FIELDS.contains(&name.as_str()) {
            fields.insert(name, Value::String(String::from_utf8_lossy(&value).into_owned()));
        }
    }
}

/// Eight bytes of length, little endian, then so many bytes and a line end.
fn binary(input: &mut dyn BufRead) -> Result<Vec<u8>, Error> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut value = Vec::new();
    input.take(length.min(LONGEST)).read_to_end(&mut value)?;
    let rest = length.saturating_sub(LONGEST).saturating_add(1);
    std::io::copy(&mut input.take(rest), &mut std::io::sink())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_a_field_are_read() {
        let mut bytes = b"__CURSOR=c\nSYSLOG_IDENTIFIER=dockerd\nMESSAGE\n".to_vec();
        bytes.extend(3_u64.to_le_bytes());
        bytes.extend(b"a\nb\n\n__CURSOR=d\nMESSAGE=second\n");
        let mut input = bytes.as_slice();
        assert_eq!(
            entry(&mut input).unwrap().unwrap(),
            r#"{"MESSAGE":"a\nb","SYSLOG_IDENTIFIER":"dockerd"}"#
        );
        assert_eq!(entry(&mut input).unwrap().unwrap(), r#"{"MESSAGE":"second"}"#);
        assert_eq!(entry(&mut input).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut input = bytes.as_slice();
            while let Ok(Some(_)) = entry(&mut input) {}
        }
    }
}
