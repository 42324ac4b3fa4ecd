//! `spec`: a `config.json` to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::FILE_NAME;

/// What can go wrong while a configuration is written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is a configuration already, and it is left alone.
    #[error("file {FILE_NAME} exists in {bundle}: remove it first", bundle = bundle.display())]
    Exists {
        /// The bundle.
        bundle: PathBuf,
    },
    /// The file cannot be written.
    #[error("write {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Who will run the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Root of the host.
    Root,
    /// A user without privileges, who becomes root of a user namespace.
    User {
        /// The user's id on the host.
        uid: u32,
        /// The group's id on the host.
        gid: u32,
    },
}

impl Identity {
    /// The user that runs this process.
    #[must_use]
    pub fn of_caller() -> Self {
        Self::User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// Writes `config.json` into a bundle; never over another one.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write(bundle: &Path, identity: Identity) -> Result<(), Error> {
    let path = bundle.join(FILE_NAME);
    let mut options = OpenOptions::new();
    // Compat: runc, spec.go: mode 0666, which the umask narrows.
    options.write(true).create_new(true).mode(0o666).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let written = options.open(&path).and_then(|mut file| file.write_all(text(identity).as_bytes()));
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { bundle: bundle.into() },
        _ => Error::Write { path, source },
    })
}

/// The text of the configuration: a shell as root in new namespaces, with a terminal and three capabilities.
///
/// Compat: runc, `specconv/example.go`: the same container.
#[must_use]
pub fn text(identity: Identity) -> String {
    let parts = match identity {
        Identity::Root => Parts::of_root(),
        Identity::User { uid, gid } => Parts::of_user(uid, gid),
    };
    TEMPLATE
        .replace("@OCI_VERSION@", crate::features::OCI_VERSION_MAX)
        .replace("@PTS_GROUP@", parts.pts_group)
        .replace("@SYS@", parts.sys)
        .replace("@IDENTITY@", &parts.identity)
        .replace("@NAMESPACE@", parts.namespace)
        .replace("@CGROUP_NAMESPACE@", if is_unified() { ",\n      { \"type\": \"cgroup\" }" } else { "" })
}

const TEMPLATE: &str = include_str!("spec/config.json.in");

/// Compat: runc makes a cgroup namespace only where version 2 is the only one.
fn is_unified() -> bool {
    // Source: include/uapi/linux/magic.h.
    const CGROUP2_SUPER_MAGIC: rustix::fs::FsWord = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|system| system.f_type == CGROUP2_SUPER_MAGIC)
}

/// What differs between the two identities.
struct Parts {
    pts_group: &'static str,
    sys: &'static str,
    identity: String,
    namespace: &'static str,
}

impl Parts {
    fn of_root() -> Self {
        Self {
            pts_group: ", \"gid=5\"",
            sys: "\"type\": \"sysfs\", \"source\": \"sysfs\", \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]",
            identity: String::from(
                "\"resources\": { \"devices\": [{ \"allow\": false, \"access\": \"rwm\" }] },",
            ),
            namespace: "network",
        }
    }

    /// Without privileges there is no group 5 to give terminals to, no sysfs to mount, and no network namespace whose
    /// devices could be set up.
    fn of_user(uid: u32, gid: u32) -> Self {
        let mapping = |id: u32| format!("[{{ \"containerID\": 0, \"hostID\": {id}, \"size\": 1 }}]");
        Self {
            pts_group: "",
            sys: "\"type\": \"none\", \"source\": \"/sys\", \
                  \"options\": [\"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"ro\"]",
            identity: format!("\"uidMappings\": {},\n    \"gidMappings\": {},", mapping(uid), mapping(gid)),
            namespace: "user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, IdMapping, NamespaceType};

    #[test]
    fn both_identities_make_a_whole_configuration() {
        let root = Config::parse(text(Identity::Root).as_bytes()).expect("valid");
        assert!(root.linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceType::Network));
        assert!(root.linux.uid_mappings.is_empty());
        assert!(root.mounts.iter().any(|mount| mount.options.iter().any(|option| option == "gid=5")));
        let user = Config::parse(text(Identity::User { uid: 1000, gid: 7 }).as_bytes()).expect("valid");
        assert!(user.linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceType::User));
        assert_eq!(user.linux.uid_mappings, [IdMapping { container_id: 0, host_id: 1000, size: 1 }]);
        assert_eq!(user.linux.gid_mappings, [IdMapping { container_id: 0, host_id: 7, size: 1 }]);
        assert!(user.linux.resources.is_none());
    }

    #[test]
    fn a_configuration_that_exists_is_left_alone() {
        let bundle = tempfile::tempdir().expect("a directory");
        write(bundle.path(), Identity::Root).expect("written");
        let error = write(bundle.path(), Identity::Root).expect_err("refused").to_string();
        assert!(error.starts_with("file config.json exists in "), "{error}");
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let bundle = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(bundle.path().join("elsewhere"), bundle.path().join(FILE_NAME))
            .expect("a link");
        assert!(matches!(write(bundle.path(), Identity::Root), Err(Error::Exists { .. })));
        assert!(!bundle.path().join("elsewhere").exists());
    }
}
