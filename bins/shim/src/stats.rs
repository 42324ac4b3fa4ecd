//! `Stats`: what a container has used, as the metrics message of the host's kind of control groups.
//!
//! **Invariant:** what is not there is 0 or absent, never an error; only a group that is gone is one. Reading a control
//! file can sleep in the kernel, so nothing of this runs on the control thread.

mod v1;
mod v2;

use cgroup::{Kind, Paths};
use proc::kv::Amount;
use protobuf::Message;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The type of the message on a host with cgroup v1, as it stands in an `Any` of this protocol.
pub const TYPE_V1: &str = "io.containerd.cgroups.v1.Metrics";

/// The type of the message on a host with cgroup v2.
pub const TYPE_V2: &str = "io.containerd.cgroups.v2.Metrics";

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The group has been removed, or is being removed.
    #[error("the group {path} is gone")]
    Gone {
        /// The group.
        path: PathBuf,
    },
    /// The message could not be encoded.
    #[error("encode the metrics")]
    Encode {
        /// Why.
        source: protobuf::Error,
    },
}

/// A message with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// [`TYPE_V1`] or [`TYPE_V2`].
    pub type_url: &'static str,
    /// The encoded message.
    pub value: Vec<u8>,
}

/// Reads the metrics of a container. May sleep in the kernel.
///
/// # Errors
/// [`Error::Gone`] for a group that is not there any more.
pub fn metrics(paths: &Paths) -> Result<Metrics, Error> {
    let encode = |source| Error::Encode { source };
    let metrics = match paths.kind() {
        Kind::V1 => {
            Metrics { type_url: TYPE_V1, value: v1::metrics(paths).write_to_bytes().map_err(encode)? }
        }
        Kind::V2 => {
            let group = Group { path: paths.unified.as_deref() };
            Metrics { type_url: TYPE_V2, value: v2::metrics(&group).write_to_bytes().map_err(encode)? }
        }
    };
    // Afterwards: a group that vanished while it was read would have given half of the truth.
    if is_gone(paths.main()) { Err(Error::Gone { path: paths.main().to_owned() }) } else { Ok(metrics) }
}

/// Kernel: the files of a removed group that is still open answer `ENODEV`.
fn is_gone(path: &Path) -> bool {
    matches!(read(&path.join("cgroup.procs")), Err(Errno::NOENT | Errno::NODEV | Errno::NOTDIR))
}

fn read(path: &Path) -> Result<String, Errno> {
    std::fs::read_to_string(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// A directory that may not be there, read without errors.
struct Group<'a> {
    path: Option<&'a Path>,
}

impl Group<'_> {
    /// The text of a file; empty when it cannot be read.
    fn text(&self, name: &str) -> String {
        self.path.and_then(|path| read(&path.join(name)).ok()).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).trim().parse().unwrap_or(0)
    }

    /// A limit, the largest number for `max`.
    ///
    /// Compat: containerd/cgroups, cgroup2.
    fn limit(&self, name: &str) -> u64 {
        match self.text(name).parse() {
            Ok(Amount::Number(value)) => value,
            Ok(Amount::Max) => u64::MAX,
            Err(_) => 0,
        }
    }

    /// The page sizes for which there is `hugetlb.SIZE.SUFFIX`, sorted.
    fn page_sizes(&self, suffix: &str) -> Vec<String> {
        let entries = self.path.and_then(|path| std::fs::read_dir(path).ok()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let size = |name: String| {
            let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?.strip_suffix('.')?;
            (!size.contains('.')).then(|| size.to_owned())
        };
        let mut sizes: Vec<String> = names.filter_map(size).collect();
        sizes.sort();
        sizes
    }
}

/// `mlx4_0 hca_handle=2 hca_object=2000` a line: device, handles, objects. `max` is the largest number.
fn rdma(text: &str) -> Vec<(String, u32, u32)> {
    let count = |pairs: &[(&str, Amount)], name: &str| {
        let value = pairs.iter().find(|(key, _)| *key == name).map_or(Amount::Number(0), |(_, value)| *value);
        u32::try_from(value.number().unwrap_or(u64::MAX)).unwrap_or(u32::MAX)
    };
    let lines = proc::kv::nested_keyed(text).into_iter();
    lines
        .map(|(device, pairs)| (device.to_owned(), count(&pairs, "hca_handle"), count(&pairs, "hca_object")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of plain files.
    pub(super) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_group_that_is_gone_is_an_error_and_not_a_row_of_zeros() {
        let folder = tree(&[]);
        let unified = Some(folder.path().join("gone"));
        let refused = metrics(&Paths { unified, ..Paths::default() });
        assert!(matches!(&refused, Err(Error::Gone { path }) if path.ends_with("gone")), "{refused:?}");
    }

    #[test]
    fn the_kind_of_the_host_decides_the_message() {
        let folder = tree(&[("cgroup.procs", "1\n")]);
        let path = folder.path().to_owned();
        let v2 = Paths { unified: Some(path.clone()), ..Paths::default() };
        assert_eq!(metrics(&v2).unwrap().type_url, TYPE_V2);
        let v1 = Paths { v1: [("memory".to_owned(), path)].into(), ..Paths::default() };
        assert_eq!(metrics(&v1).unwrap().type_url, TYPE_V1);
    }

    #[test]
    fn lines_of_rdma() {
        let found = rdma("mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=max\n");
        assert_eq!(found, [("mlx4_0".to_owned(), 2, 2000), ("ocrdma1".to_owned(), 3, u32::MAX)]);
    }
}
