//! Package databases of Debian, Alpine and of everybody who uses rpm.

use std::process::{Command, Stdio};

use crate::collect::folder::Folder;
use crate::snapshot::Package;

/// Packages that matter: beginnings of names.
const NAMES: &[&str] = &[
    "docker",
    "moby",
    "containerd",
    "runc",
    "crun",
    "podman",
    "cri-o",
    "crio",
    "conmon",
    "kubelet",
    "kubernetes-",
    "cri-tools",
    "systemd",
    "libseccomp",
    "fuse-overlayfs",
    "netavark",
    "nvidia-container",
    "linux-image-",
    "kernel",
    "sluice",
    "glibc",
    "libc6",
    "musl",
    "golang-github-containers",
    "buildkit",
    "nerdctl",
    "youki",
    "kata",
];

fn matters(name: &str) -> bool {
    let plain = name.strip_prefix("golang-").unwrap_or(name);
    NAMES.iter().any(|start| plain.starts_with(start))
        && !["-dev", "-doc", "-dbg", "-devel", "-dbgsym"].iter().any(|end| name.ends_with(end))
}

fn package(name: &str, version: &str, from: &str) -> Package {
    Package { name: name.to_owned(), version: version.to_owned(), from: from.to_owned() }
}

/// `/var/lib/dpkg/status`: paragraphs; only what is installed.
#[must_use]
pub fn dpkg(text: &str) -> Vec<Package> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let name = paragraph.lines().find_map(|line| line.strip_prefix("Package: "))?;
        if !matters(name) || !paragraph.contains("\nStatus: install ok installed") {
            return None;
        }
        let version = paragraph.lines().find_map(|line| line.strip_prefix("Version: "))?;
        Some(package(name, version, "dpkg"))
    });
    paragraphs.collect()
}

/// `/lib/apk/db/installed`: paragraphs of `P:name` and `V:version`.
#[must_use]
pub fn apk(text: &str) -> Vec<Package> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let value = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key));
        let name = value("P:").filter(|name| matters(name))?;
        Some(package(name, value("V:")?, "apk"))
    });
    paragraphs.collect()
}

/// Asks `rpm`, whose database has no form of its own to be read. `None` where there is no such database.
pub(super) fn rpm(root: &Folder) -> Option<Vec<Package>> {
    root.folder("var/lib/rpm").ok()?;
    root.dates("usr/bin/rpm").ok()?;
    let mut command = Command::new("/usr/bin/rpm");
    command.args(["-qa", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\n"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(rpm_list(&String::from_utf8_lossy(&output.stdout)))
}

fn rpm_list(text: &str) -> Vec<Package> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter(|(name, _)| matters(name)).map(|(name, version)| package(name, version, "rpm")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_and_matters_counts() {
        let text = "Package: runc\nStatus: install ok installed\nVersion: 1.1.5+ds1\n\nPackage: vim\nStatus: install ok installed\nVersion: 9\n\nPackage: crun\nStatus: deinstall ok config-files\nVersion: 1\n";
        assert_eq!(dpkg(text), [package("runc", "1.1.5+ds1", "dpkg")]);
    }

    #[test]
    fn other_databases_say_the_same() {
        assert_eq!(apk("P:runc\nV:1.1.12-r1\n\nP:zlib\nV:1\n"), [package("runc", "1.1.12-r1", "apk")]);
        assert_eq!(
            rpm_list("docker-ce 24.0.7-1.el7\nbash 5-1\n"),
            [package("docker-ce", "24.0.7-1.el7", "rpm")]
        );
    }
}
