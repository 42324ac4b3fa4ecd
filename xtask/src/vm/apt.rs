//! Where this machine gets Debian from: mirror, keys and proxy, out of apt's own configuration.
//!
//! **Invariant:** no mirror is named here but Debian's public one, for machines that are not Debian.

mod deb822;
mod dump;
mod one_line;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::output_of;

use dump::Dump;

/// For machines whose apt knows no Debian.
const PUBLIC: &str = "http://deb.debian.org/debian";

/// The same for the security archive.
const PUBLIC_SECURITY: &str = "http://deb.debian.org/debian-security";

/// Where Debian's package `debian-archive-keyring` puts the keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where apt looks for keys that belong to no source in particular.
const TRUSTED: &[&str] = &["/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg", "/etc/apt/trusted.gpg"];

/// One place that apt gets packages from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
    /// A file with keys, when the source names one.
    signed_by: Option<PathBuf>,
    /// Whether the source is trusted without a signature.
    trusted: bool,
}

impl Source {
    /// Whether Debian itself is there: one of its suites, with its main component.
    fn is_debian(&self) -> bool {
        const SUITES: &[&str] =
            &["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];
        let base = self.suite.strip_suffix("-security").unwrap_or(&self.suite);
        let reachable = ["http://", "https://", "file:"].iter().any(|scheme| self.uri.starts_with(scheme));
        reachable && SUITES.contains(&base) && self.components.iter().any(|component| component == "main")
    }

    fn is_security(&self) -> bool {
        self.suite.ends_with("-security")
    }
}

/// What debootstrap needs to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    mirror: String,
    security: String,
    keyring: Option<PathBuf>,
    trusted: bool,
    proxies: Vec<(&'static str, String)>,
}

impl Origin {
    /// Reads apt's configuration and lists of sources. Whatever cannot be read counts as empty.
    pub(super) fn of_this_machine() -> Self {
        let dump = Dump::parse(&output_of(Command::new("apt-config").arg("dump")).unwrap_or_default());
        Self::choose(&sources(&dump), &dump, Path::exists)
    }

    fn choose(sources: &[Source], dump: &Dump, exists: fn(&Path) -> bool) -> Self {
        let debian = sources.iter().filter(|source| source.is_debian());
        let security = debian.clone().find(|source| source.is_security());
        let main = debian.clone().find(|source| !source.is_security());
        let uri = |source: Option<&Source>, public: &str| {
            source.map_or_else(|| public.to_owned(), |source| source.uri.trim_end_matches('/').to_owned())
        };
        let named = main.and_then(|source| source.signed_by.clone());
        let usual = [KEYRING].iter().chain(TRUSTED).map(PathBuf::from);
        Self {
            mirror: uri(main, PUBLIC),
            security: uri(security, PUBLIC_SECURITY),
            keyring: named.into_iter().filter(|path| is_binary(path)).chain(usual).find(|path| exists(path)),
            trusted: main.is_some_and(|source| source.trusted),
            proxies: dump.proxies(),
        }
    }

    /// The environment of the build script; see its head.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let keyring = self.keyring.as_deref().map(|path| path.to_string_lossy().into_owned());
        let mut all = vec![
            ("MIRROR", self.mirror.clone()),
            ("SECURITY_MIRROR", self.security.clone()),
            ("KEYRING", keyring.unwrap_or_default()),
            ("TRUST", if self.trusted { "unsigned" } else { "signed" }.to_owned()),
        ];
        all.extend(self.proxies.iter().cloned());
        all
    }
}

/// debootstrap checks with gpgv, which does not read armoured keys.
fn is_binary(keys: &Path) -> bool {
    keys.extension().is_some_and(|extension| extension == "gpg")
}

/// All sources of apt, in the order in which apt reads the files.
fn sources(dump: &Dump) -> Vec<Source> {
    let etc = PathBuf::from("/").join(dump.value("Dir::Etc").unwrap_or("etc/apt"));
    let folder = etc.join(dump.value("Dir::Etc::sourceparts").unwrap_or("sources.list.d"));
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.into_iter().flatten().collect();
    files.sort();
    files.insert(0, etc.join(dump.value("Dir::Etc::sourcelist").unwrap_or("sources.list")));
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Source> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("list") => one_line::parse(&text),
        Some("sources") => deb822::parse(&text),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suite: &str) -> Source {
        Source {
            uri: uri.to_owned(),
            suite: suite.to_owned(),
            components: vec!["main".to_owned()],
            ..Source::default()
        }
    }

    #[test]
    fn the_machines_mirrors_are_taken() {
        let sources = [
            source("https://deb.example.org/tool", "nodistro"),
            source("http://mirror.example/sec/", "bookworm-security"),
            source("http://mirror.example/debian/", "bookworm"),
        ];
        let origin = Origin::choose(&sources, &Dump::default(), |_| true);
        assert_eq!(origin.mirror, "http://mirror.example/debian");
        assert_eq!(origin.security, "http://mirror.example/sec");
        assert_eq!(origin.keyring, Some(PathBuf::from(KEYRING)));
    }

    #[test]
    fn without_debian_the_public_mirror_is_taken() {
        let sources =
            [source("http://archive.example/ubuntu", "jammy"), source("cdrom:[Debian]/", "bookworm")];
        let origin = Origin::choose(&sources, &Dump::default(), |_| false);
        assert_eq!((origin.mirror.as_str(), origin.security.as_str()), (PUBLIC, PUBLIC_SECURITY));
        assert_eq!(origin.keyring, None);
    }

    #[test]
    fn a_sources_own_keys_and_its_trust_count() {
        let mut own = source("http://mirror.example/debian", "stable");
        own.signed_by = Some(PathBuf::from("/keys/own.gpg"));
        own.trusted = true;
        let origin = Origin::choose(&[own.clone()], &Dump::default(), |_| true);
        assert_eq!(origin.keyring, Some(PathBuf::from("/keys/own.gpg")));
        assert!(origin.environment().contains(&("TRUST", "unsigned".to_owned())));
        own.signed_by = Some(PathBuf::from("/keys/armoured.asc"));
        let origin = Origin::choose(&[own], &Dump::default(), |_| true);
        assert_eq!(origin.keyring, Some(PathBuf::from(KEYRING)));
    }

    #[test]
    fn a_proxy_reaches_the_script() {
        let dump = Dump::parse("Acquire::http::Proxy \"http://proxy.example:3128\";\n");
        let origin = Origin::choose(&[], &dump, |_| true);
        assert!(origin.environment().contains(&("http_proxy", "http://proxy.example:3128".to_owned())));
    }
}
