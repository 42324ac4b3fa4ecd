//! What the values of a configuration must be, beyond their types. Every complaint is a place and what would be right.
//!
//! Nothing is changed on the host, and nothing is corrected silently: what is only suspicious is logged as a warning.

mod host;
mod identity;
mod mounts;
mod namespaces;
mod process;
mod sysctl;

use std::path::Path;

use super::{Config, Error, Hook, Linux, NamespaceType, Process, load::escape};

type Result = std::result::Result<(), Error>;

impl Config {
    /// Checks the whole configuration of the bundle in the directory `bundle`.
    ///
    /// # Errors
    /// The first value, in the order below, that has no meaning, is unsafe, or is not supported yet.
    pub fn validate(&self, bundle: &Path) -> Result {
        version(&self.oci_version)?;
        root(self, bundle)?;
        match &self.process {
            Some(process) => process.validate("config.json/process")?,
            None => return invalid("config.json/process", "absent, but a container needs a program to run"),
        }
        namespaces::check(&self.linux)?;
        identity::check(&self.linux)?;
        names(self)?;
        mounts::check(self)?;
        hooks(self)?;
        devices(&self.linux)?;
        sysctl::check(&self.linux)?;
        propagation(&self.linux)?;
        personality(&self.linux)?;
        labels(&self.linux)?;
        listener(&self.linux)?;
        unsupported(&self.linux)
    }
}

impl Process {
    /// Checks one process; `place` is where it stands, for example `config.json/process`.
    ///
    /// # Errors
    /// The first value that has no meaning.
    pub fn validate(&self, place: &str) -> Result {
        process::check(self, place)
    }
}

/// A complaint.
fn invalid(pointer: impl Into<String>, reason: impl Into<String>) -> Result {
    Err(Error::Invalid { pointer: pointer.into(), reason: reason.into() })
}

/// Source: config.md, "Specification version": a version that is not supported must be refused; those of one major
/// number are compatible.
///
/// Compat: engines write the newest version they know, whatever a container uses of it, so a newer minor number than
/// `features` claims says nothing yet: what is not done of 1.3 is refused by its own name ([`unsupported`]), and what a
/// later one brought is not known here, of which a warning tells. runc does not look at the version at all, and crun gave
/// its check up (pull request 1417) after containers of new engines had failed.
fn version(version: &str) -> Result {
    let place = "config.json/ociVersion";
    match version.split('.').next() {
        Some("1") => {
            if is_newer_than_known(version) {
                log::warn!(
                    "{place}: {version:?} is newer than 1.{KNOWN_MINOR}, the last version whose fields are all known here; \
                     what it added is passed over"
                );
            }
            Ok(())
        }
        Some("") | None => {
            let example = crate::features::OCI_VERSION_MAX;
            invalid(place, format!("absent, but must be the version of the specification, such as {example}"))
        }
        Some(_) => invalid(place, format!("version {version:?} is not supported, every 1.x is")),
    }
}

/// The minor number of the last 1.x whose fields are all done or refused by name.
const KNOWN_MINOR: u32 = 3;

/// A minor number that is none says nothing.
fn is_newer_than_known(version: &str) -> bool {
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor > KNOWN_MINOR)
}

fn root(config: &Config, bundle: &Path) -> Result {
    let place = "config.json/root";
    let Some(root) = &config.root else {
        return invalid(place, "absent, but a container needs a root file system");
    };
    let place = "config.json/root/path";
    if root.path.as_os_str().is_empty() {
        return invalid(place, "empty, but must be the directory of the root file system");
    }
    let path = bundle.join(&root.path);
    let stat = rustix::fs::stat(&path).map_err(|source| Error::Reference {
        pointer: place.into(),
        path: path.clone(),
        source,
    })?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory {
        return invalid(place, format!("{} must be a directory", path.display()));
    }
    let host = rustix::fs::stat("/").map_err(|source| Error::Reference {
        pointer: place.into(),
        path: "/".into(),
        source,
    })?;
    if (stat.st_dev, stat.st_ino) == (host.st_dev, host.st_ino) {
        return invalid(
            place,
            format!("{} is the root of the host; use a directory below it", path.display()),
        );
    }
    Ok(())
}

fn names(config: &Config) -> Result {
    let has_uts = config.linux.namespace(NamespaceType::Uts).is_some();
    for (field, value) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        let place = format!("config.json/{field}");
        if !value.is_empty() && !has_uts {
            return invalid(place, "set, but without a uts namespace it would rename the host");
        }
        // Source: uname(2), __NEW_UTS_LEN.
        if value.len() > 64 {
            return invalid(place, format!("{} bytes long, the kernel takes at most 64", value.len()));
        }
    }
    Ok(())
}

fn hooks(config: &Config) -> Result {
    for (name, list) in config.hooks.lists() {
        for (index, each) in list.iter().enumerate() {
            hook(each, &format!("config.json/hooks/{name}/{index}"))?;
        }
    }
    Ok(())
}

fn hook(hook: &Hook, place: &str) -> Result {
    if !hook.path.is_absolute() {
        return invalid(format!("{place}/path"), format!("{:?} must be an absolute path", hook.path));
    }
    if let Some(seconds) = hook.timeout.filter(|seconds| *seconds <= 0) {
        return invalid(format!("{place}/timeout"), format!("{seconds} must be more than 0 seconds"));
    }
    Ok(())
}

fn devices(linux: &Linux) -> Result {
    for (index, device) in linux.devices.iter().enumerate() {
        let place = format!("config.json/linux/devices/{index}");
        if !device.path.is_absolute() {
            return invalid(format!("{place}/path"), format!("{:?} must be an absolute path", device.path));
        }
        // Source: linux/kdev_t.h: 12 bits and 20 bits.
        for (field, value, most) in [("major", device.major, 0xfff), ("minor", device.minor, 0xf_ffff)] {
            let is_number = (0..=most).contains(&value) || device.kind == super::DeviceType::Fifo;
            if !is_number {
                return invalid(format!("{place}/{field}"), format!("{value} must be 0 to {most}"));
            }
        }
    }
    Ok(())
}

fn propagation(linux: &Linux) -> Result {
    let word = linux.rootfs_propagation.as_str();
    if word.is_empty() || crate::rootfs::is_propagation(word) {
        return Ok(());
    }
    let place = "config.json/linux/rootfsPropagation";
    invalid(
        place,
        format!("{word:?} must be private, slave, shared or unbindable, or one of them with a leading r"),
    )
}

fn personality(linux: &Linux) -> Result {
    let Some(personality) = &linux.personality else { return Ok(()) };
    let place = "config.json/linux/personality";
    if !matches!(personality.domain.as_str(), "LINUX" | "LINUX32") {
        return invalid(
            format!("{place}/domain"),
            format!("{:?} must be LINUX or LINUX32", personality.domain),
        );
    }
    if personality.flags.is_empty() {
        return Ok(());
    }
    invalid(format!("{place}/flags"), "not supported yet; the specification defines none")
}

fn labels(linux: &Linux) -> Result {
    if linux.mount_label.is_empty() || host::has_selinux() {
        return Ok(());
    }
    invalid("config.json/linux/mountLabel", "set, but SELinux is not enabled on this host")
}

/// What a listener's filter may be is the compiler's to say; where its descriptor goes is ours.
fn listener(linux: &Linux) -> Result {
    let Some(profile) = &linux.seccomp else { return Ok(()) };
    let notifies = profile.syscalls.iter().any(|rule| rule.action == seccomp::Action::Notify);
    let place = "config.json/linux/seccomp/listenerPath";
    if notifies && profile.listener_path.is_empty() {
        return invalid(place, "absent, but a rule with SCMP_ACT_NOTIFY needs the socket of its listener");
    }
    if !profile.listener_path.is_empty() && !Path::new(&profile.listener_path).is_absolute() {
        return invalid(place, format!("{:?} must be an absolute path", profile.listener_path));
    }
    if !notifies && !profile.listener_path.is_empty() {
        log::warn!("{place}: set, but no rule has SCMP_ACT_NOTIFY, so nothing will be sent there");
    }
    Ok(())
}

/// Understood, not carried out yet, and so not claimed by `features`.
fn unsupported(linux: &Linux) -> Result {
    if linux.intel_rdt.is_some() {
        let reason =
            if host::has_resctrl() { "not supported yet" } else { "resctrl is not mounted on this host" };
        return invalid("config.json/linux/intelRdt", reason);
    }
    if linux.memory_policy.is_some() {
        return invalid("config.json/linux/memoryPolicy", "not supported yet");
    }
    match linux.net_devices.keys().next() {
        Some(name) => invalid(format!("config.json/linux/netDevices/{}", escape(name)), "not supported yet"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
