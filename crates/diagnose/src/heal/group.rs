//! Writing one value into a control group.

use std::path::Path;

use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::io::{read, write};

use super::Error;

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC`. Source: include/uapi/linux/magic.h.
const CONTROL_GROUPS: [u64; 2] = [0x0027_e0eb, 0x6367_7270];

/// Lets a frozen group run.
///
/// # Errors
/// When there is no such group, or it cannot be written.
pub(super) fn thaw(group: &Path) -> Result<String, Error> {
    let v1 = group.join("freezer.state");
    if v1.exists() { put(&v1, "THAWED") } else { put(&group.join("cgroup.freeze"), "0") }
}

/// Lets the kernel kill again when a v1 group is out of memory.
///
/// # Errors
/// When there is no such group, or it cannot be written.
pub(super) fn enable_oom_killer(group: &Path) -> Result<String, Error> {
    put(&group.join("memory.oom_control"), "0")
}

/// Writes `to` if the file holds `from` now.
///
/// # Errors
/// When it holds something else, or cannot be written.
pub(super) fn replace(file: &Path, from: &str, to: &str) -> Result<String, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = open(file, flags, Mode::empty()).map_err(Error::call(format!("open {}", file.display())))?;
    let mut buffer = [0; 64];
    let count = read(fd, &mut buffer).map_err(Error::call(format!("read {}", file.display())))?;
    let now = String::from_utf8_lossy(&buffer[..count]).trim().to_owned();
    if now != from {
        return Err(not_as_found(file, format!("it holds {now} now, not {from}")));
    }
    put(file, to)
}

fn put(file: &Path, value: &str) -> Result<String, Error> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = open(file, flags, Mode::empty()).map_err(Error::call(format!("open {}", file.display())))?;
    let kind = fstatfs(&fd).map_err(Error::call(format!("look at {}", file.display())))?.f_type;
    if !CONTROL_GROUPS.contains(&kind.cast_unsigned()) {
        return Err(not_as_found(file, String::from("it is no file of a control group")));
    }
    write(fd, value.as_bytes()).map_err(Error::call(format!("write {value} to {}", file.display())))?;
    Ok(format!("wrote {value} to {}", file.display()))
}

fn not_as_found(file: &Path, why: String) -> Error {
    Error::NotAsFound { file: file.display().to_string(), why }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_files_of_control_groups_are_written() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"20\n").unwrap();
        let refused = replace(file.path(), "20", "40").unwrap_err();
        assert!(refused.to_string().contains("no file of a control group"), "{refused}");
        let changed = replace(file.path(), "30", "40").unwrap_err();
        assert!(changed.to_string().contains("it holds 20 now"), "{changed}");
    }
}
