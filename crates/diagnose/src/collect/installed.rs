//! Unit files, configuration files and package versions.

mod packages;
mod unit_file;

use super::folder::Folder;
use super::piece::Piece;
use super::worker::Visit;
use crate::redact;
use crate::snapshot::{Configuration, UnitFile, Unseen, Why};

pub use packages::{apk, dpkg};
pub use unit_file::settings;

/// Services whose units matter.
const SERVICES: &[&str] = &[
    "docker.service",
    "containerd.service",
    "kubelet.service",
    "crio.service",
    "cri-docker.service",
    "podman.service",
];

/// Where units lie: the first one found counts, drop-ins of all of them are added.
const UNIT_FOLDERS: &[&str] = &[
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Configuration of container services.
const CONFIGURATIONS: &[&str] = &[
    "etc/docker/daemon.json",
    "etc/containerd/config.toml",
    "etc/crio/crio.conf",
    "etc/containers/containers.conf",
    "var/lib/kubelet/config.yaml",
    "etc/default/docker",
    "etc/sysconfig/docker",
];

/// Most bytes of a configuration, and of a package database.
const LARGEST_CONFIGURATION: usize = 64 << 10;
const LARGEST_DATABASE: usize = 32 << 20;

/// What there is to look at: units named after services, then paths.
pub(super) fn units() -> Vec<String> {
    let databases = ["var/lib/dpkg/status", "lib/apk/db/installed", "usr/bin/rpm"];
    SERVICES.iter().chain(CONFIGURATIONS).chain(&databases).map(|&unit| unit.to_owned()).collect()
}

/// Looks at one of them.
pub(super) fn read(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    let found = match visit.unit {
        service if service.ends_with(".service") => unit(root, service).map(Piece::Unit),
        "var/lib/dpkg/status" => {
            root.text(visit.unit, LARGEST_DATABASE).ok().map(|text| Piece::Packages(dpkg(&text)))
        }
        "lib/apk/db/installed" => {
            root.text(visit.unit, LARGEST_DATABASE).ok().map(|text| Piece::Packages(apk(&text)))
        }
        "usr/bin/rpm" => packages::rpm(root).map(Piece::Packages),
        path => configuration(root, path).map(Piece::Configuration),
    };
    found.into_iter().collect()
}

/// Looks at a configuration that somebody was told to read: one that is not there says something, too.
pub(super) fn read_named(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    match root.text(visit.unit, LARGEST_CONFIGURATION) {
        Ok(text) => vec![Piece::Configuration(redacted(visit.unit, &text))],
        Err(errno) => {
            let absent = Unseen { what: format!("/{}", visit.unit), why: Why::Absent };
            vec![Piece::refused(visit.unit, errno).unwrap_or(Piece::Unseen(absent))]
        }
    }
}

/// A configuration file by its path below the root.
pub(super) fn configuration(root: &Folder, path: &str) -> Option<Configuration> {
    Some(redacted(path, &root.text(path, LARGEST_CONFIGURATION).ok()?))
}

fn redacted(path: &str, text: &str) -> Configuration {
    let text: Vec<String> = text.lines().map(redact::text).collect();
    Configuration { path: format!("/{path}"), text: text.join("\n") }
}

fn unit(root: &Folder, name: &str) -> Option<UnitFile> {
    let mut unit = UnitFile { name: name.to_owned(), ..UnitFile::default() };
    let main = UNIT_FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
    let (path, text) = main
        .into_iter()
        .find_map(|path| root.text(&path, LARGEST_CONFIGURATION).ok().map(|text| (path, text)))?;
    unit.paths.push(format!("/{path}"));
    unit.settings = settings(&text);
    // systemd reads drop-ins by their names, whatever folder they are in, and the most important folder wins.
    let mut drop_ins: Vec<(String, String)> = Vec::new();
    for folder in UNIT_FOLDERS {
        let folder = format!("{folder}/{name}.d");
        for entry in root.folder(&folder).and_then(|it| it.entries()).unwrap_or_default() {
            if entry.name.ends_with(".conf") && !drop_ins.iter().any(|(known, _)| *known == entry.name) {
                drop_ins.push((entry.name.clone(), format!("{folder}/{}", entry.name)));
            }
        }
    }
    drop_ins.sort();
    for (_, path) in drop_ins {
        unit.settings.extend(settings(&root.text(&path, LARGEST_CONFIGURATION).unwrap_or_default()));
        unit.paths.push(format!("/{path}"));
    }
    Some(unit)
}
