//! `namespaces` and `timeOffsets`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Result, invalid};
use crate::config::{Error, Linux, Namespace, NamespaceType};

pub(super) fn check(linux: &Linux) -> Result {
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let place = format!("config.json/linux/namespaces/{index}");
        let kind = namespace.kind;
        if linux.namespaces.iter().take(index).any(|earlier| earlier.kind == kind) {
            return invalid(format!("{place}/type"), format!("{kind} is there twice"));
        }
        joined(namespace, &format!("{place}/path"))?;
        if !Path::new("/proc/self/ns").join(kind.file_name()).exists() {
            return invalid(format!("{place}/type"), format!("the kernel has no {kind} namespaces"));
        }
    }
    if linux.namespace(NamespaceType::Mount).is_none() {
        let reason = "no mount namespace, but the container's mounts would be made on the host";
        return invalid("config.json/linux/namespaces", reason);
    }
    offsets(linux)
}

/// The file must be a namespace of the kind that was named.
fn joined(namespace: &Namespace, place: &str) -> Result {
    let Some(path) = namespace.path() else { return Ok(()) };
    if !path.is_absolute() {
        return invalid(place, format!("{path:?} must be an absolute path"));
    }
    let wrap = |source| Error::Reference { pointer: place.to_owned(), path: path.to_owned(), source };
    // O_NONBLOCK: whatever the file is, it is only looked at.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(wrap)?;
    if is_namespace(&file)
        && sys::namespace::kind(file.as_fd()) == Ok(crate::create::namespace_bit(namespace.kind))
    {
        return Ok(());
    }
    invalid(place, format!("{} is not a {} namespace", path.display(), namespace.kind))
}

/// Before it is asked: the request would mean something else to another kind of file.
///
/// Source: include/uapi/linux/magic.h, NSFS_MAGIC.
fn is_namespace(file: &OwnedFd) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| stat.f_type == 0x6e73_6673)
}

fn offsets(linux: &Linux) -> Result {
    let place = "config.json/linux/timeOffsets";
    if linux.time_offsets.is_empty() {
        return Ok(());
    }
    if !linux.makes_new(NamespaceType::Time) {
        return invalid(place, "given, but only a new time namespace can have offsets");
    }
    for (clock, offset) in &linux.time_offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return invalid(place, format!("clock {clock:?} must be monotonic or boottime"));
        }
        if offset.nanosecs > 999_999_999 {
            let reason = format!("{} must be below 1000000000", offset.nanosecs);
            return invalid(format!("{place}/{clock}/nanosecs"), reason);
        }
    }
    Ok(())
}
