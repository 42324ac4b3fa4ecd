//! A limit of the host, of a user or of a daemon that is reached, so that the next exec or start is refused.
//!
//! *What it sees*: keys of a user (`/proc/key-users`), inotify instances (one is asked for and given back), tasks of the
//! host, open files of the host and of each daemon, space and inodes of `/run`, `/tmp` and the folders of the daemons.
//! A limit that is nearly reached is a notice.
//!
//! *Why it happens*: each create and each exec makes a session keyring, and a user other than root may have 200 keys
//! (EX-18); a shim or a kubelet takes an inotify instance per container, of 128 that a user may have (ST-11); threads of
//! all containers count for `kernel.threads-max` and `kernel.pid_max` (EX-04); a daemon leaks a descriptor per exec, or
//! its unit lowers `LimitNOFILE` (NO-03); fifos and process specifications of execs are left in `/run` and `/tmp`
//! (EX-24). The messages mislead: `disk quota exceeded` is about keys, `too many open files` about inotify.
//!
//! *How to confirm*: the file in the evidence; `df -i /run /tmp`; `ls /proc/PID/fd | wc -l`.
//!
//! *What to do*: raise the limit, and find what leaks.
//!
//! *What that costs*: memory of the kernel; a daemon's own limit takes a restart of the daemon, or `prlimit`.
//!
//! Source: failure classes EX-04, EX-18, EX-24, NO-03 and ST-11; proc_key-users(5), inotify(7).

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::host::{FileSystem, KeyUser, Usage};
use crate::snapshot::{FdTarget, Process, Role, Unseen, Why};
use crate::view::View;

/// Threads that a stock runtime makes for an exec.
const THREADS: u64 = 5;

/// Bytes of a session keyring that is named after a container's id, for which 69 characters and some more count.
const BYTES_OF_A_KEY: u64 = 96;

/// Descriptors that a daemon opens for an exec: three fifos, their ends, a pidfd.
const DESCRIPTORS: u64 = 8;

/// Bytes and inodes without which nothing can be started.
const BYTES: u64 = 64 << 10;
const INODES: u64 = 8;

/// `EAGAIN`, with which the kernel refuses a process.
const AGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();

/// From here on it is told, in percent.
const NEARLY: u64 = 95;

/// Bytes and inodes of which a large file system has enough left, whatever the percentage.
const MANY_BYTES: u64 = 1 << 30;
const MANY_INODES: u64 = 10_000;

/// A limit, how it is named, and how much of it an exec takes.
struct Limit<'a> {
    class: Option<&'a str>,
    /// What it is about: the last part of the finding's id.
    subject: String,
    /// The setting, in the kernel's or the tool's spelling.
    name: &'a str,
    /// Of what there is no more.
    what: String,
    /// Where the numbers stand.
    file: String,
    usage: Usage,
    need: Need,
    remedy: Remedy,
}

/// How much has to be left.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// What an exec takes.
    exec: u64,
    /// What is enough for a while; the most there is, where only the percentage tells.
    a_while: u64,
}

impl Need {
    fn of_exec(exec: u64) -> Self {
        Self { exec, a_while: u64::MAX }
    }
}

/// How far a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// What an exec takes is not left.
    Wholly,
    /// Little is left.
    Nearly,
}

fn reached(usage: Usage, need: Need) -> Option<Reached> {
    let (used, max) = (usage.used?, usage.max.filter(|max| *max > 0)?);
    if used.saturating_add(need.exec) > max {
        return Some(Reached::Wholly);
    }
    let is_near = used.saturating_mul(100) >= max.saturating_mul(NEARLY);
    (is_near && max.saturating_sub(used) < need.a_while).then_some(Reached::Nearly)
}

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let limits = [keys(view), tasks(view), files(view), daemons(view), file_systems(view)];
    let found = limits.into_iter().flatten().filter_map(finding);
    found.chain(inotify(view)).chain(processes(view)).collect()
}

fn finding(limit: Limit<'_>) -> Option<Finding> {
    let (severity, words) = match reached(limit.usage, limit.need)? {
        Reached::Wholly => (Severity::Warning, "no more"),
        Reached::Nearly => (Severity::Notice, "nearly no more"),
    };
    let (used, max) = (limit.usage.used?, limit.usage.max?);
    let title = format!("{words} {}: {used} of {max}", limit.what);
    let finding = Finding::new("host_limits", &limit.subject, severity, title)
        .blocker(None, limit.name, format!("{}: {used} of {max} are taken", limit.what))
        .evidence(limit.file, format!("{used} of {max}"))
        .remedy(limit.remedy);
    Some(match limit.class {
        Some(class) => finding.class(class),
        None => finding,
    })
}

fn raise(setting: &str) -> Remedy {
    Remedy::advise("raise", format!("sysctl -w {setting}=..., and find what takes so many"))
        .costs("memory of the kernel")
}

/// Keys and their bytes, for each user.
fn keys<'a>(view: &View<'a>) -> Vec<Limit<'a>> {
    view.snapshot.host.keys.iter().flat_map(|user| [number_of_keys(user), bytes_of_keys(user)]).collect()
}

fn number_of_keys<'a>(user: &KeyUser) -> Limit<'a> {
    let name = if user.uid == 0 { "kernel.keys.root_maxkeys" } else { "kernel.keys.maxkeys" };
    key_limit(user, name, "keys", (user.keys, 1))
}

fn bytes_of_keys<'a>(user: &KeyUser) -> Limit<'a> {
    let name = if user.uid == 0 { "kernel.keys.root_maxbytes" } else { "kernel.keys.maxbytes" };
    key_limit(user, name, "bytes of keys", (user.bytes, BYTES_OF_A_KEY))
}

fn key_limit<'a>(user: &KeyUser, name: &'a str, what: &str, (usage, exec): (Usage, u64)) -> Limit<'a> {
    Limit {
        class: Some("EX-18"),
        subject: format!("{name}/{}", user.uid),
        name,
        what: format!("{what} for user {}", user.uid),
        file: format!("/proc/key-users, user {}", user.uid),
        usage,
        need: Need::of_exec(exec),
        remedy: raise(name)
            .may_follow("an engine can also do without a keyring (--no-new-keyring, keyring=false)"),
    }
}

/// The lower one of the two limits of tasks.
fn tasks<'a>(view: &View<'a>) -> Vec<Limit<'a>> {
    let tasks = &view.snapshot.host.tasks;
    let limits = [("kernel.threads-max", tasks.threads_max), ("kernel.pid_max", tasks.pid_max)];
    let lower = limits.into_iter().filter_map(|(name, max)| Some((name, max?))).min_by_key(|limit| limit.1);
    let limit = lower.map(|(name, max)| Limit {
        class: Some("EX-04"),
        subject: name.to_owned(),
        name,
        what: "processes and threads on this host".to_owned(),
        file: format!("/proc/loadavg, /proc/sys/{}", name.replace('.', "/")),
        usage: Usage { used: tasks.count, max: Some(max) },
        need: Need::of_exec(THREADS),
        remedy: raise(name),
    });
    limit.into_iter().collect()
}

/// Open files of the host.
fn files<'a>(view: &View<'a>) -> Vec<Limit<'a>> {
    vec![Limit {
        class: Some("NO-03"),
        subject: "fs.file-max".to_owned(),
        name: "fs.file-max",
        what: "open files on this host".to_owned(),
        file: "/proc/sys/fs/file-nr".to_owned(),
        usage: view.snapshot.host.files,
        need: Need::of_exec(DESCRIPTORS),
        remedy: raise("fs.file-max"),
    }]
}

/// Open files of each part of the chain that others wait for.
fn daemons<'a>(view: &View<'a>) -> Vec<Limit<'a>> {
    let stays = |process: &&Process| {
        let role = view.role(process.pid);
        matches!(
            role,
            Role::Engine | Role::Containerd | Role::Crio | Role::Kubelet | Role::Shim | Role::Conmon
        )
    };
    let is_near = |process: &&Process| reached(open_files(process), Need::of_exec(DESCRIPTORS)).is_some();
    let processes = view.snapshot.processes.iter().filter(stays).filter(is_near);
    processes.map(|process| descriptors(view, process)).collect()
}

fn open_files(process: &Process) -> Usage {
    Usage { used: process.fd_count.map(u64::from), max: process.fd_limit }
}

fn descriptors<'a>(view: &View<'_>, process: &Process) -> Limit<'a> {
    let limit = "prlimit --nofile and LimitNOFILE= in its unit; look which kind of descriptors grows";
    Limit {
        class: Some("NO-03"),
        subject: format!("RLIMIT_NOFILE/{}", process.pid),
        name: "RLIMIT_NOFILE",
        what: format!("descriptors for {}, most of them {}", view.label(process), most_frequent(process)),
        file: format!("/proc/{0}/fd, /proc/{0}/limits", process.pid),
        usage: open_files(process),
        need: Need::of_exec(DESCRIPTORS),
        remedy: Remedy::advise("raise", format!("raise it with {limit}")).costs("nothing until it restarts"),
    }
}

/// The kind of its descriptors of which there are most.
fn most_frequent(process: &Process) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for fd in &process.fds {
        *counts.entry(kind(&fd.target)).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or_else(|| "not seen".to_owned(), |(kind, count)| format!("{kind} ({count})"))
}

fn kind(target: &FdTarget) -> &str {
    match target {
        FdTarget::Pipe { .. } => "pipes",
        FdTarget::Fifo { .. } => "fifos",
        FdTarget::Socket { .. } => "sockets",
        FdTarget::Anonymous { name } => name,
        _ => "files",
    }
}

/// Space and inodes; one of several directories of the same file system stands for it.
fn file_systems<'a>(view: &View<'a>) -> Vec<Limit<'a>> {
    let mut seen: Vec<&FileSystem> = Vec::new();
    for system in view.snapshot.host.file_systems.iter().filter(|it| !it.read_only) {
        if !seen.iter().any(|known| is_same(known, system)) {
            seen.push(system);
        }
    }
    let bytes = Need { exec: BYTES, a_while: MANY_BYTES };
    let inodes = Need { exec: INODES, a_while: MANY_INODES };
    let both =
        |it: &&FileSystem| [space(it, "bytes", it.bytes, bytes), space(it, "inodes", it.inodes, inodes)];
    seen.iter().flat_map(both).collect()
}

fn is_same(one: &FileSystem, other: &FileSystem) -> bool {
    match (one.id, other.id) {
        (0, _) | (_, 0) => (one.bytes.max, one.inodes.max) == (other.bytes.max, other.inodes.max),
        (one, other) => one == other,
    }
}

fn space<'a>(system: &FileSystem, name: &'a str, usage: Usage, need: Need) -> Limit<'a> {
    let is_of_execs = matches!(system.path.as_str(), "/run" | "/tmp");
    let path = &system.path;
    let (command, list) = if name == "inodes" { ("df -i", "du -x --inodes") } else { ("df", "du -x") };
    Limit {
        class: is_of_execs.then_some("EX-24"),
        subject: format!("{name}{path}"),
        name,
        what: format!("{name} in the file system of {path}"),
        file: format!("{command} {path}"),
        usage,
        need,
        remedy: Remedy::advise(
            "clean",
            format!("look what fills it ({list} {path} | sort -n), and remove what nobody needs"),
        )
        .costs("what is removed"),
    }
}

/// The doctor itself was refused the processes that read for it.
fn processes(view: &View<'_>) -> Option<Finding> {
    let is_refused = |it: &&Unseen| {
        it.what.starts_with("processes: ") && matches!(it.why, Why::Refused { errno } if errno == AGAIN)
    };
    let unseen = view.snapshot.unseen.iter().find(is_refused)?;
    let uid = view.snapshot.taken.uid;
    let title = format!(
        "no more processes for user {uid}: the doctor could start none of its own, and saw nearly nothing"
    );
    let limits = "RLIMIT_NPROC, kernel.threads-max, kernel.pid_max or pids.max of the group it runs in";
    let remedy = format!("look which one it is: {limits}; end what leaks processes");
    Some(
        Finding::new("host_limits", &format!("processes/{uid}"), Severity::Warning, title)
            .class("EX-04")
            .blocker(None, "fork", limits)
            .evidence("fork(2)", "refused with EAGAIN")
            .evidence("not seen", &unseen.what)
            .remedy(Remedy::advise("end", remedy).costs("what is ended")),
    )
}

/// inotify has no counter; who has most instances is told from the descriptors that were seen.
fn inotify(view: &View<'_>) -> Option<Finding> {
    let inotify = &view.snapshot.host.inotify;
    inotify.is_refused.filter(|is_refused| *is_refused)?;
    let (uid, max) = (view.snapshot.taken.uid, inotify.max_instances.unwrap_or_default());
    let title = format!("no more inotify instances for user {uid}: fs.inotify.max_user_instances is {max}");
    let mut finding = Finding::new("host_limits", &format!("inotify/{uid}"), Severity::Warning, title)
        .class("ST-11")
        .blocker(None, "fs.inotify.max_user_instances", format!("an inotify instance of user {uid}"))
        .evidence("inotify_init1(2)", "refused with EMFILE");
    for (process, count) in holders(view) {
        let text = format!("{count} instances of {}", view.label(process));
        finding = finding.evidence(format!("/proc/{}/fd", process.pid), text);
    }
    Some(finding.remedy(raise("fs.inotify.max_user_instances")))
}

/// The five processes with most inotify instances.
fn holders<'a>(view: &View<'a>) -> Vec<(&'a Process, usize)> {
    let is_inotify = |target: &FdTarget| matches!(target, FdTarget::Anonymous { name } if name == "inotify");
    let count = |process: &Process| process.fds.iter().filter(|fd| is_inotify(&fd.target)).count();
    let all = view.snapshot.processes.iter().map(|process| (process, count(process)));
    let mut holders: Vec<_> = all.filter(|(_, count)| *count > 0).collect();
    holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    holders.truncate(5);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(used: u64, max: u64) -> Usage {
        Usage { used: Some(used), max: Some(max) }
    }

    #[test]
    fn a_large_file_system_has_enough_left_at_any_percentage() {
        let need = Need { exec: BYTES, a_while: MANY_BYTES };
        let (small, large) = (10 << 30, 10 << 40);
        assert_eq!(reached(usage(small / 100 * 97, small), need), Some(Reached::Nearly));
        assert_eq!(reached(usage(large / 100 * 97, large), need), None);
        assert_eq!(reached(usage(large - 1, large), need), Some(Reached::Wholly));
        assert_eq!(reached(usage(97, 100), Need::of_exec(1)), Some(Reached::Nearly));
    }

    #[test]
    fn one_file_system_is_told_once() {
        let system = |path: &str, id, used| FileSystem {
            path: path.to_owned(),
            id,
            bytes: usage(used, 50),
            ..FileSystem::default()
        };
        assert!(is_same(&system("/", 7, 1), &system("/var/log", 7, 2)), "a file was written in between");
        assert!(!is_same(&system("/", 7, 1), &system("/run", 8, 1)));
        assert!(is_same(&system("/", 0, 1), &system("/var/log", 0, 2)), "a snapshot without numbers");
    }
}
