//! What this host can do, as far as a configuration may depend on it.

use std::path::Path;

/// Source: linux/magic.h, `SELINUX_MAGIC`.
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

/// Source: linux/magic.h, `RDTGROUP_SUPER_MAGIC`.
const RDTGROUP_SUPER_MAGIC: u64 = 0x0765_5821;

pub(super) fn has_selinux() -> bool {
    is_mounted("/sys/fs/selinux", SELINUX_MAGIC)
}

pub(super) fn has_resctrl() -> bool {
    is_mounted("/sys/fs/resctrl", RDTGROUP_SUPER_MAGIC)
}

pub(super) fn has_apparmor() -> bool {
    let enabled = std::fs::read(Path::new("/sys/module/apparmor/parameters/enabled"));
    enabled.is_ok_and(|text| text.starts_with(b"Y"))
}

fn is_mounted(path: &str, magic: u64) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(magic))
}
