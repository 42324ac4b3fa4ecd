//! Capability names.

/// Every capability in the order of its number.
///
/// Source: include/uapi/linux/capability.h.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The mask of a list of names, and the names that are not capabilities.
pub(crate) fn mask(names: &[String]) -> (u64, Vec<&str>) {
    let mut mask = 0;
    let mut unknown = Vec::new();
    for name in names {
        match NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            Some(number) => mask |= 1 << number,
            None => unknown.push(name.as_str()),
        }
    }
    (mask, unknown)
}

/// The full name of a capability that may be given without its prefix.
pub(crate) fn full_name(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_the_kernel_s_bits() {
        let names = ["CAP_CHOWN", "cap_setfcap", "CAP_CHECKPOINT_RESTORE", "CAP_NO"].map(str::to_owned);
        assert_eq!(mask(&names), (1 | 1 << 31 | 1 << 40, vec!["CAP_NO"]));
    }
}
