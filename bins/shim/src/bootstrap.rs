//! What containerd writes to the standard input of `start`, and what it expects on standard output: four generations.
//!
//! | containerd | standard input | answer |
//! |---|---|---|
//! | 1.6, 1.7, 2.0 to 2.2 | `Any` with the runtime's options, or nothing | the address as it is |
//! | 2.3 and later | `BootstrapParams` | `BootstrapResult` |
//!
//! A protobuf message decodes as almost any other, so parameters are believed only when they name this shim.

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use protobuf::Message;
use protobuf::well_known_types::any::Any;
use std::path::PathBuf;

/// The task service that is promised. Compat: with 2 containerd runs `start` for each container of a pod, and notices
/// the end of the shim for each.
const VERSION: i32 = 2;

/// What `start` was given on standard input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The runtime's options.
    pub options: Option<Any>,
    /// containerd's socket for events, when it is named here and not in the environment.
    pub events: Option<String>,
    /// Where sockets go.
    pub socket_directory: Option<PathBuf>,
    generation: Generation,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Generation {
    /// The address alone.
    #[default]
    Plain,
    /// A `BootstrapResult`.
    Message,
}

impl Given {
    /// Reads what was on standard input. Bytes that are nothing known count as nothing.
    #[must_use]
    pub fn decode(bytes: &[u8], namespace: &str, id: &str) -> Self {
        let parameters = BootstrapParams::parse_from_bytes(bytes);
        let named = |it: &BootstrapParams| it.instance_id == id && it.namespace == namespace;
        if let Ok(parameters) = parameters
            && named(&parameters)
        {
            return Self::of(parameters);
        }
        let options = Any::parse_from_bytes(bytes).ok().filter(|any| !any.type_url.is_empty());
        Self { options, ..Self::default() }
    }

    fn of(parameters: BootstrapParams) -> Self {
        let values = parameters.extensions.into_iter().filter_map(|extension| extension.value.into_option());
        let known = |any: &Any| any.type_url.ends_with("Options");
        Self {
            options: values.into_iter().find(known),
            events: Some(parameters.containerd_ttrpc_address).filter(|text| !text.is_empty()),
            socket_directory: parameters.socket_dir.filter(|text| !text.is_empty()).map(PathBuf::from),
            generation: Generation::Message,
        }
    }

    /// What is printed, to the byte: containerd reads to the end, and before 2.0 takes standard error for a part of it.
    #[must_use]
    pub fn answer(&self, address: &str) -> Vec<u8> {
        match self.generation {
            Generation::Plain => address.as_bytes().to_vec(),
            Generation::Message => {
                let mut result = BootstrapResult::new();
                result.version = VERSION;
                result.address = address.to_owned();
                "ttrpc".clone_into(&mut result.protocol);
                result.write_to_bytes().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_shim_protos::bootstrap_api::Extension;

    fn options() -> Any {
        Any { type_url: "containerd.runc.v1.Options".to_owned(), value: vec![8, 1], ..Any::default() }
    }

    #[test]
    fn nothing_is_answered_with_the_address_alone() {
        let given = Given::decode(b"", "ns", "id");
        assert_eq!(given, Given::default());
        assert_eq!(given.answer("unix:///s"), b"unix:///s");
    }

    #[test]
    fn options_are_not_taken_for_parameters() {
        let given = Given::decode(&options().write_to_bytes().expect("encodes"), "ns", "id");
        assert_eq!(given.options, Some(options()));
        assert_eq!(given.answer("unix:///s"), b"unix:///s");
    }

    #[test]
    fn parameters_are_answered_with_a_result() {
        let mut extension = Extension::new();
        extension.value = Some(options()).into();
        let parameters = BootstrapParams {
            instance_id: "id".to_owned(),
            namespace: "ns".to_owned(),
            containerd_ttrpc_address: "/run/c.ttrpc".to_owned(),
            extensions: vec![extension],
            socket_dir: Some("/run/x".to_owned()),
            ..BootstrapParams::default()
        };
        let bytes = parameters.write_to_bytes().expect("encodes");
        let given = Given::decode(&bytes, "ns", "id");
        assert_eq!(given.options, Some(options()));
        assert_eq!(given.events.as_deref(), Some("/run/c.ttrpc"));
        assert_eq!(given.socket_directory, Some(PathBuf::from("/run/x")));
        let result = BootstrapResult::parse_from_bytes(&given.answer("unix:///s")).expect("a result");
        assert_eq!(
            (result.version, result.address.as_str(), result.protocol.as_str()),
            (2, "unix:///s", "ttrpc")
        );
        // Somebody else's: not believed.
        assert_eq!(Given::decode(&bytes, "ns", "other").answer("a"), b"a");
    }
}
