//! A snapshot as one file: JSON, compressed with gzip, so that `zcat FILE | jq` reads it too.
//!
//! **Invariant:** whatever the bytes are, loading returns; what is loaded is what was saved.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, Mode, OFlags};

use crate::snapshot::SCHEMA;
use crate::{Error, Result, Snapshot, new_file};

/// Most bytes that a file may have or unpack to: a node with a hundred thousand threads has some hundred megabytes.
const LARGEST: u64 = 1 << 30;

/// Writes a snapshot to a new file that only its owner can read; one that fails leaves none.
///
/// # Errors
/// When the file is there already (`EEXIST`), or cannot be created or written.
pub fn save(snapshot: &Snapshot, path: &Path) -> Result<()> {
    let bytes = encode(snapshot).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    new_file::write(path, &bytes, Mode::RUSR | Mode::WUSR)
}

/// Reads a snapshot that [`save`] wrote.
///
/// # Errors
/// When the file cannot be read, is damaged, is from a newer version, is larger than a gibibyte, or unpacks to more.
pub fn load(path: &Path) -> Result<Snapshot> {
    decode(&read(path, LARGEST)?, path)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let mut bytes = Vec::new();
    let wrap = |source| Error::Read { path: path.to_owned(), source };
    let mut file = std::fs::File::from(fd);
    file.by_ref().take(START).read_to_end(&mut bytes).map_err(wrap)?;
    if looks_right(&bytes) {
        file.take((limit + 1).saturating_sub(START)).read_to_end(&mut bytes).map_err(wrap)?;
    }
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// So many bytes show whether a file can be a snapshot: `/dev/zero` is not read to its end.
const START: u64 = 4096;

fn looks_right(start: &[u8]) -> bool {
    start.starts_with(GZIP) || start.trim_ascii_start().starts_with(b"{")
}

/// How a compressed file starts. Source: RFC 1952.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The bytes of a file.
///
/// # Errors
/// When compressing does, which memory alone can cause.
pub fn encode(snapshot: &Snapshot) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, snapshot)?;
    encoder.finish()
}

/// From the bytes of a file; `path` is for messages. Plain JSON is read as well.
///
/// # Errors
/// As [`load`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<Snapshot> {
    let unpacked =
        if bytes.starts_with(GZIP) { Cow::Owned(unpack(bytes, path, LARGEST)?) } else { bytes.into() };
    let wrap = |source| Error::Snapshot { path: path.to_owned(), source };
    // The version first: a newer layout must not be called damage.
    let version: Version = serde_json::from_slice(&unpacked).map_err(wrap)?;
    if version.schema > SCHEMA {
        return Err(Error::Schema { path: path.to_owned(), schema: version.schema, known: SCHEMA });
    }
    let mut snapshot: Snapshot = serde_json::from_slice(&unpacked).map_err(wrap)?;
    snapshot.put_in_order();
    Ok(snapshot)
}

#[derive(serde::Deserialize)]
struct Version {
    schema: u32,
}

fn unpack(bytes: &[u8], path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(bytes).take(limit + 1).read_to_end(&mut unpacked);
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if unpacked.len() as u64 > limit {
        return Err(Error::UnpacksTooLarge { path: path.to_owned(), limit });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Process;

    fn small() -> Snapshot {
        let process = |pid| Process { pid, comm: "x".to_owned(), state: 'S', ..Process::default() };
        Snapshot { schema: SCHEMA, processes: vec![process(1), process(7)], ..Snapshot::default() }
    }

    #[test]
    fn what_is_loaded_is_what_was_saved() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("node.snapshot");
        save(&small(), &path).unwrap();
        assert_eq!(load(&path).unwrap(), small());
        assert!(matches!(save(&small(), &path), Err(Error::Open { .. })), "a file is not overwritten");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_an_error_at_every_byte() {
        let whole = encode(&small()).unwrap();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], Path::new("x")).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn too_many_bytes_are_called_packed_only_where_they_were() {
        let lab = tempfile::tempdir().unwrap();
        let plain = lab.path().join("plain.json");
        new_file::write(&plain, format!("{{{}}}", " ".repeat(5000)).as_bytes(), Mode::RUSR).unwrap();
        let error = read(&plain, 5000).unwrap_err();
        assert_eq!(error.to_string(), format!("snapshot {} is larger than 5000 bytes", plain.display()));
        assert_eq!(read(&plain, 5002).unwrap().len(), 5002);

        let packed = encode(&small()).unwrap();
        let error = unpack(&packed, Path::new("x"), 100).unwrap_err();
        assert_eq!(error.to_string(), "snapshot x unpacks to more than 100 bytes");
    }

    #[test]
    fn a_newer_layout_is_not_called_damage() {
        let error = decode(br#"{"schema": 999, "processes": 5}"#, Path::new("x")).unwrap_err();
        assert_eq!(error.to_string(), "snapshot x has schema 999; this program reads up to 1");
    }

    #[test]
    fn a_missing_field_is_its_default() {
        let snapshot = decode(br#"{"schema": 1, "processes": [{"pid": 3}]}"#, Path::new("x")).unwrap();
        assert_eq!(snapshot.process(3).map(|process| process.thread_count), Some(0));
    }
}
