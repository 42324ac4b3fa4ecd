//! `config.json`: any bytes are a configuration or an error that names its place.

use std::path::Path;

use container::config::Config;

pub(crate) fn run(bytes: &[u8]) {
    match Config::parse(bytes) {
        Ok(config) => drop(config.validate(Path::new("/"))),
        Err(error) => assert!(error.to_string().contains("config.json"), "an error without a place: {error}"),
    }
}
