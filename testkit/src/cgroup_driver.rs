//! Who makes the control groups of an engine's containers when nobody tells the engine.

use std::path::Path;

/// A cgroup driver, by the name that engines give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The runtime makes directories below a parent group.
    Cgroupfs,
    /// systemd makes a scope below a slice.
    Systemd,
}

impl CgroupDriver {
    /// What dockerd and podman choose on this host: systemd where it is the first process and cgroup v2 is all there is.
    ///
    /// dockerd keeps to cgroupfs on v1 even beside systemd.
    #[must_use]
    pub fn of_this_host() -> Self {
        let systemd = Path::new("/run/systemd/system").is_dir();
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if systemd && unified { Self::Systemd } else { Self::Cgroupfs }
    }

    /// `cgroupfs` or `systemd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }

    /// True for systemd.
    #[must_use]
    pub fn is_systemd(self) -> bool {
        self == Self::Systemd
    }
}
