//! Reads a configuration file: bounded, never blocking, every complaint with its place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::{Config, Error, FILE_NAME, Process};

/// The largest file that is read, in bytes; containers of Docker and Kubernetes have some 20 to 100 kB.
pub const MAX_BYTES: u64 = 16 << 20;

impl Config {
    /// Reads `config.json` of a bundle.
    ///
    /// # Errors
    /// The file is missing, not regular, larger than [`MAX_BYTES`], not JSON, or a value has the wrong type.
    pub fn load(bundle: &Path) -> Result<Self, Error> {
        load(&bundle.join(FILE_NAME))
    }

    /// Parses the text of a `config.json`.
    ///
    /// # Errors
    /// The text is not JSON, or a value has the wrong type.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        parse(text, Path::new(FILE_NAME))
    }
}

impl Process {
    /// Reads the file of `exec --process`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        load(path)
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    parse(&read(path)?, path)
}

/// `O_NONBLOCK`, so that a FIFO in the file's place cannot hold us up.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|source| Error::Open { path: path.into(), source })?;
    let stat = rustix::fs::fstat(&file).map_err(|source| Error::Open { path: path.into(), source })?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotRegular { path: path.into() });
    }
    let size = usize::try_from(stat.st_size.unsigned_abs().min(MAX_BYTES)).unwrap_or(0);
    // One byte more, so that the end is found without growing.
    let mut text = Vec::with_capacity(size + 1);
    let copied = File::from(file).take(MAX_BYTES + 1).read_to_end(&mut text);
    copied.map_err(|source| Error::Read { path: path.into(), source })?;
    let bytes = text.len() as u64;
    if bytes > MAX_BYTES {
        let bytes = bytes.max(stat.st_size.unsigned_abs());
        return Err(Error::TooLarge { path: path.into(), bytes, limit: MAX_BYTES });
    }
    Ok(text)
}

/// At once where the text is as engines write it. Everything else, a `null` or a mistake, takes the slow way, which
/// knows what `null` means and where a mistake is.
fn parse<T: DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, Error> {
    serde_json::from_slice(text).or_else(|_| parse_slowly(text, path))
}

/// Two steps, text to tree and tree to types: between them `null` is taken out once for all types.
fn parse_slowly<T: DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, Error> {
    let mut tree: Value = serde_json::from_slice(text).map_err(|error| syntax(path, &error))?;
    drop_nulls(&mut tree);
    serde_path_to_error::deserialize(tree).map_err(|error| Error::Shape {
        pointer: pointer(path, error.path()),
        reason: error.inner().to_string(),
    })
}

/// The parser's text ends in " at line 1 column 2", which the variant says itself.
fn syntax(path: &Path, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
    Error::Syntax { path: path.into(), line, column, reason }
}

/// Compat: runc decodes `null` as the field's zero value, that is, as an absent field.
fn drop_nulls(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// `config.json/linux/gidMappings/0/size`; keys are escaped as in RFC 6901.
fn pointer(file: &Path, path: &serde_path_to_error::Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    let mut pointer = name.to_string_lossy().into_owned();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&escape(key)),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}

/// Escapes one key of a JSON pointer.
///
/// Source: RFC 6901, section 3
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values of every type under names that mean something.
    fn any_tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z/]{0,8}".prop_map(Value::from),
        ];
        let name = prop_oneof![
            Just("process"),
            Just("linux"),
            Just("mounts"),
            Just("root"),
            Just("hooks"),
            Just("namespaces"),
            Just("type"),
            Just("path"),
            Just("args"),
            Just("user"),
            Just("size"),
            Just("devices"),
        ];
        leaf.prop_recursive(5, 64, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_tree_is_read_and_judged_without_a_panic(tree in any_tree()) {
            match Config::parse(tree.to_string().as_bytes()) {
                Ok(config) => drop(config.validate(Path::new("/no/such/bundle"))),
                Err(error) => prop_assert!(error.to_string().starts_with("config.json")),
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(Config::parse(&text));
        }
    }

    fn complaint(text: &str) -> String {
        Config::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_is_named_with_its_json_pointer() {
        let table = [
            (
                r#"{"linux":{"gidMappings":[{"size":"x"}]}}"#,
                r#"config.json/linux/gidMappings/0/size: invalid type: string "x", expected u32"#,
            ),
            (
                r#"{"annotations":{"a/b":1}}"#,
                "config.json/annotations/a~1b: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"process":{"oomScoreAdj":1e30}}"#,
                "config.json/process/oomScoreAdj: invalid type: floating point `1e+30`, expected i32",
            ),
            (r#"{"mounts":{}}"#, "config.json/mounts: invalid type: map, expected a sequence"),
            (r#"{"linux":{"namespaces":[{}]}}"#, "config.json/linux/namespaces/0: missing field `type`"),
        ];
        for (text, expected) in table {
            assert_eq!(complaint(text), expected);
        }
    }

    #[test]
    fn text_that_is_not_json_is_named_with_line_and_column() {
        assert_eq!(complaint("{\n  \"a\": }"), "config.json: line 2, column 8: expected value");
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let nulls = r#"{"process":{"args":null,"cwd":null,"terminal":null,"capabilities":null},"mounts":null,
            "hooks":null,"annotations":{"a":null},"linux":{"resources":null,"sysctl":null,"uidMappings":null}}"#;
        let absent = r#"{"process":{}}"#;
        assert_eq!(Config::parse(nulls.as_bytes()).unwrap(), Config::parse(absent.as_bytes()).unwrap());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert_eq!(Config::parse(br#"{"zebra":{"a":[1]},"linux":{"x":1}}"#).unwrap(), Config::default());
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let text = br#"{"ociVersion":"1.2.0","process":{"args":["sh"],"cwd":"/","execCPUAffinity":{"final":"0-1"}},
            "root":{"path":"r"},"hooks":{"poststop":[{"path":"/x","timeout":3}]},"linux":{"namespaces":[{"type":"network","path":"/n"}],
            "uidMappings":[{"containerID":0,"hostID":5,"size":7}],"devices":[{"path":"/d","type":"u","major":1,"minor":2}]}}"#;
        let config = Config::parse(text).unwrap();
        let written = serde_json::to_vec(&config).unwrap();
        assert_eq!(Config::parse(&written).unwrap(), config);
    }

    #[test]
    fn a_fifo_in_place_of_the_file_is_refused_at_once() {
        let bundle = tempfile::tempdir().unwrap();
        let path = bundle.path().join(FILE_NAME);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        let error = Config::load(bundle.path()).unwrap_err().to_string();
        assert!(error.ends_with("config.json: not a regular file"), "{error}");
    }
}
