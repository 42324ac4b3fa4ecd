//! `namespaces` and `timeOffsets`.

use std::os::fd::AsRawFd;
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
    // O_PATH: whatever the file is, it is only looked at.
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(wrap)?;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = rustix::fs::readlink(link, Vec::new()).map_err(wrap)?;
    let wanted = format!("{}:[", namespace.kind.file_name());
    if name.as_bytes().starts_with(wanted.as_bytes()) {
        return Ok(());
    }
    invalid(place, format!("{} is not a {} namespace", path.display(), namespace.kind))
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
