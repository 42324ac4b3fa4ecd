//! A systemd for tests: it says what a test has it say, at a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use super::*;
use crate::systemd::Address;

/// An answer.
pub(in crate::systemd) enum Say {
    /// Done, and no more to say.
    Done,
    /// An object.
    Path(&'static str),
    /// A property that is a text.
    Text(&'static str),
    /// No, under this name.
    No(&'static str),
    /// The connection is closed without an answer.
    Close,
}

/// Listens until the test ends.
pub(in crate::systemd) struct Peer {
    directory: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Asks `answer` what to say to a call: `GetUnit`, or `Get ActiveState` for a property.
    pub(in crate::systemd) fn new(answer: impl Fn(&str) -> Say + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("bus")).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let peer = Self { directory, heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // The one who calls may hang up at any time.
                let _ended = serve(stream.unwrap(), &answer, &heard);
            }
        });
        peer
    }

    /// Where it listens.
    pub(in crate::systemd) fn address(&self) -> Address {
        Address::new(format!("unix:path={}", self.directory.path().join("bus").display()))
    }

    /// What it was called for, and the bytes of the arguments as far as they are text.
    pub(in crate::systemd) fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

fn serve(
    mut stream: UnixStream,
    answer: &impl Fn(&str) -> Say,
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while line != "BEGIN\r\n" {
        line.clear();
        from.read_line(&mut line)?;
    }
    // As systemd, which says so only now and would not look at what came along.
    assert!(from.buffer().is_empty(), "a call came with the login");
    stream.write_all(b"OK 0\r\n")?;
    loop {
        let mut bytes = vec![0; PREFIX];
        from.read_exact(&mut bytes)?;
        let Ok(Extent::Read(length)) = extent(bytes.first_chunk().unwrap()) else { return Ok(()) };
        bytes.resize(length, 0);
        from.read_exact(&mut bytes[PREFIX..])?;
        let (serial, member, arguments) = call(&bytes);
        heard.lock().unwrap().push(format!("{member} {arguments}"));
        match reply(serial, answer(&member)) {
            Some(bytes) => stream.write_all(&bytes)?,
            None => return Ok(()),
        }
    }
}

/// Serial, member with the name of a property, and arguments of a call.
fn call(bytes: &[u8]) -> (u32, String, String) {
    let start = start_of_body(bytes.first_chunk().unwrap()).unwrap();
    let (head, body) = bytes.split_at(start);
    let head = Data::new(head, Context::new(LE, 0));
    let (heard, _) = head.deserialize::<Heard<'_>>().unwrap();
    let member = text(&heard, MEMBER).unwrap();
    let arguments = String::from_utf8_lossy(body).into_owned();
    if member != "Get" {
        return (heard._serial, member, arguments);
    }
    let body = Data::new(body.to_vec(), Context::new(LE, 0));
    let ((_, name), _) = body.deserialize::<(String, String)>().unwrap();
    (heard._serial, format!("Get {name}"), arguments)
}

/// The bytes of an answer; none to hang up.
fn reply(serial: u32, say: Say) -> Option<Vec<u8>> {
    let context = Context::new(LE, 0);
    let mut fields = vec![(REPLY_SERIAL, Field::Value(Variant::from(serial)))];
    let mut kind = RETURN;
    let body = match say {
        Say::Close => return None,
        Say::Done => Vec::new(),
        Say::No(name) => {
            kind = ERROR;
            fields.push((ERROR_NAME, Field::Value(Variant::from(name))));
            Vec::new()
        }
        Say::Path(path) => {
            fields.push((SIGNATURE, Field::Signature("o")));
            to_bytes(context, &zbus::ObjectPath::try_from(path).unwrap()).unwrap().to_vec()
        }
        Say::Text(text) => {
            fields.push((SIGNATURE, Field::Signature("v")));
            to_bytes(context, &Variant::from(text)).unwrap().to_vec()
        }
    };
    let body_length = u32::try_from(body.len()).unwrap();
    let header = Header { endian: b'l', kind, flags: 1, version: 1, body_length, serial: 1, fields };
    let mut bytes = to_bytes(context, &header).unwrap().to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    Some(bytes)
}
