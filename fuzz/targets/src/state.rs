//! `state.json`: any bytes are a record or an error that names the file; a record survives being written.

use std::path::Path;

use container::store::parse;

pub(crate) fn run(bytes: &[u8]) {
    let path = Path::new("/run/sluice/c1/state.json");
    let record = match parse(path, bytes) {
        Ok(record) => record,
        Err(error) => {
            assert!(error.to_string().contains("c1"), "an error without a place: {error}");
            return;
        }
    };
    let written = serde_json::to_vec(&record).unwrap_or_default();
    let again = parse(path, &written).ok();
    assert_eq!(again.as_ref(), Some(&record), "a record changed by being written");
}
