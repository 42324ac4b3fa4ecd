//! Callers without the rights of the host's root: what they are let off, and what they are told.
//!
//! | what | root of the host | anybody else |
//! |---|---|---|
//! | user namespace | as configured | must be there; a caller with capabilities in a user namespace is root enough |
//! | cgroup that may not be made | an error | without limits and without `cgroupsPath` the container has none of its own |
//! | device rules | a BPF program, or v1 files | left out: both need the host's root |
//! | `oomScoreAdj` below the own | set | left as it is |

use crate::config::{Config, NamespaceType};
use crate::{Error, IdMap, id_map};
use cgroup::{Kind, Presence, Resources};
use rustix::io::Errno;

/// Whether a container may do without what only the host's root can have.
///
/// Compat: runc, `--rootless`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rootless {
    /// What is refused is an error.
    No,
    /// A cgroup that is refused is done without, if nothing depends on it.
    Yes,
}

impl Rootless {
    /// `Yes` for everybody but the root of the initial user namespace.
    #[must_use]
    pub fn of_caller() -> Self {
        if rustix::process::geteuid().is_root() && !in_user_namespace() { Self::No } else { Self::Yes }
    }
}

/// Whether this process is in another user namespace than the host's.
///
/// Source: include/uapi/linux/nsfs.h, `USER_NS_INIT_INO`: the inode of the first user namespace is the same everywhere.
#[must_use]
pub fn in_user_namespace() -> bool {
    const USER_NS_INIT_INO: u64 = 0xefff_fffd;
    rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino != USER_NS_INIT_INO)
}

/// The caller's effective user id as the user namespace around the caller's own has it.
///
/// Source: user_namespaces(7): a process that reads its own `uid_map` is told of the ids of the namespace around it.
#[must_use]
pub fn outer_uid() -> Option<u32> {
    let own = rustix::process::geteuid().as_raw();
    IdMap::parse(&std::fs::read_to_string("/proc/self/uid_map").ok()?).outside(own)
}

/// Whether init's files in `/proc` must belong to the caller until its ids are mapped: those of an undumpable process
/// belong to root, and a caller who is not root could not write its mappings.
///
/// Nobody but the caller's own processes can see init then, as a new user namespace goes with new others.
pub(crate) fn must_be_dumpable(config: &Config) -> bool {
    id_map::is_ours(config) && !rustix::process::geteuid().is_root()
}

/// Whether this process may come back when it has joined another namespace of a kind that can be left.
///
/// Kernel: setns(2) wants `CAP_SYS_ADMIN` in the user namespace that owns the one to be joined, so to return to the
/// host's it takes the host's root.
pub(crate) fn can_return() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    sys::capability::get().is_ok_and(|own| own.effective & SYS_ADMIN != 0) && !in_user_namespace()
}

/// A caller with no capabilities needs a user namespace to have any.
///
/// # Errors
/// [`Error::Unsupported`] with the pointer.
pub(crate) fn check_namespaces(config: &Config) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() || config.linux.namespace(NamespaceType::User).is_some() {
        return Ok(());
    }
    Err(Error::Unsupported {
        pointer: "config.json/linux/namespaces".to_owned(),
        reason:
            "rootless container requires user namespaces: add { \"type\": \"user\" } with uidMappings and \
                 gidMappings, as `sluice spec --rootless` writes them"
                .to_owned(),
    })
}

/// What of the resources the caller can have: device rules are for the host's root.
pub(crate) fn attainable(resources: Resources) -> Resources {
    if Rootless::of_caller() == Rootless::No {
        return resources;
    }
    Resources { devices: Vec::new(), ..resources }
}

/// Whether a container without these groups does all that was asked for; `refusal` says why they cannot be made.
///
/// Compat: runc, `cgroups/fs2`: only without limits and without `cgroupsPath`.
///
/// # Errors
/// `refusal`, or what depends on the groups.
pub(crate) fn do_without_cgroup(refusal: cgroup::Error, kind: Kind, config: &Config) -> Result<(), Error> {
    let (path, source) = match refusal {
        cgroup::Error::Make {
            path, source: source @ (Errno::ACCESS | Errno::PERM | Errno::ROFS), ..
        } => (path, source),
        other => return Err(Error::Cgroup(other)),
    };
    let wanted = if config.linux.cgroups_path.is_empty() {
        limits(kind, config.linux.resources.clone().unwrap_or_default())?
    } else {
        Some(format!("linux/cgroupsPath {:?}", config.linux.cgroups_path))
    };
    match wanted {
        Some(wanted) => Err(Error::CgroupDenied { wanted, path, source }),
        None => {
            log::debug!("no cgroup of its own: make {}: {source}", path.display());
            Ok(())
        }
    }
}

/// The place of the first limit that needs a cgroup.
fn limits(kind: Kind, resources: Resources) -> Result<Option<String>, Error> {
    let resources = Resources { devices: Vec::new(), ..resources };
    let writes = cgroup::plan(kind, &resources).map_err(Error::Cgroup)?;
    let needed = writes.into_iter().find(|write| write.presence == Presence::Required);
    Ok(needed.map(|write| format!("linux/resources/{}", write.field)))
}

/// The kernel refused to make an init, perhaps for want of the right to a user namespace.
pub(crate) fn explain_refused_clone(config: &Config, errno: Errno) -> Error {
    match errno {
        Errno::PERM if id_map::is_ours(config) => Error::UserNamespaceDenied { source: errno },
        _ => Error::Launch(launch::Error::Clone(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: Kind, path: &str, resources: &str) -> Result<(), Error> {
        let text = format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"r"}},"linux":{{"cgroupsPath":{path:?},"resources":{resources}}}}}"#
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        do_without_cgroup(
            cgroup::Error::Make { path: "/g".into(), hint: None, source: Errno::ACCESS },
            kind,
            &config,
        )
    }

    #[test]
    fn only_what_needs_no_cgroup_can_do_without() {
        for resources in ["{}", r#"{"devices":[{"allow":false,"access":"rwm"}]}"#, r#"{"memory":{}}"#] {
            assert!(refused(Kind::V2, "", resources).is_ok(), "{resources}");
        }
        let realtime = r#"{"cpu":{"realtimeRuntime":1000}}"#;
        for (kind, path, resources, place) in [
            (Kind::V2, "", r#"{"memory":{"limit":1048576}}"#, "linux/resources/memory/limit"),
            (Kind::V2, "", r#"{"pids":{"limit":7}}"#, "linux/resources/pids/limit"),
            (Kind::V1, "", realtime, "linux/resources/cpu/realtimeRuntime"),
            (Kind::V2, "/x", "{}", "linux/cgroupsPath \"/x\""),
        ] {
            let text = refused(kind, path, resources).unwrap_err().to_string();
            assert!(text.starts_with(&format!("config.json/{place} needs a cgroup")), "{text}");
        }
    }

    #[test]
    fn another_failure_is_told_as_it_is() {
        let config = Config::parse(br#"{"ociVersion":"1.0.2","root":{"path":"r"}}"#).unwrap();
        let error = cgroup::Error::Make { path: "/g".into(), hint: None, source: Errno::NOSPC };
        assert!(matches!(do_without_cgroup(error, Kind::V2, &config), Err(Error::Cgroup(_))));
    }
}
