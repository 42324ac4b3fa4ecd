//! Where drained bytes are kept.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::Error;

/// A new file in `directory`, for root's eyes only; its name is made of the finding's id and a number.
///
/// # Errors
/// When directory or file cannot be made.
pub(super) fn file(directory: &Path, id: &str) -> Result<(File, PathBuf), Error> {
    let parents = directory.ancestors().filter(|path| !path.as_os_str().is_empty()).collect::<Vec<_>>();
    for parent in parents.into_iter().rev() {
        match mkdirat(rustix::fs::CWD, parent, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::call(format!("make {}", parent.display()))(errno)),
        }
    }
    let name: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let mut number = 0;
    loop {
        let path = directory.join(format!("{name}.{number}.pipe"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(rustix::fs::CWD, &path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => return Ok((File::from(fd), path)),
            Err(Errno::EXIST) if number < 10_000 => number += 1,
            Err(errno) => return Err(Error::call(format!("make {}", path.display()))(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn evidence_is_never_overwritten_and_stays_in_its_directory() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("a/b");
        let (_one, first) = file(&directory, "full_pipe/../../etc/1").unwrap();
        let (two, second) = file(&directory, "full_pipe/../../etc/1").unwrap();
        assert_ne!(first, second);
        assert_eq!(first.parent(), Some(directory.as_path()));
        assert_eq!(two.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
