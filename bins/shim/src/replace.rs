//! A file that its readers always see whole: written under another name, then renamed.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// Puts `bytes` into the place of `directory`/`name`, or leaves what was there.
///
/// # Errors
/// What the kernel said to the step that was refused; `ENOSPC` also for a write that was cut.
pub fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Errno> {
    let new = directory.join(format!("{name}.new"));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, &new, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o600))?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))? {
            0 => return Err(Errno::NOSPC),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    rustix::fs::rename(&new, directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_text_takes_the_place_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        replace(folder.path(), "x", b"a longer text").unwrap();
        replace(folder.path(), "x", b"short").unwrap();
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"short");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn without_a_directory_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(replace(&folder.path().join("gone"), "x", b""), Err(Errno::NOENT));
    }
}
