//! containerd's socket: one call after the other on one connection, as an engine's worker makes them.
//!
//! Of HTTP/2 only what such a caller needs: no header of an answer is read, since an answer with a message is a success.
//! Source: RFC 9113 (frames), RFC 7541 (headers, here all without compression), grpc/doc/PROTOCOL-HTTP2.md.

use std::io::{Error, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::bench::shim::containers::Container;
use crate::bench::shim::message::{self, Message};
use crate::bench::shim::node::NAMESPACE;
use crate::failure::Failure;

/// What a client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Services of containerd.
const TASKS: &str = "containerd.services.tasks.v1.Tasks";
const CONTAINERS: &str = "containerd.services.containers.v1.Containers";

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Flags of frames: the answer to a setting or a ping, the last frame of a stream, the last one of the headers.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How many bytes the other side may send on the connection before it is told of more: more than is ever sent.
const WINDOW: u32 = 0x7000_0000;

/// A connection to containerd.
pub(super) struct Containerd {
    socket: PathBuf,
    stream: UnixStream,
    /// Of the next call; odd for those of a client.
    number: u32,
}

/// A frame that came.
struct Frame {
    kind: u8,
    flags: u8,
    number: u32,
    payload: Vec<u8>,
}

impl Containerd {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) fn connect(socket: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File { operation: "connect to", path: socket.to_owned(), source };
        let stream = UnixStream::connect(socket).map_err(failed)?;
        let mut containerd = Self { socket: socket.to_owned(), stream, number: 1 };
        containerd.greet().map_err(failed)?;
        Ok(containerd)
    }

    fn greet(&mut self) -> Result<(), Error> {
        self.stream.write_all(PREFACE)?;
        self.send(SETTINGS, 0, 0, &[])?;
        self.send(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes())
    }

    /// Runs the program that ends at once in a container, as containerd's clients do.
    ///
    /// # Errors
    /// When a call is refused, or the program does not end with 0.
    pub(super) fn exec(&mut self, container: &Container<'_>) -> Result<(), Failure> {
        let exec = container.next_exec();
        let of_exec = || Message::default().text(1, &container.id).text(2, &exec);
        let added = Message::default().text(1, &container.id).message(6, container.process());
        self.call("Exec", added.text(7, &exec))?;
        self.call("Start", of_exec())?;
        let status = message::number(&self.call("Wait", of_exec())?, 1);
        self.call("DeleteProcess", of_exec())?;
        if status == 0 { Ok(()) } else { Err(self.refused("exec", format!("status {status}"))) }
    }

    /// Kills a container and deletes all of it.
    ///
    /// # Errors
    /// When a call is refused.
    pub(super) fn remove(&mut self, container: &str) -> Result<(), Failure> {
        let of = || Message::default().text(1, container);
        self.call("Kill", of().number(3, 9))?;
        self.call("Wait", of())?;
        self.call("Delete", of())?;
        self.call_of(CONTAINERS, "Delete", of()).map(drop)
    }

    fn call(&mut self, method: &str, request: Message) -> Result<Vec<u8>, Failure> {
        self.call_of(TASKS, method, request)
    }

    /// Calls a method of a service; gives the answer's message.
    fn call_of(&mut self, service: &str, method: &str, request: Message) -> Result<Vec<u8>, Failure> {
        let path = format!("/{service}/{method}");
        let answer = self.exchange(&path, &request.bytes()).map_err(|source| Failure::File {
            operation: "talk over",
            path: self.socket.clone(),
            source,
        })?;
        // An answer begins with a byte for compression and the message's length.
        match answer.get(5..) {
            Some(message) => Ok(message.to_vec()),
            None => {
                Err(self.refused(method, "no message came; the log of containerd may say why".to_owned()))
            }
        }
    }

    fn exchange(&mut self, path: &str, request: &[u8]) -> Result<Vec<u8>, Error> {
        let number = self.number;
        self.number += 2;
        self.send(HEADERS, END_HEADERS, number, &headers(path))?;
        let mut body = vec![0];
        body.extend(u32::try_from(request.len()).map_err(Error::other)?.to_be_bytes());
        body.extend(request);
        self.send(DATA, END_STREAM, number, &body)?;
        let mut answer = Vec::new();
        loop {
            let frame = self.receive()?;
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => self.acknowledge(&frame)?,
                DATA if frame.number == number => answer.extend(frame.payload),
                HEADERS if frame.number == number && frame.flags & END_STREAM != 0 => return Ok(answer),
                RST_STREAM if frame.number == number => return Ok(Vec::new()),
                GOAWAY => return Err(Error::other("the connection was ended")),
                _ => {}
            }
        }
    }

    fn acknowledge(&mut self, frame: &Frame) -> Result<(), Error> {
        let payload: &[u8] = if frame.kind == PING { &frame.payload } else { &[] };
        self.send(frame.kind, ACK, 0, payload)
    }

    fn send(&mut self, kind: u8, flags: u8, number: u32, payload: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(payload.len()).map_err(Error::other)?;
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(number.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    fn receive(&mut self) -> Result<Frame, Error> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header)?;
        let [a, b, c, kind, flags, number @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).map_err(Error::other)?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, number: u32::from_be_bytes(number), payload })
    }

    fn refused(&self, method: &str, text: String) -> Failure {
        Failure::Ended { program: self.socket.display().to_string(), status: method.to_owned(), text }
    }
}

/// `POST` and `http` are entries 3 and 6 of the static table; `:authority` and `:path` are the names 1 and 4 of it.
fn headers(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x01];
    literal(&mut block, "localhost");
    block.push(0x04);
    literal(&mut block, path);
    for (name, value) in
        [("content-type", "application/grpc"), ("te", "trailers"), ("containerd-namespace", NAMESPACE)]
    {
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    block
}

/// A string without compression; shorter than 127 bytes.
fn literal(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).unwrap_or(0));
    block.extend(text.as_bytes());
}
