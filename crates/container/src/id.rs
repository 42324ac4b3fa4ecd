//! The name of a container.

use crate::Error;
use std::fmt;

/// A checked container id: `[A-Za-z0-9_+.-]+`, neither `.` nor `..`, so it is always one path component.
///
/// Compat: runc, `libcontainer/factory_linux.go`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

/// Longest id, in bytes: a name in a directory, with room for the prefixes of temporary names.
const LONGEST: usize = 200;

impl ContainerId {
    /// Checks an id.
    ///
    /// # Errors
    /// [`Error::InvalidId`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte);
        let valid = !text.is_empty()
            && text.len() <= LONGEST
            && text != "."
            && text != ".."
            && text.bytes().all(allowed);
        if valid { Ok(ContainerId(text.to_owned())) } else { Err(Error::InvalidId { id: text.to_owned() }) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_path_component() {
        for good in ["a", "A-1_2+3.4", "..a", "a..", &"x".repeat(200)] {
            assert!(ContainerId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "/", "a b", "a\n", "ä", "a\0", &"x".repeat(201)] {
            assert!(ContainerId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
