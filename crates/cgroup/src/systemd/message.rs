//! One D-Bus message as bytes: a header of known form, then a body that the header's signature describes.
//!
//! The values in it are encoded and decoded by the library (docs/decisions/0010-dbus.md), the frame is made here.
//!
//! Source: the D-Bus specification, "Message Protocol".

use serde::de::DeserializeOwned;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{BE, Endian, LE, to_bytes};
use zbus::{Signature, Type, Variant};

#[cfg(test)]
pub(super) mod peer;

/// Bytes from which the length of a message is known.
pub(super) const PREFIX: usize = 16;

/// The longest message that is read: answers of systemd to us have a few hundred bytes.
const LONGEST: usize = 1 << 20;

/// The longest message that there can be. Source: the D-Bus specification, "Message Format".
const MOST: usize = 1 << 27;

/// Kinds of messages.
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// Fields of a header by their codes.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// Which method of whom is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
}

/// What a message is there for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer to the call with this serial.
    Return(u32),
    /// The refusal of the call with this serial, and its name.
    Refusal(u32, String),
    /// Something that happened somewhere.
    Signal(Signal),
    /// Nothing for us.
    Other,
}

/// What a signal tells of. Anybody on the bus can send one to us, whatever signals were asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signal {
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
}

/// How many bytes a message has, and what becomes of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is read.
    Read(usize),
    /// It is somebody else's, and longer than anything that we asked for.
    Skip(usize),
}

/// A message that came in.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The unique name of whoever sent it, as the bus says; none without a bus between.
    pub(super) sender: Option<String>,
    body: Data<'static, 'static>,
    has_body: bool,
}

/// The value of a field of the header.
enum Field<'a> {
    Value(Variant<'a>),
    /// Several types after another, which no value of the library is.
    Signature(&'a str),
}

impl Type for Field<'_> {
    const SIGNATURE: &'static Signature = Variant::SIGNATURE;
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Value(value) => return value.serialize(serializer),
            Self::Signature(text) => text,
        };
        let mut variant = serializer.serialize_struct("Variant", 2)?;
        variant.serialize_field("signature", &Signature::Signature)?;
        variant.serialize_field("value", text)?;
        variant.end()
    }
}

/// Everything before the body, and how it is laid out.
#[derive(Serialize, Type)]
struct Header<'a> {
    endian: u8,
    kind: u8,
    flags: u8,
    version: u8,
    body_length: u32,
    serial: u32,
    fields: Vec<(u8, Field<'a>)>,
}

/// The same, read.
#[derive(Deserialize, Type)]
struct Heard<'a> {
    _endian: u8,
    kind: u8,
    _flags: u8,
    _version: u8,
    _body_length: u32,
    _serial: u32,
    #[serde(borrow)]
    fields: Vec<(u8, Variant<'a>)>,
}

/// The bytes of a call. The body is a tuple of the arguments, or `()`.
pub(super) fn encode<B: Serialize + Type>(serial: u32, call: Call<'_>, body: &B) -> zbus::Result<Vec<u8>> {
    let signature = B::SIGNATURE.to_string();
    let arguments = signature.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(&signature);
    let body = if arguments.is_empty() { Vec::new() } else { to_bytes(Context::new(LE, 0), body)?.to_vec() };
    let text = |text| Field::Value(Variant::from(text));
    let path = zbus::ObjectPath::try_from(call.path)?;
    let mut fields = vec![
        (PATH, Field::Value(Variant::from(path))),
        (INTERFACE, text(call.interface)),
        (MEMBER, text(call.member)),
        (DESTINATION, text(call.destination)),
    ];
    if !arguments.is_empty() {
        fields.push((SIGNATURE, Field::Signature(arguments)));
    }
    let body_length = u32::try_from(body.len()).map_err(|_| zbus::Error::ExcessData)?;
    let header = Header { endian: b'l', kind: CALL, flags: 0, version: 1, body_length, serial, fields };
    let mut bytes = to_bytes(Context::new(LE, 0), &header)?.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    Ok(bytes)
}

/// The extent of the message that begins with these bytes.
pub(super) fn extent(prefix: &[u8; PREFIX]) -> Result<Extent, &'static str> {
    let (body, _) = lengths(prefix)?;
    let total = start_of_body(prefix)?.checked_add(body).filter(|total| *total <= MOST);
    match (total.ok_or("it is longer than a message can be")?, prefix[1]) {
        (total, _) if total <= LONGEST => Ok(Extent::Read(total)),
        (_, RETURN | ERROR) => Err("it is longer than any answer of systemd"),
        (total, _) => Ok(Extent::Skip(total)),
    }
}

fn start_of_body(prefix: &[u8; PREFIX]) -> Result<usize, &'static str> {
    let (_, fields) = lengths(prefix)?;
    let end = PREFIX.checked_add(fields).and_then(|end| end.checked_next_multiple_of(8));
    end.filter(|end| *end <= MOST).ok_or("its header is too long")
}

/// Lengths of the body and of the fields, in bytes.
fn lengths(prefix: &[u8; PREFIX]) -> Result<(usize, usize), &'static str> {
    let number = |at: usize| {
        let bytes = [prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]];
        let value = match prefix[0] {
            b'l' => u32::from_le_bytes(bytes),
            _ => u32::from_be_bytes(bytes),
        };
        usize::try_from(value).map_err(|_| "it is longer than a message can be")
    };
    endian(prefix[0])?;
    Ok((number(4)?, number(12)?))
}

fn endian(mark: u8) -> Result<Endian, &'static str> {
    match mark {
        b'l' => Ok(LE),
        b'B' => Ok(BE),
        _ => Err("it does not begin like a message of D-Bus"),
    }
}

impl Message {
    /// Reads a whole message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let prefix: &[u8; PREFIX] = bytes.first_chunk().ok_or("it is cut off")?;
        let context = Context::new(endian(prefix[0])?, 0);
        let start = start_of_body(prefix)?;
        let (head, body) = bytes.split_at_checked(start).ok_or("it is cut off")?;
        let head = Data::new(head, context);
        let (heard, _) = head.deserialize::<Heard<'_>>().map_err(|error| error.to_string())?;
        let kind = kind(&heard);
        let sender = text(&heard, SENDER);
        Ok(Self { kind, sender, body: Data::new(body.to_vec(), context), has_body: !body.is_empty() })
    }

    /// The arguments in it, as a tuple.
    pub(super) fn body<T: DeserializeOwned + Type>(&self) -> Result<T, String> {
        if !self.has_body {
            return Err("it has no body".to_owned());
        }
        self.body.deserialize::<T>().map(|(value, _)| value).map_err(|error| error.to_string())
    }
}

fn field<'a>(heard: &'a Heard<'a>, wanted: u8) -> Option<&'a Variant<'a>> {
    heard.fields.iter().find(|(code, _)| *code == wanted).map(|(_, value)| value)
}

fn text(heard: &Heard<'_>, code: u8) -> Option<String> {
    match field(heard, code)? {
        Variant::ObjectPath(path) => Some(path.to_string()),
        value => <&str>::try_from(value).ok().map(str::to_owned),
    }
}

fn kind(heard: &Heard<'_>) -> Kind {
    let serial = field(heard, REPLY_SERIAL).and_then(|value| u32::try_from(value).ok());
    match (heard.kind, serial) {
        (RETURN, Some(serial)) => Kind::Return(serial),
        (ERROR, Some(serial)) => Kind::Refusal(serial, text(heard, ERROR_NAME).unwrap_or_default()),
        (SIGNAL, _) => signal(heard).map_or(Kind::Other, Kind::Signal),
        _ => Kind::Other,
    }
}

fn signal(heard: &Heard<'_>) -> Option<Signal> {
    let (path, interface, member) = (text(heard, PATH)?, text(heard, INTERFACE)?, text(heard, MEMBER)?);
    Some(Signal { path, interface, member })
}

/// `JobRemoved` of `job`, done, as a bus would pass it on.
#[cfg(test)]
pub(super) fn signal_from(sender: &str, (path, interface, member): (&str, &str, &str), job: &str) -> Message {
    let [path, interface, member] = [path, interface, member].map(str::to_owned);
    let kind = Kind::Signal(Signal { path, interface, member });
    let context = Context::new(LE, 0);
    let job = zbus::ObjectPath::try_from(job).unwrap();
    let body = to_bytes(context, &(7_u32, job, "a.scope", "done")).unwrap().to_vec();
    Message { kind, sender: Some(sender.to_owned()), body: Data::new(body, context), has_body: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: Call<'_> = Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
    };

    /// A message of `kind` with these fields, as a bus would send it.
    fn message(kind: u8, fields: Vec<(u8, Field<'_>)>, body: &[u8]) -> Vec<u8> {
        let body_length = u32::try_from(body.len()).unwrap();
        let header = Header { endian: b'l', kind, flags: 1, version: 1, body_length, serial: 9, fields };
        let mut bytes = to_bytes(Context::new(LE, 0), &header).unwrap().to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_call_is_what_the_specification_says() {
        let bytes = encode(2, GET, &("a", "bc")).unwrap();
        assert_eq!(&bytes[..12], [b'l', 1, 0, 1, 15, 0, 0, 0, 2, 0, 0, 0]);
        let start = start_of_body(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(&bytes[start..], b"\x01\0\0\0a\0\0\0\x02\0\0\0bc\0");
        assert!(bytes.windows(8).any(|window| window == b"\x08\x01g\0\x02ss\0"), "{bytes:?}");
        assert_eq!(extent(bytes.first_chunk().unwrap()), Ok(Extent::Read(bytes.len())));
    }

    #[test]
    fn a_call_without_arguments_has_neither_signature_nor_body() {
        let bytes = encode(1, GET, &()).unwrap();
        assert_eq!(&bytes[4..8], [0; 4]);
        assert!(!bytes.windows(3).any(|window| window == b"\x08\x01g"));
        assert_eq!(extent(bytes.first_chunk().unwrap()), Ok(Extent::Read(bytes.len())));
    }

    #[test]
    fn answers_refusals_and_signals_are_told_apart() {
        let serial = || (REPLY_SERIAL, Field::Value(Variant::from(7_u32)));
        let name = (ERROR_NAME, Field::Value(Variant::from("a.b.C")));
        let body = b"\x02\0\0\0hi\0";
        let answer = Message::decode(&message(RETURN, vec![serial()], body)).unwrap();
        assert_eq!(answer.kind, Kind::Return(7));
        assert_eq!(answer.body::<(String,)>().unwrap().0, "hi");
        assert!(answer.body::<(u64, u64)>().is_err());
        let refusal = Message::decode(&message(ERROR, vec![serial(), name], b"")).unwrap();
        assert_eq!(refusal.kind, Kind::Refusal(7, "a.b.C".to_owned()));
        assert!(refusal.body::<(String,)>().is_err());
        assert_eq!(refusal.sender, None);
    }

    #[test]
    fn a_signal_says_who_sent_it_and_from_where() {
        let text = |code, text: &'static str| (code, Field::Value(Variant::from(text)));
        let path = zbus::ObjectPath::try_from("/a/b").unwrap();
        let fields = || {
            let path = Field::Value(Variant::from(path.clone()));
            vec![(PATH, path), text(INTERFACE, "a.B"), text(MEMBER, "C"), text(SENDER, ":1.7")]
        };
        let heard = Message::decode(&message(SIGNAL, fields(), b"")).unwrap();
        let [path, interface, member] = ["/a/b", "a.B", "C"].map(str::to_owned);
        assert_eq!(heard.kind, Kind::Signal(Signal { path, interface, member }));
        assert_eq!(heard.sender.as_deref(), Some(":1.7"));
        for missing in 0..3 {
            let mut fields = fields();
            fields.remove(missing);
            assert_eq!(Message::decode(&message(SIGNAL, fields, b"")).unwrap().kind, Kind::Other);
        }
    }

    #[test]
    fn only_somebody_elses_message_may_be_long() {
        let long = |kind, length: u32| {
            let mut bytes = message(kind, vec![], b"");
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            extent(bytes.first_chunk().unwrap())
        };
        assert_eq!(long(SIGNAL, 1 << 21), Ok(Extent::Skip(PREFIX + (1 << 21))));
        assert_eq!(long(CALL, 1 << 21), Ok(Extent::Skip(PREFIX + (1 << 21))));
        assert!(long(RETURN, 1 << 21).is_err());
        assert!(long(ERROR, 1 << 21).is_err());
        assert!(long(SIGNAL, 1 << 27).is_err());
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut bytes = message(RETURN, vec![], b"");
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(extent(bytes.first_chunk().unwrap()).is_err());
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(extent(bytes.first_chunk().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise: Vec<u8>, at in 0_usize..200, byte: u8) {
            let _ = Message::decode(&noise);
            let mut bytes = message(RETURN, vec![(REPLY_SERIAL, Field::Value(Variant::from(7_u32)))], b"\x02\0\0\0hi\0");
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Ok(message) = Message::decode(&bytes) {
                let _ = message.body::<(String,)>();
            }
            if let Some(prefix) = noise.first_chunk() {
                let _ = extent(prefix);
            }
        }
    }
}
