//! The file that tells a caller which process it got.

use crate::Error;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::io::Write as _;
use std::path::Path;

/// Writes `pid` in decimal without a newline; the file appears whole, by rename.
///
/// Compat: containerd's go-runc parses the raw content with `strconv.Atoi`.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write(path: &Path, pid: i32) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}"));
    let written = write_temporary(&temporary, pid).and_then(|()| rustix::fs::rename(&temporary, path));
    written.map_err(|source| {
        let _ = rustix::fs::unlinkat(CWD, &temporary, AtFlags::empty());
        Error::File { step: "write the pid file", path: path.to_owned(), source }
    })
}

fn write_temporary(path: &Path, pid: i32) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o666))?;
    let mut file = std::fs::File::from(file);
    write!(file, "{pid}")
        .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
}
