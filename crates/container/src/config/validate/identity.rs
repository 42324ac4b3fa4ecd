//! `uidMappings` and `gidMappings` of a new user namespace.

use super::{Result, invalid};
use crate::config::{IdMapping, Linux, NamespaceType};

/// Most lines of `/proc/PID/uid_map`. Source: user_namespaces(7), since Linux 4.15.
const MOST_MAPPINGS: usize = 340;

pub(super) fn check(linux: &Linux) -> Result {
    let lists = [("uidMappings", &linux.uid_mappings), ("gidMappings", &linux.gid_mappings)];
    for (field, list) in lists {
        let place = format!("config.json/linux/{field}");
        if !list.is_empty() && linux.namespace(NamespaceType::User).is_none() {
            return invalid(place, "given, but there is no user namespace in linux/namespaces");
        }
        if list.is_empty() && linux.makes_new(NamespaceType::User) {
            return invalid(place, "empty, but a new user namespace needs at least one mapping");
        }
        // Kernel: what init makes in the container would belong to nobody, and the kernel refuses to make it (EOVERFLOW).
        if linux.makes_new(NamespaceType::User) && list.iter().all(|one| one.container_id != 0) {
            return invalid(place, "maps no containerID 0, but the container's files are made by its root");
        }
        check_list(list, &place)?;
    }
    Ok(())
}

/// Also for the mappings of a mount.
pub(super) fn check_list(list: &[IdMapping], place: &str) -> Result {
    if list.len() > MOST_MAPPINGS {
        return invalid(place, format!("{} mappings, the kernel takes at most {MOST_MAPPINGS}", list.len()));
    }
    for (index, mapping) in list.iter().enumerate() {
        let place = format!("{place}/{index}");
        check_range(mapping, &place)?;
        for (earlier, other) in list.iter().take(index).enumerate() {
            if overlap(mapping.container_id, other.container_id, mapping.size, other.size) {
                return invalid(
                    format!("{place}/containerID"),
                    format!("overlaps with the ids of mapping {earlier}"),
                );
            }
            if overlap(mapping.host_id, other.host_id, mapping.size, other.size) {
                return invalid(
                    format!("{place}/hostID"),
                    format!("overlaps with the ids of mapping {earlier}"),
                );
            }
        }
    }
    Ok(())
}

fn check_range(mapping: &IdMapping, place: &str) -> Result {
    if mapping.size == 0 {
        return invalid(format!("{place}/size"), "0, but must be at least 1");
    }
    for (field, first) in [("containerID", mapping.container_id), ("hostID", mapping.host_id)] {
        // Kernel: 4294967295 is "no id".
        if first.checked_add(mapping.size).is_none() {
            let reason = format!("{first} and {} ids from there go beyond 4294967294", mapping.size);
            return invalid(format!("{place}/{field}"), reason);
        }
    }
    Ok(())
}

fn overlap(a: u32, b: u32, size_a: u32, size_b: u32) -> bool {
    a < b.saturating_add(size_b) && b < a.saturating_add(size_a)
}
