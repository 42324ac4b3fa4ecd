//! A saved snapshot from anybody: any bytes are a snapshot or an error; one that is read survives being written, and
//! every rule and the page cope with it.

use std::path::Path;

use diagnose::saved::{decode, encode};

pub(crate) fn run(bytes: &[u8]) {
    let path = Path::new("node.snapshot");
    let Ok(snapshot) = decode(bytes, path) else { return };
    let written = encode(&snapshot).unwrap_or_default();
    assert_eq!(decode(&written, path).ok().as_ref(), Some(&snapshot), "a snapshot changed by being written");
    let _ = diagnose::diagnose::diagnose(&snapshot);
}
