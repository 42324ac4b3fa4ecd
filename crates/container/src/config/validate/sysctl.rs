//! `linux.sysctl`: only what belongs to a namespace of the container, never a parameter of the host.
//!
//! Compat: the list is runc's (libcontainer/configs/validate/validator.go, `sysctl`).

use std::path::Path;

use super::{Result, escape, invalid};
use crate::config::{Linux, NamespaceType};

/// Parameters of the IPC namespace, besides those below `fs/mqueue`.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

pub(super) fn check(linux: &Linux) -> Result {
    for name in linux.sysctl.keys() {
        let place = format!("config.json/linux/sysctl/{}", escape(name));
        let path = crate::rootfs::sysctl_path(name);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return invalid(place, "is not the name of a kernel parameter");
        }
        parameter(linux, &path, &place)?;
    }
    Ok(())
}

fn parameter(linux: &Linux, path: &str, place: &str) -> Result {
    let kind = match path {
        "kernel/hostname" => return invalid(place, "is set by hostname; leave it out here"),
        "kernel/domainname" => NamespaceType::Uts,
        _ if IPC.contains(&path) || path.starts_with("fs/mqueue/") => NamespaceType::Ipc,
        _ if path.starts_with("net/") => NamespaceType::Network,
        _ if path.starts_with("user/") => NamespaceType::User,
        _ => {
            return invalid(place, "belongs to no namespace, so that it would be changed for the whole host");
        }
    };
    match linux.namespace(kind) {
        None => {
            invalid(place, format!("needs a {kind} namespace, else it would be changed for the whole host"))
        }
        Some(namespace) => match namespace.path() {
            Some(path) if is_own(path, kind) => {
                invalid(place, format!("the {kind} namespace {} is the host's", path.display()))
            }
            _ => Ok(()),
        },
    }
}

/// Whether the namespace file is the namespace that we are in ourselves.
fn is_own(path: &Path, kind: NamespaceType) -> bool {
    let own = Path::new("/proc/self/ns").join(kind.file_name());
    match (rustix::fs::stat(path), rustix::fs::stat(own)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}
