//! Host name, domain name and kernel parameters: what the new namespaces are told about themselves.

use std::collections::BTreeMap;
use std::path::Path;

use proc::Procfs;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::error::{Error, Place};
use crate::config::{Config, pointer_key};

/// Sets the names of the UTS namespace that the process is in.
pub(super) fn name_host(config: &Config) -> Result<(), Error> {
    let (host, domain) = (&config.hostname, &config.domainname);
    if !host.is_empty() {
        rustix::system::sethostname(host.as_bytes())
            .map_err(Place::new("config.json/hostname", Path::new(host)).failed("sethostname"))?;
    }
    if !domain.is_empty() {
        rustix::system::setdomainname(domain.as_bytes())
            .map_err(Place::new("config.json/domainname", Path::new(domain)).failed("setdomainname"))?;
    }
    Ok(())
}

/// Writes every parameter through the host's procfs, whose files act on the namespaces of who opens them.
pub(super) fn write_all(proc: &Procfs, parameters: &BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in parameters {
        let path = format!("sys/{}", path_of(name));
        let place = Place::new(
            format!("config.json/linux/sysctl/{}", pointer_key(name)),
            &Path::new("/proc").join(&path),
        );
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(proc, &path, flags, Mode::empty(), resolve)
            .map_err(place.failed("open the kernel parameter"))?;
        rustix::io::write(&file, value.as_bytes()).map_err(place.failed("write the kernel parameter"))?;
    }
    Ok(())
}

/// Either separator may be used; the first one tells which, and the other then belongs to a name, as in
/// `net.ipv4.conf.eth0/1.forwarding`.
///
/// Source: sysctl.d(5)
pub(crate) fn path_of(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|first| name.as_bytes().get(first) == Some(&b'/')) {
        return name.to_owned();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn the_first_separator_says_which_one_is_meant() {
        let table = [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ];
        for (name, path) in table {
            assert_eq!(path_of(name), path);
        }
    }
}
