//! dockerd's HTTP interface, spoken without the client: a busy node's callers are daemons, and `docker` costs more
//! processor time than the exec that it asks for.

use std::io::{Error, Read as _, Result, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::hang::GUARD;

/// The socket of one dockerd. It outlives restarts of the daemon.
#[derive(Debug, Clone)]
pub struct DockerApi {
    socket: PathBuf,
}

/// What the daemon answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status, such as 204.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Itself, if the status is below 400.
    ///
    /// # Errors
    /// With status and body when the daemon refused.
    pub fn accepted(self) -> Result<Self> {
        if self.status < 400 {
            return Ok(self);
        }
        Err(Error::other(format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body))))
    }
}

impl DockerApi {
    /// Of the dockerd that listens, or will listen, on `socket`.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// One request; the answer is read to the end of the connection.
    ///
    /// # Errors
    /// When nobody listens, or the daemon hangs up before it has answered.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(*GUARD))?;
        // HTTP 1.0: no chunks, and the daemon closes the connection at the end.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&bytes).ok_or_else(|| Error::other(format!("{method} {path}: no answer")))
    }

    /// Creates and starts a container; returns its full id.
    ///
    /// # Errors
    /// As [`DockerApi::ask`], and when the daemon refuses.
    pub fn run(&self, settings: &Value) -> Result<String> {
        let created = self.ask("POST", "/containers/create", settings)?.accepted()?.json();
        let id = created["Id"].as_str().unwrap_or_default().to_owned();
        self.ask("POST", &format!("/containers/{id}/start"), &Value::Null)?.accepted()?;
        Ok(id)
    }

    /// Runs a program in a container to its end; returns its exit code, none while the daemon does not know it.
    ///
    /// # Errors
    /// As [`DockerApi::run`].
    pub fn exec(&self, id: &str, arguments: &[&str]) -> Result<Option<i64>> {
        let settings = json!({"Cmd": arguments, "AttachStdout": true, "AttachStderr": true});
        let made = self.ask("POST", &format!("/containers/{id}/exec"), &settings)?.accepted()?.json();
        let exec = made["Id"].as_str().unwrap_or_default().to_owned();
        self.ask("POST", &format!("/exec/{exec}/start"), &json!({"Detach": false}))?.accepted()?;
        let ended = self.ask("GET", &format!("/exec/{exec}/json"), &Value::Null)?.accepted()?.json();
        Ok(ended["ExitCode"].as_i64())
    }

    /// Removes a container, whatever it does.
    ///
    /// # Errors
    /// As [`DockerApi::run`].
    pub fn remove(&self, id: &str) -> Result<()> {
        self.ask("DELETE", &format!("/containers/{id}?force=1"), &Value::Null)?.accepted().map(drop)
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: bytes[end + 4..].to_vec() })
}
