//! What is installed and how it is configured.

use serde::{Deserialize, Serialize};

/// A unit file with its drop-ins, in the order in which systemd reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitFile {
    /// Name: `docker.service`.
    pub name: String,
    /// The files it consists of.
    pub paths: Vec<String>,
    /// Every setting; the last one of a key counts. Values of `Environment=` are redacted.
    pub settings: Vec<Setting>,
}

impl UnitFile {
    /// The value that counts for a key of a section.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let found = self.settings.iter().rev().find(|it| it.section == section && it.key == key);
        found.map(|setting| setting.value.as_str())
    }
}

/// One line of a unit file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// Section without brackets.
    pub section: String,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// A configuration file of a container service, secrets redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// Path: `/etc/docker/daemon.json`.
    pub path: String,
    /// Its text, at most 64 KiB.
    pub text: String,
}

/// An installed program with its version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Package {
    /// Name in the package database, or path of a program that no package brought.
    pub name: String,
    /// Version in full: `1.1.5+ds1-1+deb12u1`.
    pub version: String,
    /// Where that is known from: `dpkg`, `rpm`, `apk`, `--version`.
    pub from: String,
}
