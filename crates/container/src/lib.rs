//! The OCI life cycle, one file per verb.

pub mod config;
