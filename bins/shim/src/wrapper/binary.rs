//! Which runtime a container gets: ours, in this process, or the program that the options name.
//!
//! Whoever names a program wants that program: a wrapper adds devices, a script adds arguments, kata starts a machine.
//! Ours takes its place only where that cannot be noticed: when no program is named, or when the name leads to `sluice`
//! or to the runc of a distribution. dockerd always names one, its own default.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where distributions and Docker's own packages put runc.
const PLACES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// The search path for a name without a slash when the environment has none.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who runs a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This process.
    InProcess,
    /// This program, by its command line.
    Program(PathBuf),
}

/// Decides for the `binary_name` of the options; `search` is the value of `PATH`. Looks at files: not for the control
/// thread.
#[must_use]
pub fn choose(binary_name: &str, search: Option<&str>) -> Choice {
    if binary_name.is_empty() {
        return Choice::InProcess;
    }
    let named = find(binary_name, search.unwrap_or(SEARCHED));
    let program = named.clone().unwrap_or_else(|| PathBuf::from(binary_name));
    match named.and_then(|path| std::fs::canonicalize(path).ok()) {
        Some(real) if is_ours(&real) || is_distributed_runc(&real) => Choice::InProcess,
        _ => Choice::Program(program),
    }
}

fn find(name: &str, search: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    search.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

fn is_ours(real: &Path) -> bool {
    real.file_name().is_some_and(|name| name == "sluice") && is_program(real)
}

/// A script named `runc` is somebody's wrapper, wherever it lies.
fn is_distributed_runc(real: &Path) -> bool {
    let named = real.file_name().is_some_and(|name| name == "runc");
    let placed = real.parent().is_some_and(|parent| PLACES.iter().any(|place| parent == Path::new(place)));
    let owned = std::fs::metadata(real).is_ok_and(|metadata| metadata.uid() == 0);
    named && placed && owned && is_program(real)
}

/// Source: elf(5): the first four bytes.
fn is_program(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && &magic == b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
        let path = folder.join(name);
        #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }

    #[test]
    fn no_name_and_our_own_name_are_in_process() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(choose("", None), Choice::InProcess);
        let ours = file(folder.path(), "sluice", b"\x7fELF...");
        assert_eq!(choose(&ours, None), Choice::InProcess);
        let link = folder.path().join("docker-runc");
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        assert_eq!(choose(&link.to_string_lossy(), None), Choice::InProcess);
        assert_eq!(choose("docker-runc", folder.path().to_str()), Choice::InProcess);
    }

    #[test]
    fn a_wrapper_is_honoured_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("runc", &b"#!/bin/sh\nexec /usr/bin/runc \"$@\"\n"[..]),
            ("sluice", b"#!/bin/sh\n"),
            ("nvidia-container-runtime", b"\x7fELF..."),
        ] {
            let path = file(folder.path(), name, bytes);
            assert_eq!(choose(&path, None), Choice::Program(path.clone().into()), "{name}");
            assert_eq!(choose(name, folder.path().to_str()), Choice::Program(path.into()), "{name}");
        }
        assert_eq!(choose("/no/such/runc", None), Choice::Program("/no/such/runc".into()));
        assert_eq!(choose("no-such", Some("/nowhere")), Choice::Program("no-such".into()));
    }

    #[test]
    fn a_runc_elsewhere_than_where_packages_put_it_is_external() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "runc", b"\x7fELF...");
        assert_eq!(choose(&path, None), Choice::Program(path.into()));
    }
}
