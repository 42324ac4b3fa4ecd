//! The owners of layers, as a container's user namespace is to see them.
//!
//! Compat: containerd from 2.0 on leaves this to the caller of its overlay snapshotter: `uidmap=CONTAINER:HOST:SIZE`, several
//! of them separated by commas, and `gidmap=` likewise (core/mount/mount_idmapped_linux.go). Of one that is given twice the
//! last counts.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use container::config::IdMapping;
use container::id_map::{Depths, mapped_copy, user_namespace};
use proc::Procfs;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use sys::mount_setattr::Depth;

use super::{Error, undo};

/// Both mappings, and the options that they were read from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owners {
    text: String,
    users: Vec<IdMapping>,
    groups: Vec<IdMapping>,
}

/// Whether this option is about owners; no file system knows it.
pub(super) fn is_mapping(option: &str) -> bool {
    option.starts_with("uidmap=") || option.starts_with("gidmap=")
}

impl Owners {
    /// What the options ask for; none for options that leave the owners as they are.
    pub(super) fn asked(options: &[String]) -> Result<Option<Self>, Error> {
        let given = |key: &str| options.iter().rev().find(|option| option.starts_with(key));
        match (given("uidmap="), given("gidmap=")) {
            (None, None) => Ok(None),
            (Some(users), Some(groups)) => Ok(Some(Self {
                text: format!("{users} {groups}"),
                users: ranges(users)?,
                groups: ranges(groups)?,
            })),
            (Some(alone), None) => Err(refused(alone, "needs a gidmap= beside it")),
            (None, Some(alone)) => Err(refused(alone, "needs a uidmap= beside it")),
        }
    }

    /// A user namespace that has these mappings and no process.
    pub(super) fn namespace(&self, proc: &Procfs) -> Result<OwnedFd, Error> {
        let made = user_namespace(proc, &self.users, &self.groups);
        made.map_err(|source| Error::Namespace { options: self.text.clone(), source: Box::new(source) })
    }
}

fn refused(option: &str, why: &'static str) -> Error {
    Error::Mapping { option: option.to_owned(), why }
}

/// Source: user_namespaces(7): a range has at least one id. What overlaps the kernel refuses.
fn ranges(option: &str) -> Result<Vec<IdMapping>, Error> {
    let list = option.split_once('=').map_or("", |(_, list)| list);
    let range = |text: &str| {
        let mut numbers = text.split(':').map(|number| number.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        let range = IdMapping { container_id: next()?, host_id: next()?, size: next()? };
        (range.size > 0 && numbers.next().is_none()).then_some(range)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    ranges.ok_or_else(|| {
        refused(option, "has to be CONTAINER:HOST:SIZE in numbers, several separated by commas")
    })
}

/// A detached copy of a layer that shows its owners mapped.
pub(super) fn layer(path: &Path, namespace: &OwnedFd) -> Result<OwnedFd, Error> {
    copy(path, namespace, Depth::One).map_err(|source| Error::Map { path: path.to_owned(), source })
}

/// Puts in the place of what was just mounted on `target` a copy that shows its owners mapped; nothing, when it cannot.
/// `shown` is what the error names.
///
/// Kernel: only a mount that nobody can reach yet can be mapped.
pub(super) fn map_mounted(target: &Path, shown: &Path, namespace: &OwnedFd) -> Result<(), Error> {
    let mapped = copy(target, namespace, Depth::Tree);
    undo(target);
    let mapped = mapped.map_err(|source| Error::Map { path: shown.to_owned(), source })?;
    attach(&mapped, target)
}

fn copy(path: &Path, namespace: &OwnedFd, depth: Depth) -> Result<OwnedFd, Errno> {
    mapped_copy(path, namespace.as_fd(), Depths { copied: depth, mapped: depth })
}

/// Makes a detached mount appear on `target`.
pub(super) fn attach(mount: &OwnedFd, target: &Path) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    rustix::mount::move_mount(mount.as_fd(), c"", CWD, target, flags)
        .map_err(|source| Error::Attach { target: target.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(options: &[&str]) -> Result<Option<Owners>, Error> {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        Owners::asked(&options)
    }

    #[test]
    fn ranges_are_separated_by_commas() {
        let owners = asked(&["ro", "uidmap=0:100000:1000,1000:7:1", "gidmap=0:200000:65536"]);
        let owners = owners.expect("read").expect("asked for");
        let range = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        assert_eq!(owners.users, [range(0, 100_000, 1_000), range(1_000, 7, 1)]);
        assert_eq!(owners.groups, [range(0, 200_000, 65_536)]);
        assert_eq!(asked(&["ro", "lowerdir=/a"]).expect("read"), None);
    }

    #[test]
    fn of_two_the_last_counts() {
        let owners = asked(&["uidmap=x", "gidmap=0:1:1", "uidmap=0:2:1"]).expect("read").expect("asked for");
        assert_eq!(owners.users, [IdMapping { container_id: 0, host_id: 2, size: 1 }]);
    }

    #[test]
    fn what_is_no_mapping_is_named() {
        let bad = ["", "0", "0:1", "0:1:", "0:1:0", "0:1:2:3", "a:1:2", "-1:1:2", "0:1:4294967296", "0:1:2,"];
        for bad in bad.map(|text| format!("gidmap={text}")) {
            let error = asked(&["uidmap=0:1:2", &bad]).expect_err("refused");
            assert!(matches!(&error, Error::Mapping { option, .. } if *option == bad), "{error}");
        }
    }

    #[test]
    fn users_and_groups_are_mapped_together() {
        for alone in ["uidmap=0:1:2", "gidmap=0:1:2"] {
            let error = asked(&[alone]).expect_err("refused").to_string();
            assert!(error.contains(alone) && error.contains("beside it"), "{error}");
        }
    }
}
