//! The texts of `/proc/PID`, each as a pure function.

use crate::redact;
use crate::snapshot::process::Variable;
use crate::snapshot::{Membership, Process, cgroup};

/// Most bytes of the arguments that are kept.
pub(super) const LONGEST_COMMAND: usize = 4 << 10;

/// Most bytes of an environment that are looked at.
pub(super) const LONGEST_ENVIRONMENT: usize = 64 << 10;

/// Variables whose values are worth keeping and no secrets.
const TELLING: &[&str] = &[
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "OPENSSL_FORCE_FIPS_MODE",
    "NOTIFY_SOCKET",
    "TTRPC_ADDRESS",
    "GRPC_ADDRESS",
    "NAMESPACE",
    "TMPDIR",
    "DOCKER_RAMDISK",
    "DOCKER_HOST",
    "MAX_SHIM_VERSION",
    "OPENSSL_CONF",
    "_LIBCONTAINER_INITTYPE",
    "_LIBCONTAINER_INITPIPE",
    "_LIBCONTAINER_LOGPIPE",
];

/// `stat`. Source: proc_pid_stat(5).
pub fn stat(text: &str) -> Option<Process> {
    let stat = proc::pid::Stat::parse(text)?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|word| word.parse::<u64>().ok());
    let ticks = |number| field(number).unwrap_or_default();
    Some(Process {
        pid: stat.pid,
        ppid: stat.ppid,
        pgrp: stat.pgrp,
        session: stat.session,
        comm: stat.comm,
        state: stat.state,
        flags: stat.flags,
        start_time: stat.start_time,
        cpu_ticks: ticks(14).saturating_add(ticks(15)),
        resident_bytes: ticks(24).saturating_mul(4096),
        thread_count: stat.num_threads,
        ns_pids: vec![stat.pid],
        ..Process::default()
    })
}

/// `status`: user, pids in namespaces, pending signals. Source: proc_pid_status(5).
pub fn status(text: &str, process: &mut Process) {
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let mut words = value.split_ascii_whitespace();
        match key {
            "Uid" => process.uid = words.next().and_then(|word| word.parse().ok()),
            "NSpid" => process.ns_pids = words.filter_map(|word| word.parse().ok()).collect(),
            "VmRSS" => {
                let kilobytes = words.next().and_then(|word| word.parse::<u64>().ok());
                process.resident_bytes = kilobytes.unwrap_or_default().saturating_mul(1024);
            }
            "SigPnd" | "ShdPnd" => {
                let bits = words.next().and_then(|word| u64::from_str_radix(word, 16).ok());
                process.signals_pending |= bits.unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// `cgroup`, and the container that the paths name.
pub fn groups(text: &str, process: &mut Process) {
    let entries = proc::cgroup_file::parse(text);
    process.cgroups = entries
        .iter()
        .map(|entry| Membership {
            hierarchy: if entry.is_unified() {
                cgroup::UNIFIED.to_owned()
            } else {
                entry.controllers.join(",")
            },
            path: entry.path.to_string_lossy().into_owned(),
        })
        .collect();
    process.container = process.cgroups.iter().find_map(|group| container_id(&group.path));
}

/// The innermost part of a path that is, or ends in, an id of 64 hexadecimal digits: `ID`, `docker-ID.scope`,
/// `cri-containerd-ID.scope`, `libpod-ID.scope`, `:cri-containerd:ID`.
pub fn container_id(path: &str) -> Option<String> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        let is_id = id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        // podman keeps its conmon in a group that is named after the container.
        (is_id && !part.starts_with("libpod-conmon-")).then(|| id.to_owned())
    })
}

/// `cmdline`, secrets redacted.
pub fn args(text: &str) -> Vec<String> {
    let words: Vec<String> = text.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    if words.len() == 1 && words[0].is_empty() {
        return Vec::new();
    }
    redact::arguments(&words)
}

/// `environ`: the telling variables with their values, the others by name.
pub fn environment(text: &str) -> Vec<Variable> {
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| Variable {
            name: name.to_owned(),
            value: TELLING.contains(&name).then(|| redact::text(value)),
        })
        .collect()
}

/// `Max open files` of `limits`, the soft one.
pub fn open_files_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// `4026531836` of `pid:[4026531836]`.
pub fn inode_of_link(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "205f87233581b88f3bc24e299325132992251137668be14e8577899d6f4e4fcd";

    #[test]
    fn the_container_is_found_in_every_spelling() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/burstable/pod6c4333b3-a663-11ea-b39f-6c92bf85beda/{ID}"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("/system.slice/kubelet.slice:cri-containerd:{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container/init"),
        ] {
            assert_eq!(container_id(&path).as_deref(), Some(ID), "{path}");
        }
        for path in ["/", "/system.slice/docker.service", &format!("/x/libpod-conmon-{ID}.scope"), &ID[1..]] {
            assert_eq!(container_id(path), None, "{path}");
        }
    }

    #[test]
    fn status_gives_user_and_namespaces() {
        let mut process = Process::default();
        let text = "Name:\tx\nUid:\t1000\t0\t0\t0\nNSpid:\t8104\t12\nVmRSS:\t  12 kB\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000001\n";
        status(text, &mut process);
        assert_eq!((process.uid, process.ns_pids.as_slice()), (Some(1000), [8104, 12].as_slice()));
        assert_eq!((process.resident_bytes, process.signals_pending), (12 << 10, 0x101));
    }

    #[test]
    fn only_telling_variables_have_values() {
        let found = environment("GODEBUG=fips140=on\0DB_PASSWORD=x\0HOME=/root\0");
        let values: Vec<Option<&str>> = found.iter().map(|it| it.value.as_deref()).collect();
        assert_eq!(values, [Some("fips140=on"), None, None]);
    }

    #[test]
    fn arguments_are_parted_at_zero_bytes() {
        assert_eq!(args("runc\0--root\0/run\0\0"), ["runc", "--root", "/run"]);
        assert_eq!(args(""), Vec::<String>::new());
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(open_files_limit(text), Some(1024));
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC*") {
            let _ = (stat(&text), container_id(&text), args(&text), environment(&text));
            let _ = (open_files_limit(&text), inode_of_link(&text));
            let mut process = Process::default();
            status(&text, &mut process);
            groups(&text, &mut process);
        }
    }
}
