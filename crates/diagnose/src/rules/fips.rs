//! A host in FIPS mode with a runtime that dies in it.
//!
//! *What it sees*: FIPS mode of the kernel, and a docker or runc of the builds that crash under it.
//!
//! *Why it happens*: the runtime was built with a Go toolchain whose FIPS mode aborts when it cannot find its files
//! inside of the container's file system. Every exec and every exec probe fails, for every container.
//!
//! *How to confirm*: `cat /proc/sys/crypto/fips_enabled`; `rpm -q docker`; the error says `read parent: connection reset
//! by peer`, and http probes work.
//!
//! *What to do*: another build (docker 1.13.1-75, or Docker's own packages); no FIPS mode where that is allowed.
//!
//! *What that costs*: a restart of the daemon.
//!
//! Source: Red Hat bug 1655214; failure class EX-39; two reports from the field.

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::version::Version;
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    if view.snapshot.host.fips != Some(true) {
        return Vec::new();
    }
    let old = view.snapshot.packages.iter().filter(|package| crashes(&package.name, &package.version));
    old.map(|package| finding(&package.name, &package.version)).collect()
}

/// Builds of docker 1.13.1 from release 84 on, until the repair in 1.13.1-88.
fn crashes(name: &str, version: &str) -> bool {
    let between = |from: &str, below: &str| {
        let version = Version::parse(version);
        version >= Version::parse(from) && version < Version::parse(below)
    };
    name == "docker" && between("1.13.1-84", "1.13.1-88")
}

fn finding(name: &str, version: &str) -> Finding {
    let title = format!("{name} {version} crashes at every exec on a host in FIPS mode");
    Finding::new("fips", name, Severity::Critical, title)
        .class("EX-39")
        .blocker(None, "FIPS mode", "a runtime that was built for it")
        .evidence("/proc/sys/crypto/fips_enabled", "1")
        .evidence("packages", format!("{name} {version}"))
        .remedy(
            Remedy::advise("downgrade", "install docker 1.13.1-75, or Docker's own packages")
                .costs("a restart of dockerd")
                .may_follow("containers without live-restore are restarted"),
        )
        .remedy(Remedy::advise("probe", "use HTTP or TCP probes meanwhile").costs("nothing at run time"))
}
