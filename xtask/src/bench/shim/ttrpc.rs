//! A shim's socket: one call after the other on one connection, without a thread between the call and the clock.
//!
//! Source: containerd/ttrpc, PROTOCOL.md: a header of ten bytes (length, stream, type, flags; big-endian), then a message.

use std::io::{Error, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::bench::shim::containers::Container;
use crate::bench::shim::message::{self, Message, Value};
use crate::failure::Failure;

/// Type of a request.
const REQUEST: u8 = 1;

/// Length of the header in bytes.
const HEADER: usize = 10;

/// A connection to a shim.
pub(super) struct Shim {
    socket: PathBuf,
    stream: UnixStream,
    /// Of the next call; odd for those of a client.
    number: u32,
}

impl Shim {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) fn connect(socket: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File { operation: "connect to", path: socket.to_owned(), source };
        let stream = UnixStream::connect(socket).map_err(failed)?;
        Ok(Self { socket: socket.to_owned(), stream, number: 1 })
    }

    /// Runs the program that ends at once in a container: makes it known, starts it, waits, forgets it.
    ///
    /// # Errors
    /// When a call is refused, or the program does not end with 0.
    pub(super) fn exec(&mut self, container: &Container<'_>) -> Result<(), Failure> {
        let exec = container.next_exec();
        let of_exec = || Message::default().text(1, &container.id).text(2, &exec);
        self.call("Exec", of_exec().message(7, container.process()))?;
        self.call("Start", of_exec())?;
        let status = message::number(&self.call("Wait", of_exec())?, 1);
        self.call("Delete", of_exec())?;
        if status == 0 { Ok(()) } else { Err(self.refused("exec", format!("status {status}"))) }
    }

    /// The shim's own pid.
    ///
    /// # Errors
    /// When the call is refused, or the answer is none.
    pub(super) fn pid(&mut self, container: &str) -> Result<Pid, Failure> {
        let number = message::number(&self.call("Connect", Message::default().text(1, container))?, 1);
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| self.refused("Connect", format!("{number} is no pid")))
    }

    /// Calls a method of the task service; gives the answer's message.
    fn call(&mut self, method: &str, request: Message) -> Result<Vec<u8>, Failure> {
        let request = Message::default()
            .text(1, "containerd.task.v2.Task")
            .text(2, method)
            .text(3, request.bytes())
            .bytes();
        let answer = self.exchange(&request).map_err(|source| Failure::File {
            operation: "talk over",
            path: self.socket.clone(),
            source,
        })?;
        let bytes = |bytes, wanted| match message::field(bytes, wanted) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        };
        let status = bytes(&answer, 1);
        if message::number(status, 1) == 0 {
            return Ok(bytes(&answer, 2).to_vec());
        }
        Err(self.refused(method, String::from_utf8_lossy(bytes(status, 2)).into_owned()))
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let length = u32::try_from(request.len()).map_err(Error::other)?;
        let mut frame = Vec::with_capacity(HEADER + request.len());
        frame.extend(length.to_be_bytes());
        frame.extend(self.number.to_be_bytes());
        frame.extend([REQUEST, 0]);
        frame.extend(request);
        self.number += 2;
        self.stream.write_all(&frame)?;
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header)?;
        let [a, b, c, d, ..] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(Error::other)?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn refused(&self, method: &str, text: String) -> Failure {
        Failure::Ended { program: self.socket.display().to_string(), status: method.to_owned(), text }
    }
}
