//! `mounts`.

use super::{Result, identity, invalid};
use crate::config::{Config, Mount, NamespaceType};
use crate::rootfs::Meaning;

pub(super) fn check(config: &Config) -> Result {
    for (index, mount) in config.mounts.iter().enumerate() {
        let place = format!("config.json/mounts/{index}");
        paths(mount, &place)?;
        options(mount, &place)?;
        id_mapping(config, mount, &place)?;
    }
    Ok(())
}

fn paths(mount: &Mount, place: &str) -> Result {
    let destination = mount.destination.as_os_str();
    if destination.is_empty() {
        return invalid(format!("{place}/destination"), "empty, but must be a path inside the container");
    }
    if !mount.destination.is_absolute() {
        // Compat: runc takes it as relative to /, and warns too.
        log::warn!("{place}/destination: {destination:?} should be an absolute path; taken as relative to /");
    }
    let texts = [destination.as_encoded_bytes(), mount.source.as_bytes(), mount.kind.as_bytes()];
    if texts.iter().any(|text| text.contains(&0)) {
        return invalid(place, "holds a NUL byte");
    }
    Ok(())
}

fn options(mount: &Mount, place: &str) -> Result {
    let meaning = Meaning::of(mount);
    if let Some(data) = meaning.data.first().filter(|_| meaning.is_bind) {
        let reason = format!("{data:?} is an option of a file system; a bind mount has none of its own");
        return invalid(format!("{place}/options"), reason);
    }
    if meaning.is_bind && mount.source.is_empty() {
        return invalid(format!("{place}/source"), "empty, but must be the path to bind");
    }
    if !meaning.is_bind && mount.kind.is_empty() {
        return invalid(
            format!("{place}/type"),
            "empty, but must be a file system, or one option bind or rbind",
        );
    }
    if meaning.copies_up && mount.kind != "tmpfs" {
        return invalid(format!("{place}/options"), "tmpcopyup is for mounts of type tmpfs only");
    }
    Ok(())
}

/// Compat: an idmap without mappings of its own takes those of the container's user namespace.
fn id_mapping(config: &Config, mount: &Mount, place: &str) -> Result {
    if crate::rootfs::wants_id_mapping(mount).is_none() {
        return Ok(());
    }
    if !Meaning::of(mount).is_bind {
        return invalid(format!("{place}/options"), "only bind mounts can be id-mapped");
    }
    let lists = [("uidMappings", &mount.uid_mappings), ("gidMappings", &mount.gid_mappings)];
    let own = lists.iter().any(|(_, list)| !list.is_empty());
    let inherited = config.linux.namespace(NamespaceType::User).is_some();
    for (field, list) in lists {
        if list.is_empty() && (own || !inherited) {
            return invalid(
                format!("{place}/{field}"),
                "empty, but an id-mapped mount needs user and group mappings",
            );
        }
        identity::check_list(list, &format!("{place}/{field}"))?;
    }
    Ok(())
}
