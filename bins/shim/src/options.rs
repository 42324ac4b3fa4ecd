//! The runtime's options of containerd, of both types, and what this shim makes of them.

use containerd_shim_protos::shim::oci::Options as RuncOptions;
use protobuf::Message;
use protobuf::well_known_types::any::Any;
use std::path::PathBuf;

/// Where containers' state is kept when no option names a place.
const ROOT: &str = "/run/containerd/sluice";

/// Where another runtime keeps it then. Compat: the stock shim's.
const THEIR_ROOT: &str = "/run/containerd/runc";

/// Whose containers a state root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owned {
    /// This program's.
    Here,
    /// Those of another OCI runtime.
    Elsewhere,
}

/// Options of a container. What containerd leaves out is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The root is moved instead of pivoted.
    pub no_pivot_root: bool,
    /// The container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// The cgroup that the shim itself goes to.
    pub shim_cgroup: String,
    /// Owner of the pipes: user.
    pub io_uid: u32,
    /// Owner of the pipes: group.
    pub io_gid: u32,
    /// The OCI runtime that is named.
    pub binary_name: String,
    /// Where state is kept, without the namespace.
    pub root: String,
    /// systemd makes the groups.
    pub systemd_cgroup: bool,
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody here knows the type.
    #[error(
        "options of type {type_url:?}: only containerd.runc.v1.Options and runtimeoptions.v1.Options are known"
    )]
    UnknownType {
        /// As it was given.
        type_url: String,
    },
    /// The bytes are no message of the type.
    #[error("decode options of type {type_url:?}")]
    Decode {
        /// As it was given.
        type_url: String,
        /// The cause.
        source: protobuf::Error,
    },
}

impl Options {
    /// Reads the options; none are the defaults.
    ///
    /// # Errors
    /// [`Error`].
    pub fn decode(any: Option<&Any>) -> Result<Self, Error> {
        let Some(any) = any.filter(|any| !any.type_url.is_empty()) else { return Ok(Self::default()) };
        match any.type_url.rsplit('/').next().unwrap_or_default() {
            "containerd.runc.v1.Options" => {
                let runc = RuncOptions::parse_from_bytes(&any.value);
                runc.map(Self::of_runc)
                    .map_err(|source| Error::Decode { type_url: any.type_url.clone(), source })
            }
            // Its body is TOML in the words of whoever configured the runtime; this runtime has none to set.
            "runtimeoptions.v1.Options" => Ok(Self::default()),
            _ => Err(Error::UnknownType { type_url: any.type_url.clone() }),
        }
    }

    fn of_runc(runc: RuncOptions) -> Self {
        Self {
            no_pivot_root: runc.no_pivot_root,
            no_new_keyring: runc.no_new_keyring,
            shim_cgroup: runc.shim_cgroup,
            io_uid: runc.io_uid,
            io_gid: runc.io_gid,
            binary_name: runc.binary_name,
            root: runc.root,
            systemd_cgroup: runc.systemd_cgroup,
        }
    }

    /// The state root of a namespace.
    ///
    /// Compat: as with the stock shim, the namespace is a directory below the root that is named.
    #[must_use]
    pub fn state_root(&self, namespace: &str, owned: Owned) -> PathBuf {
        let unnamed = if owned == Owned::Here { ROOT } else { THEIR_ROOT };
        let root = if self.root.is_empty() { unnamed } else { &self.root };
        PathBuf::from(root).join(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(type_url: &str, value: Vec<u8>) -> Any {
        Any { type_url: type_url.to_owned(), value, ..Any::default() }
    }

    #[test]
    fn both_spellings_of_the_type_are_known() {
        let runc = RuncOptions { systemd_cgroup: true, root: "/r".to_owned(), ..RuncOptions::default() };
        let bytes = runc.write_to_bytes().expect("encodes");
        for type_url in ["containerd.runc.v1.Options", "type.googleapis.com/containerd.runc.v1.Options"] {
            let options = Options::decode(Some(&any(type_url, bytes.clone()))).expect("known");
            assert!(options.systemd_cgroup);
            assert_eq!(options.state_root("moby", Owned::Here), PathBuf::from("/r/moby"));
        }
        assert_eq!(Options::decode(None).expect("legal"), Options::default());
    }

    #[test]
    fn an_unknown_type_is_an_error_that_names_it() {
        let error = Options::decode(Some(&any("x.Options", Vec::new()))).expect_err("unknown");
        assert!(error.to_string().contains("x.Options"), "{error}");
        let error =
            Options::decode(Some(&any("containerd.runc.v1.Options", vec![0xff]))).expect_err("no message");
        assert!(matches!(error, Error::Decode { .. }));
    }
}
