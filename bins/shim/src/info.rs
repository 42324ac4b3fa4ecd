//! `-info`: what the runtime behind given options can do.
//!
//! Compat: containerd 2.x asks this of the runtimes that its configuration names, before anything runs with them: the
//! options come on standard input as an `Any`, or nothing does; a `RuntimeInfo` goes to standard output, and nothing else.

use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use protobuf::well_known_types::any::Any;
use protobuf::{Message as _, MessageField};

use crate::options::{self, Options};
use crate::wrapper::{self, Choice, choose};

/// The name of the runtime: containerd makes the name of this program from it.
const NAME: &str = "io.containerd.sluice.v2";

/// What containerd calls the features of the runtime specification. Their value is JSON.
const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// The question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Standard input is no `Any`.
    #[error("decode standard input, which has to be options in a google.protobuf.Any")]
    Input(#[source] protobuf::Error),
    /// The options.
    #[error(transparent)]
    Options(#[from] options::Error),
    /// The answer does not become bytes.
    #[error("encode the answer, a RuntimeInfo")]
    Answer(#[source] protobuf::Error),
}

/// Encodes the answer to options as they came; `search` is the value of `PATH`.
///
/// # Errors
/// [`Error`].
pub fn answer(input: &[u8], search: Option<&str>) -> Result<Vec<u8>, Error> {
    let given = Any::parse_from_bytes(input).map_err(Error::Input)?;
    let options = Options::decode(Some(&given))?;
    let version =
        RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), ..RuntimeVersion::default() };
    let info = RuntimeInfo {
        name: NAME.to_owned(),
        version: MessageField::some(version),
        options: MessageField(Some(given).filter(|any| !any.type_url.is_empty()).map(Box::new)),
        features: MessageField(features(&options, search).map(Box::new)),
        ..RuntimeInfo::default()
    };
    info.write_to_bytes().map_err(Error::Answer)
}

/// Compat: a runtime that does not know the verb `features` has none to tell, which is no failure.
fn features(options: &Options, search: Option<&str>) -> Option<Any> {
    let value = match choose(&options.binary_name, search) {
        Choice::InProcess => {
            serde_json::to_vec(&container::features::features(env!("CARGO_PKG_VERSION"), None)).ok()
        }
        Choice::Program(binary) => {
            wrapper::features(&binary).inspect_err(|error| log::warn!("{}", container::chain(error))).ok()
        }
    };
    value.map(|value| Any { type_url: FEATURES.to_owned(), value, ..Any::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_options_the_runtime_is_this_one() {
        let info = RuntimeInfo::parse_from_bytes(&answer(b"", None).unwrap()).unwrap();
        assert_eq!((info.name.as_str(), info.options.is_none()), (NAME, true));
        let features: serde_json::Value = serde_json::from_slice(&info.features.unwrap().value).unwrap();
        assert_eq!(features["ociVersionMin"], container::features::OCI_VERSION_MIN);
    }

    #[test]
    fn what_is_no_options_is_refused() {
        let refused = answer(&[0xff], None).unwrap_err();
        assert!(matches!(refused, Error::Input(_)), "{refused}");
        let unknown = Any { type_url: "x.Options".to_owned(), ..Any::default() };
        let refused = answer(&unknown.write_to_bytes().unwrap(), None).unwrap_err();
        assert!(matches!(refused, Error::Options(options::Error::UnknownType { .. })), "{refused}");
    }
}
