//! `features`: what this runtime promises to callers that choose by it.
//!
//! **Invariant:** a claim is a promise: a name stands in a table below only if a test shows that it works. This file
//! is the one place to change a claim.
//!
//! Source: <https://github.com/opencontainers/runtime-spec/blob/main/features.md>

use std::collections::BTreeMap;

use serde::Serialize;

/// The oldest version of the specification whose bundles run.
pub const OCI_VERSION_MIN: &str = "1.0.0";
/// The newest version of the specification that callers may count on. Bundles that name a newer 1.x run as well: what of
/// 1.3 is not done here is refused by its name, where it is asked for; above that a field is not known, and a warning in
/// the log says so.
pub const OCI_VERSION_MAX: &str = crate::state::OCI_VERSION;

const HOOKS: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

const NAMESPACES: &[&str] = &["cgroup", "ipc", "mount", "network", "pid", "user", "uts"];

const SECCOMP_ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const SECCOMP_OPERATORS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

const SECCOMP_ARCHITECTURES: &[&str] =
    &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];

const SECCOMP_FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// The claims that are just yes or no.
///
/// `SELinux` is in the code but was run on no host that has it, so it is not claimed.
const CLAIMS: Claims = Claims {
    cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: false, rdma: false },
    seccomp: true,
    apparmor: true,
    selinux: false,
    intel_rdt: false,
    idmapped_mounts: true,
    net_devices: false,
};

struct Claims {
    cgroup: Cgroup,
    seccomp: bool,
    apparmor: bool,
    selinux: bool,
    intel_rdt: bool,
    idmapped_mounts: bool,
    net_devices: bool,
}

/// The answer of `features`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: &'static [&'static str],
    mount_options: Vec<String>,
    linux: Linux,
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: &'static [&'static str],
    capabilities: &'static [&'static str],
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: Enabled,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the schema is five independent claims")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: &'static [&'static str],
    operators: &'static [&'static str],
    archs: &'static [&'static str],
    known_flags: &'static [&'static str],
    supported_flags: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

#[derive(Debug, Serialize)]
struct Enabled {
    enabled: bool,
}

/// Puts the claims together; `version` and `commit` are those of the program that prints them.
#[must_use]
pub fn features(version: &str, commit: Option<&str>) -> Features {
    let mut annotations = BTreeMap::new();
    annotations.insert("io.sluice.version", version.to_owned());
    if let Some(commit) = commit {
        annotations.insert("io.sluice.commit", commit.to_owned());
    }
    // Compat: containerd and podman ask for checkpoints by this name, whatever the runtime is.
    annotations.insert("org.opencontainers.runc.checkpoint.enabled", String::from("false"));
    Features {
        oci_version_min: OCI_VERSION_MIN,
        oci_version_max: OCI_VERSION_MAX,
        hooks: HOOKS,
        mount_options: mount_options(),
        linux: linux(),
        annotations,
    }
}

/// The words that the mounts understand, without those whose claim is not made.
fn mount_options() -> Vec<String> {
    let mut words = crate::rootfs::known_words();
    words.retain(|word| CLAIMS.idmapped_mounts || !matches!(word.as_str(), "idmap" | "ridmap"));
    words
}

fn linux() -> Linux {
    Linux {
        namespaces: NAMESPACES,
        capabilities: &crate::capability::NAMES,
        cgroup: CLAIMS.cgroup,
        seccomp: Seccomp {
            enabled: CLAIMS.seccomp,
            actions: SECCOMP_ACTIONS,
            operators: SECCOMP_OPERATORS,
            archs: SECCOMP_ARCHITECTURES,
            known_flags: SECCOMP_FLAGS,
            supported_flags: SECCOMP_FLAGS,
        },
        apparmor: Enabled { enabled: CLAIMS.apparmor },
        selinux: Enabled { enabled: CLAIMS.selinux },
        intel_rdt: Enabled { enabled: CLAIMS.intel_rdt },
        mount_extensions: MountExtensions { idmap: Enabled { enabled: CLAIMS.idmapped_mounts } },
        net_devices: Enabled { enabled: CLAIMS.net_devices },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_names_of_the_specification() {
        let answer = serde_json::to_value(features("1.2.3", Some("abc"))).expect("JSON");
        for pointer in [
            "/ociVersionMin",
            "/ociVersionMax",
            "/hooks/0",
            "/mountOptions/0",
            "/linux/namespaces/0",
            "/linux/capabilities/40",
            "/linux/cgroup/v1",
            "/linux/cgroup/systemdUser",
            "/linux/seccomp/knownFlags/0",
            "/linux/seccomp/supportedFlags/0",
            "/linux/intelRdt/enabled",
            "/linux/mountExtensions/idmap/enabled",
            "/linux/netDevices/enabled",
            "/annotations/org.opencontainers.runc.checkpoint.enabled",
        ] {
            assert!(answer.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn lists_of_names_are_sorted_and_hold_each_name_once() {
        for names in [NAMESPACES, SECCOMP_ACTIONS, SECCOMP_OPERATORS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS] {
            assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
        }
    }
}
