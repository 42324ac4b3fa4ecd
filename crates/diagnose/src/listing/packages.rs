//! `rpm -qa | grep docker`: names with version, release and architecture in one word.

use super::Import;
use crate::snapshot::Package;

/// Programs whose versions matter.
const NAMES: [&str; 4] = ["docker", "containerd", "runc", "kubelet"];

/// Architectures at the end of such a word.
const ENDS: [&str; 4] = [".x86_64", ".aarch64", ".noarch", ".ppc64le"];

/// Takes the line if it is a package of one of these programs and nothing else.
pub(super) fn line(import: &mut Import, line: &str) -> bool {
    let Some(package) = package(line.trim()) else { return false };
    if !import.packages.iter().any(|known| known.name == package.name && known.version == package.version) {
        import.packages.push(package);
    }
    true
}

/// `docker-client-1.13.1-84.git07f3374.el7.centos.x86_64`
fn package(word: &str) -> Option<Package> {
    let text = ENDS.into_iter().find_map(|end| word.strip_suffix(end))?;
    if word.contains(char::is_whitespace) || !NAMES.iter().any(|name| text.starts_with(name)) {
        return None;
    }
    let at = text
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    let (name, version) = (text[..at].to_owned(), text[at + 1..].to_owned());
    Some(Package { name, version, from: String::from("rpm") })
}
