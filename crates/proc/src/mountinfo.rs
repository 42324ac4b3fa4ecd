//! `/proc/PID/mountinfo`.
//!
//! Source: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount, in the order of the fields of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Unique id of the mount while it lives.
    pub id: u64,
    /// Id of the mount it is mounted on.
    pub parent: u64,
    /// Major device number of the file system.
    pub major: u32,
    /// Minor device number of the file system.
    pub minor: u32,
    /// Directory of the file system that forms the root of this mount.
    pub root: PathBuf,
    /// Where it is mounted, as seen from the reading process's root.
    pub mount_point: PathBuf,
    /// Per-mount options (`ro`, `nosuid`, ...).
    pub options: Vec<String>,
    /// Optional fields (`shared:1`, `master:2`, ...).
    pub optional: Vec<String>,
    /// File system type, with subtype (`fuse.x`).
    pub fs_type: String,
    /// File-system specific source, or `none`.
    pub source: String,
    /// Options of the superblock; for cgroup v1 the controllers stand here.
    pub super_options: Vec<String>,
}

/// Reads all well-formed lines; a line that is not in the documented form is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

/// As [`parse`], of the file systems of these types alone: a node has a dozen mounts for each of its containers.
#[must_use]
pub fn parse_types(text: &str, types: &[&str]) -> Vec<Mount> {
    // No field before the lone dash has a space in it, and none is such a dash.
    let kind =
        |line: &str| line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next().map(self::text));
    let is_wanted = |line: &&str| kind(line).is_some_and(|kind| types.contains(&kind.as_str()));
    text.lines().filter(is_wanted).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let options = list(fields.next()?);
    let optional = fields.by_ref().take_while(|field| *field != "-").map(str::to_owned).collect();
    Some(Mount {
        id,
        parent,
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        root,
        mount_point,
        options,
        optional,
        fs_type: text(fields.next()?),
        source: text(fields.next()?),
        super_options: list(fields.next().unwrap_or("")),
    })
}

fn list(field: &str) -> Vec<String> {
    field.split(',').filter(|option| !option.is_empty()).map(text).collect()
}

fn path(field: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

fn text(field: &str) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Undoes the kernel's `\040` form for space, tab, newline, backslash and `#`.
fn unescape(field: &str) -> Vec<u8> {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match bytes.get(at + 1..at + 4).filter(|_| byte == b'\\').and_then(octal) {
            Some(value) => {
                plain.push(value);
                at += 4;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mounts_of_a_type_are_found_among_others() {
        let text = "1 0 0:1 / /a\\040-\\040b rw - tmpfs cgroup rw\n2 0 0:2 / /c rw shared:1 - cgroup none rw,pids\n\
                    3 0 0:3 / /- rw - cgroup2 - rw\n4 0 0:4 / /d rw - cgroupx c rw\n";
        let found = parse_types(text, &["cgroup", "cgroup2"]);
        assert_eq!(found.iter().map(|mount| mount.id).collect::<Vec<_>>(), [2, 3]);
        assert!(found.iter().all(|mount| parse(text).contains(mount)));
    }

    #[test]
    fn every_field_of_a_line_is_read() {
        let text =
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 1);
        let mount = &mounts[0];
        assert_eq!((mount.id, mount.parent, mount.major, mount.minor), (36, 35, 98, 0));
        assert_eq!(mount.root, Path::new("/mnt1"));
        assert_eq!(mount.mount_point, Path::new("/mnt 2"));
        assert_eq!(mount.options, ["rw", "noatime"]);
        assert_eq!(mount.optional, ["shared:1", "master:2"]);
        assert_eq!((mount.fs_type.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
        assert_eq!(mount.super_options, ["rw", "errors=continue"]);
    }

    #[test]
    fn a_cgroup_v1_line_has_its_controllers_in_the_super_options() {
        let text = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd";
        assert_eq!(parse(text)[0].super_options, ["rw", "name=systemd"]);
    }

    #[test]
    fn an_octal_above_one_byte_stays_as_it_is() {
        assert_eq!(unescape("a\\777\\04"), b"a\\777\\04");
    }

    #[test]
    fn a_broken_line_does_not_hide_the_others() {
        let text = "garbage\n1 0 0:1 / / rw - tmpfs none rw\n2 1 x:1 / / rw - tmpfs none rw\n";
        assert_eq!(parse(text).len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_almost_good_line_makes_it_panic(text in "([0-9]{1,30}|[a-z/:,\\\\0-7-]{0,9}| |\n){0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_escaped_path_reads_back(path in proptest::collection::vec(1_u8..=255, 1..40)) {
            let escaped: String = path.iter().map(|byte| format!("\\{byte:03o}")).collect();
            prop_assert_eq!(unescape(&escaped), path);
        }
    }
}
