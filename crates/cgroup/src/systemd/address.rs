//! Where a bus listens.
//!
//! Source: the D-Bus specification, "Server Addresses".

use rustix::net::SocketAddrUnix;

use super::Error;

/// A list of places separated by `;`, of which the first that is a Unix socket is taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// Takes an address as environment variables hold it; it is looked into when it is used.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The bus of the whole machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new("unix:path=/run/dbus/system_bus_socket")
    }

    /// Where the machine's systemd itself listens, to root alone, also where no bus is up.
    #[must_use]
    pub(super) fn private() -> Self {
        Self::new("unix:path=/run/systemd/private")
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The socket to connect to.
    pub(super) fn socket(&self) -> Result<SocketAddrUnix, Error> {
        let place = |entry: &str| {
            let pairs = entry.strip_prefix("unix:")?.split(',').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find_map(|(key, value)| {
                let bytes = unescape(value)?;
                match key {
                    "path" => SocketAddrUnix::new(bytes).ok(),
                    "abstract" => SocketAddrUnix::new_abstract_name(&bytes).ok(),
                    _ => None,
                }
            })
        };
        self.0.split(';').find_map(place).ok_or_else(|| Error::Address { address: self.0.clone() })
    }
}

/// `%20` and the like; `None` for half of one.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Option<String> {
        let socket = Address::new(text).socket().ok()?;
        let abstract_name = socket.abstract_name().map(|name| format!("@{}", String::from_utf8_lossy(name)));
        socket.path().map(|path| path.to_string_lossy().into_owned()).or(abstract_name)
    }

    #[test]
    fn the_first_unix_socket_is_taken() {
        let table = [
            ("unix:path=/run/user/1000/bus", Some("/run/user/1000/bus")),
            ("unix:path=/tmp/a%20b,guid=00", Some("/tmp/a b")),
            ("unix:guid=00,abstract=/tmp/dbus-x", Some("@/tmp/dbus-x")),
            ("tcp:host=h,port=1;unix:path=/x", Some("/x")),
            ("unix:runtime=yes", None),
            ("unix:path=/a%2", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(path(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(unix:|path=|%|[a-f0-9]|[,;=]|\\PC){0,20}") {
            let _ = path(&text);
        }
    }
}
