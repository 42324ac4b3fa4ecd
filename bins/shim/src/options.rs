//! The runtime's options of containerd, of both types, and what this shim makes of them.

use containerd_shim_protos::shim::oci::Options as RuncOptions;
use protobuf::well_known_types::any::Any;
use protobuf::{CodedInputStream, Message};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where containers' state is kept when no option names a place.
const ROOT: &str = "/run/containerd/sluice";

/// Where another runtime keeps it then. Compat: the stock shim's.
const THEIR_ROOT: &str = "/run/containerd/runc";

/// The most that is read of a file of options, in bytes.
const LONGEST: u64 = 64 << 10;

/// The most that an error or the log repeats of a line, in characters: it may be somebody else's secret.
const EXCERPT: usize = 60;

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
    /// A line of the options' text that is none.
    #[error("options: {place}: {line:?}: {expected}")]
    Line {
        /// Path of the file, if the text is one's, and number of the line.
        place: String,
        /// As it was given, or its beginning.
        line: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The file that the options name cannot be read.
    #[error("options: read {}", path.display())]
    Read {
        /// As it was given.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The file that the options name is none.
    #[error("options: {}: {expected}", path.display())]
    File {
        /// As it was given.
        path: PathBuf,
        /// What would be right.
        expected: &'static str,
    },
}

impl Options {
    /// Reads the options; none are the defaults. A file that they name is read, too, so this may wait for a disk.
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
            "runtimeoptions.v1.Options" => {
                let generic = Generic::decode(&any.value);
                generic
                    .map_err(|source| Error::Decode { type_url: any.type_url.clone(), source })
                    .and_then(Self::of_generic)
            }
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

    /// Compat: containerd sends these to a runtime of a type that it does not know: the table `options` of its
    /// configuration as TOML, with the names that the options of runc have there. containerd 1.6 sends no text, only the
    /// path of a file (`ConfigPath`), which holds the same lines.
    fn of_generic(generic: Generic) -> Result<Self, Error> {
        let Generic { path, body } = generic;
        if body.is_empty() && !path.is_empty() {
            let body = read(Path::new(&path))?;
            return Self::of_text(&body, &format!("{path}, "));
        }
        Self::of_text(&body, "")
    }

    /// `file` is what an error says before the number of the line.
    fn of_text(body: &str, file: &str) -> Result<Self, Error> {
        let mut options = Self::default();
        for (index, line) in body.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refused = |expected| Error::Line {
                place: format!("{file}line {}", index + 1),
                line: excerpt(line),
                expected,
            };
            options.set(line).map_err(refused)?;
        }
        Ok(options)
    }

    /// Takes one line, `Name = value`; a name that nobody here knows changes nothing, and the log says so.
    fn set(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, value) = line.split_once('=').ok_or("must be a name, an equals sign and a value")?;
        let (name, value) = (name.trim(), value.trim());
        match name {
            "NoPivotRoot" => self.no_pivot_root = yes_or_no(value)?,
            "NoNewKeyring" => self.no_new_keyring = yes_or_no(value)?,
            "SystemdCgroup" => self.systemd_cgroup = yes_or_no(value)?,
            "ShimCgroup" => self.shim_cgroup = text(value)?,
            "BinaryName" => self.binary_name = text(value)?,
            "Root" => self.root = text(value)?,
            "IoUid" => self.io_uid = value.parse().map_err(|_| "must be a number")?,
            "IoGid" => self.io_gid = value.parse().map_err(|_| "must be a number")?,
            _ => log::warn!("options: {:?} is not known here", excerpt(name)),
        }
        Ok(())
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

/// `runtimeoptions.v1.Options`: for runtimes that containerd knows no message of.
///
/// Source: containerd, `api/types/runtimeoptions/v1/api.proto`: 1 is a type, 2 a path, 3 a text.
#[derive(Debug, Default)]
struct Generic {
    path: String,
    body: String,
}

impl Generic {
    fn decode(bytes: &[u8]) -> Result<Self, protobuf::Error> {
        let (mut stream, mut found) = (CodedInputStream::from_bytes(bytes), Self::default());
        while let Some(tag) = stream.read_raw_tag_or_eof()? {
            // The number of the field, and 2 for a length and bytes.
            match (tag >> 3, tag & 7) {
                (2, 2) => found.path = stream.read_string()?,
                (3, 2) => found.body = String::from_utf8_lossy(&stream.read_bytes()?).into_owned(),
                _ => protobuf::rt::skip_field_for_tag(tag, &mut stream)?,
            }
        }
        Ok(found)
    }
}

/// The text of a file of options. A pipe at the path holds nobody up, and a long file does not fill the memory; a file
/// system that does not answer may still keep the caller.
fn read(path: &Path) -> Result<String, Error> {
    let refused = |source| Error::Read { path: path.to_owned(), source };
    let expected = |expected| Error::File { path: path.to_owned(), expected };
    if !path.is_absolute() {
        return Err(expected("must be an absolute path"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
    let stat = rustix::fs::fstat(&file).map_err(refused)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(expected("must be a regular file"));
    }
    let own = rustix::process::geteuid().as_raw();
    check_keeper((stat.st_uid, stat.st_mode), own).map_err(expected)?;
    let mut bytes = Vec::new();
    let got = std::fs::File::from(file).take(LONGEST + 1).read_to_end(&mut bytes);
    got.map_err(|error| refused(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if bytes.len() as u64 > LONGEST {
        return Err(expected("must be no longer than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| expected("must be text in UTF-8"))
}

/// Whether nobody but root and the shim's own user can change a file of that owner and mode: it can name a program that the
/// shim runs.
fn check_keeper((owner, mode): (u32, u32), own: u32) -> Result<(), &'static str> {
    if owner != 0 && owner != own {
        return Err("must be owned by root, or by the user of the shim");
    }
    if Mode::from_raw_mode(mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err("must not be writable by its group or by others");
    }
    Ok(())
}

/// The beginning of a line.
fn excerpt(line: &str) -> String {
    line.chars().take(EXCERPT).collect()
}

fn yes_or_no(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "must be true or false")
}

/// A TOML string of one line.
fn text(value: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "must be a text in quotes";
    let within = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match (within('"'), within('\'')) {
        // What JSON escapes, TOML escapes in the same way.
        (Some(_), _) => serde_json::from_str(value).map_err(|_| EXPECTED),
        (None, Some(literal)) if !literal.contains('\'') => Ok(literal.to_owned()),
        _ => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::CodedOutputStream;

    /// Options with a type, and a field of text.
    fn generic_of(number: u32, text: &str) -> Result<Options, Error> {
        let mut bytes = Vec::new();
        let mut stream = CodedOutputStream::vec(&mut bytes);
        stream.write_string(1, "x.Options").expect("encodes");
        stream.write_string(number, text).expect("encodes");
        drop(stream);
        Options::decode(Some(&any("runtimeoptions.v1.Options", bytes)))
    }

    fn generic(body: &str) -> Result<Options, Error> {
        generic_of(3, body)
    }

    #[test]
    fn options_of_a_runtime_of_its_own_type_are_read() {
        let body = "BinaryName = \"/usr/bin/a\\u0062\"\nRoot = '/r'\n# a note\n\nSystemdCgroup = true\nIoUid = 7\n\
                    CriuPath = \"\"\n";
        let options = generic(body).expect("read");
        assert_eq!((options.binary_name.as_str(), options.root.as_str()), ("/usr/bin/ab", "/r"));
        assert_eq!((options.systemd_cgroup, options.io_uid, options.no_pivot_root), (true, 7, false));
        assert_eq!(generic("").expect("none"), Options::default());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for line in
            ["[options]", "SystemdCgroup = yes", "Root = /r", "Root = \"/r", "Root = \"", "IoUid = \"7\""]
        {
            let error = generic(&format!("NoPivotRoot = true\n{line}\n")).expect_err(line);
            assert!(error.to_string().contains(&format!("options: line 2: {line:?}: must be ")), "{error}");
        }
    }

    #[test]
    fn of_a_foreign_line_an_error_repeats_the_beginning_only() {
        let error = generic(&"\u{e4}".repeat(1000)).expect_err("no option");
        let expected = format!("options: line 1: \"{}\": must be", "\u{e4}".repeat(EXCERPT));
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    fn in_a_file(text: &[u8]) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().expect("made");
        let path = directory.path().join("options.toml");
        std::io::Write::write_all(&mut std::fs::File::create_new(&path).expect("made"), text)
            .expect("written");
        let kept = Mode::RUSR | Mode::WUSR;
        rustix::fs::chmod(&path, kept).expect("set");
        let path = path.to_str().expect("text").to_owned();
        (directory, path)
    }

    #[test]
    fn options_in_a_file_are_read() {
        let (_directory, path) = in_a_file(b"SystemdCgroup = true\nRoot = \"/r\"\n");
        let options = generic_of(2, &path).expect("read");
        assert_eq!((options.systemd_cgroup, options.root.as_str()), (true, "/r"));
    }

    #[test]
    fn a_line_of_a_file_is_named_with_file_and_number() {
        let (_directory, path) = in_a_file(b"# a note\n\n  SystemdCgroup = yes\n");
        let error = generic_of(2, &path).expect_err("no option").to_string();
        let expected = format!("options: {path}, line 3: \"SystemdCgroup = yes\": must be true or false");
        assert_eq!(error, expected);
    }

    #[test]
    fn a_file_of_options_that_others_may_write_is_refused() {
        for mode in [Mode::WGRP, Mode::WOTH] {
            let (_directory, path) = in_a_file(b"SystemdCgroup = true\n");
            rustix::fs::chmod(&path, Mode::RUSR | Mode::WUSR | mode).expect("set");
            let error = generic_of(2, &path).expect_err("writable").to_string();
            assert_eq!(error, format!("options: {path}: must not be writable by its group or by others"));
        }
    }

    #[test]
    fn a_file_of_options_belongs_to_root_or_to_the_user_of_the_shim() {
        for (owner, own, fits) in
            [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1000, 0, false), (1, 2, false)]
        {
            assert_eq!(check_keeper((owner, 0o100_644), own).is_ok(), fits, "{owner} {own}");
        }
        // Only root gives a file away.
        if rustix::process::geteuid().is_root() {
            let (_directory, path) = in_a_file(b"SystemdCgroup = true\n");
            rustix::fs::chown(&path, Some(rustix::fs::Uid::from_raw(1000)), None).expect("given");
            let error = generic_of(2, &path).expect_err("somebody else's").to_string();
            assert_eq!(error, format!("options: {path}: must be owned by root, or by the user of the shim"));
        }
    }

    #[test]
    fn a_file_of_options_that_is_none_is_named() {
        let (directory, long) = in_a_file(&[b'#'; 70_000]);
        let (_other, binary) = in_a_file(&[0xff]);
        let folder = directory.path().to_str().expect("text").to_owned();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).expect("made");
        let pipe = pipe.to_str().expect("text").to_owned();
        for path in [long, binary, folder, pipe, "/no/such/x.toml".to_owned(), "x.toml".to_owned()] {
            let error = generic_of(2, &path).expect_err(&path);
            assert!(error.to_string().contains(&path), "{error}");
        }
    }

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
