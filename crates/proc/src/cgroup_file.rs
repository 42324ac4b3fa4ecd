//! `/proc/PID/cgroup`.
//!
//! Source: cgroups(7).

use std::path::PathBuf;

/// Membership in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the hierarchy; 0 is cgroup v2.
    pub hierarchy_id: u32,
    /// Controllers, or `name=systemd` for a named hierarchy; empty for v2.
    pub controllers: Vec<String>,
    /// Path of the group, relative to the root of the reader's cgroup namespace, with a leading `/`.
    pub path: PathBuf,
}

impl Entry {
    /// Whether this is the entry of cgroup v2.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.hierarchy_id == 0 && self.controllers.is_empty()
    }
}

/// Reads all well-formed lines; others are left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let (id, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    // Kernel: the group of a zombie whose cgroup was removed carries this mark.
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    Some(Entry {
        hierarchy_id: id.parse().ok()?,
        controllers: controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        path: PathBuf::from(path),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn named_co_mounted_and_unified_entries() {
        let entries = parse("9:name=systemd:/a\n4:cpu,cpuacct:/b:c\n0::/d (deleted)\n");
        assert_eq!(entries[0].controllers, ["name=systemd"]);
        assert_eq!(entries[1].controllers, ["cpu", "cpuacct"]);
        assert_eq!(entries[1].path, Path::new("/b:c"));
        assert!(entries[2].is_unified());
        assert_eq!(entries[2].path, Path::new("/d"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
