//! The device allow-list that every container gets, whatever its configuration says.

use cgroup::{DeviceRule, Resources};

/// Adds the default rules after the configured ones, as runc does: the devices that the runtime itself makes, and
/// `mknod` of any.
///
/// Compat: runc, `libcontainer/specconv/spec_linux.go`, `AllowedDevices`.
pub(crate) fn add_defaults(resources: &mut Resources) {
    // kind, major, minor, access; -1 = any.
    const ALLOWED: [(char, i64, i64, &str); 10] = [
        ('c', -1, -1, "m"),
        ('b', -1, -1, "m"),
        ('c', 1, 3, "rwm"),
        ('c', 1, 8, "rwm"),
        ('c', 1, 7, "rwm"),
        ('c', 5, 0, "rwm"),
        ('c', 1, 5, "rwm"),
        ('c', 1, 9, "rwm"),
        ('c', 136, -1, "rwm"),
        ('c', 5, 2, "rwm"),
    ];
    resources.devices.extend(ALLOWED.into_iter().map(|(kind, major, minor, access)| {
        let number = |value: i64| (value >= 0).then_some(value);
        DeviceRule {
            allow: true,
            kind: Some(kind.to_string()),
            major: number(major),
            minor: number(minor),
            access: Some(access.to_owned()),
        }
    }));
}
