//! From `linux.cgroupsPath` to the unit's name, and to the directories of its group.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Address, Error};
use crate::{Hierarchy, Layout, Paths};

/// Longest name of a unit, in bytes. Source: systemd, `UNIT_NAME_MAX`.
const LONGEST: usize = 255;

/// The form that is asked for in every refusal.
const FORM: &str = "with --systemd-cgroup it must be SLICE:PREFIX:NAME, such as system.slice:sluice:web";

/// Whose systemd makes the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// That of the machine.
    System,
    /// The caller's own (`systemctl --user`).
    User,
}

impl Owner {
    fn default_slice(self) -> &'static str {
        match self {
            Self::System => "system.slice",
            Self::User => "user.slice",
        }
    }
}

/// A container's unit. This is what a state file keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `sluice-web.scope`, or a slice.
    pub name: String,
    /// The slice that it is in.
    pub slice: String,
    /// Whose systemd has it.
    pub owner: Owner,
    /// Where that systemd is reached.
    pub bus: Address,
}

impl Unit {
    /// Reads `SLICE:PREFIX:NAME`; none stands for the default slice, our prefix and the container's id.
    ///
    /// Compat: runc: the unit is `PREFIX-NAME.scope`, or `NAME` where that is a slice; an empty slice is
    /// `system.slice`, or `user.slice` with a user's own systemd.
    ///
    /// # Errors
    /// [`Error::Path`] for another form, a slice that is none, or a name that systemd does not take.
    pub fn parse(cgroups_path: Option<&str>, id: &str, owner: Owner, bus: Address) -> Result<Self, Error> {
        let default = format!(":sluice:{id}");
        let given = cgroups_path.filter(|path| !path.is_empty()).unwrap_or(&default);
        let refuse = |expected: String| Error::Path { path: given.to_owned(), expected };
        let parts: Vec<&str> = given.split(':').collect();
        let [slice, prefix, name] = parts[..] else { return Err(refuse(FORM.to_owned())) };
        if name.is_empty() {
            return Err(refuse(format!("the name is empty; {FORM}")));
        }
        let slice = if slice.is_empty() { owner.default_slice() } else { slice };
        check_slice(slice).map_err(refuse)?;
        let name = if name.ends_with(".slice") {
            check_slice(name).map_err(refuse)?;
            name.to_owned()
        } else {
            format!("{prefix}-{name}.scope")
        };
        check_name(&name).map_err(refuse)?;
        Ok(Self { name, slice: slice.to_owned(), owner, bus })
    }

    /// Whether it is a slice: systemd makes its group, but puts no process into it.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// Its group below that of the systemd that has it.
    pub(super) fn directory(&self) -> PathBuf {
        if self.is_slice() { expand(&self.name) } else { expand(&self.slice).join(&self.name) }
    }

    /// The directories of its group, below the group of the systemd that has it (`/` for the machine's own).
    #[must_use]
    pub fn paths(&self, layout: &Layout, manager: &Path) -> Paths {
        let inner = self.directory();
        let place = |hierarchy: &Hierarchy| hierarchy.mount_point.join(hierarchy.below(manager)).join(&inner);
        let v1 = layout.v1().iter().map(|hierarchy| (hierarchy.key(), place(hierarchy))).collect();
        Paths { unified: layout.unified().map(place), v1 }
    }
}

/// Source: systemd.slice(5): the name is the path, with dashes between the levels.
fn check_slice(slice: &str) -> Result<(), String> {
    let Some(levels) = slice.strip_suffix(".slice") else {
        return Err(format!("the slice {slice:?} must end in .slice; {FORM}"));
    };
    check_name(slice)?;
    if levels != "-" && levels.split('-').any(str::is_empty) {
        return Err(format!(
            "the slice {slice:?} must have one dash between two levels, none at its ends, such as a-b.slice"
        ));
    }
    Ok(())
}

/// Source: systemd.unit(5), "Description"; systemd, `VALID_CHARS` in src/basic/unit-name.c.
fn check_name(name: &str) -> Result<(), String> {
    if name.len() > LONGEST {
        return Err(format!(
            "the unit's name would have {} bytes, but systemd takes at most {LONGEST}",
            name.len()
        ));
    }
    let is_valid = |letter: &char| letter.is_ascii_alphanumeric() || "-_.\\@".contains(*letter);
    match name.chars().find(|letter| !is_valid(letter)) {
        Some(letter) => Err(format!(
            "the unit's name {name:?} would have a {letter:?}, but systemd takes letters, digits and - _ . @ \\ only"
        )),
        None => Ok(()),
    }
}

/// `a-b.slice` is the directory `a.slice/a-b.slice`; `-.slice` is the top.
fn expand(slice: &str) -> PathBuf {
    let levels = slice.strip_suffix(".slice").unwrap_or(slice);
    if levels == "-" {
        return PathBuf::new();
    }
    let ends = levels.match_indices('-').map(|(at, _)| at).chain([levels.len()]);
    ends.map(|end| format!("{}.slice", &levels[..end])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(path: Option<&str>, owner: Owner) -> Result<Unit, Error> {
        Unit::parse(path, "id", owner, Address::system())
    }

    #[test]
    fn slice_prefix_and_name_make_a_unit() {
        let table = [
            (
                Some("machine.slice:libpod:abc"),
                "machine.slice",
                "libpod-abc.scope",
                "machine.slice/libpod-abc.scope",
            ),
            (Some(":docker:abc"), "system.slice", "docker-abc.scope", "system.slice/docker-abc.scope"),
            (Some("-.slice:x:y"), "-.slice", "x-y.scope", "x-y.scope"),
            (Some("a-b-c.slice:x:y"), "a-b-c.slice", "x-y.scope", "a.slice/a-b.slice/a-b-c.slice/x-y.scope"),
            (Some("a.slice:x:a-pod.slice"), "a.slice", "a-pod.slice", "a.slice/a-pod.slice"),
            (None, "system.slice", "sluice-id.scope", "system.slice/sluice-id.scope"),
            (Some(""), "system.slice", "sluice-id.scope", "system.slice/sluice-id.scope"),
        ];
        for (given, slice, name, directory) in table {
            let unit = unit(given, Owner::System).unwrap();
            assert_eq!((unit.slice.as_str(), unit.name.as_str()), (slice, name), "{given:?}");
            assert_eq!(unit.directory(), Path::new(directory), "{given:?}");
        }
        assert_eq!(unit(None, Owner::User).unwrap().slice, "user.slice");
    }

    #[test]
    fn what_is_no_unit_is_told_what_would_be_one() {
        let long = format!("a.slice:x:{}", "n".repeat(248));
        let table = [
            ("/a/b", "must be SLICE:PREFIX:NAME"),
            ("a.slice:b", "must be SLICE:PREFIX:NAME"),
            ("a.slice:b:c:d", "must be SLICE:PREFIX:NAME"),
            ("a.slice:b:", "the name is empty"),
            ("a:b:c", "must end in .slice"),
            (".slice:b:c", "one dash between two levels"),
            ("a--b.slice:c:d", "one dash between two levels"),
            ("-a.slice:c:d", "one dash between two levels"),
            ("a/b.slice:c:d", "would have a '/'"),
            ("a.slice:b:c+d", "would have a '+'"),
            ("a.slice:b:c d", "would have a ' '"),
            ("a.slice:b:ü", "would have a 'ü'"),
            (&long, "would have 256 bytes"),
        ];
        for (given, expected) in table {
            let error = unit(Some(given), Owner::System).unwrap_err().to_string();
            assert!(
                error.starts_with("linux/cgroupsPath \"") && error.contains(expected),
                "{given}: {error}"
            );
        }
        assert!(unit(Some(&long.replacen("nn", "n", 1)), Owner::System).is_ok());
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_the_hierarchy(given in "[a.:/-]{0,12}(.slice)?:[a./]{0,4}:[a./-]{0,8}") {
            if let Ok(unit) = unit(Some(&given), Owner::System) {
                let inner = unit.directory();
                let is_name = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
                prop_assert!(inner.components().all(is_name), "{inner:?}");
            }
        }
    }
}
