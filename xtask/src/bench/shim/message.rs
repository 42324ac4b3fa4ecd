//! Protocol buffers as far as the requests of the task services need them.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Only strings, bytes and small numbers are written; of
//! answers only numbers are read.

/// A message under construction.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Adds a string or bytes.
    pub(super) fn text(mut self, field: u8, value: impl AsRef<[u8]>) -> Self {
        self.0.push(field << 3 | 2);
        varint(&mut self.0, value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    /// Adds a number.
    pub(super) fn number(mut self, field: u8, value: u64) -> Self {
        self.0.push(field << 3);
        varint(&mut self.0, value);
        self
    }

    /// Adds a message.
    pub(super) fn message(self, field: u8, value: Self) -> Self {
        self.text(field, value.0)
    }

    /// Its encoding.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(low(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low(value));
}

fn low(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

/// A field of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A string, bytes, or a message.
    Bytes(&'a [u8]),
}

/// A field of an answer; the first one of its number.
pub(super) fn field(mut bytes: &[u8], wanted: u64) -> Option<Value<'_>> {
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(take_varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            _ => return None,
        };
        if key >> 3 == wanted {
            return Some(value);
        }
    }
    None
}

/// A number of an answer; 0 where it is not, as the encoding has it.
pub(super) fn number(bytes: &[u8], wanted: u64) -> u64 {
    match field(bytes, wanted) {
        Some(Value::Number(value)) => value,
        _ => 0,
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let inner = Message::default().text(1, "x").number(2, 300);
        let bytes = Message::default().text(1, "y".repeat(200)).message(7, inner).number(3, 9).bytes();
        let Some(Value::Bytes(inner)) = field(&bytes, 7) else { panic!("no field 7") };
        assert_eq!((number(inner, 2), number(&bytes, 3), number(&bytes, 5)), (300, 9, 0));
        assert_eq!(field(&bytes[..100], 7), None);
    }
}
