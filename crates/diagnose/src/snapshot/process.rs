//! Processes and threads: state, place of sleep, and the system call they are in.

use serde::{Deserialize, Serialize};

use super::cgroup::Membership;
use super::descriptor::Fd;

/// One process (thread group).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Pid in the namespace of the snapshot.
    pub pid: i32,
    /// Parent; 0 when it is outside the namespace.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// Session.
    pub session: i32,
    /// Name of the first thread, at most 15 bytes; whoever runs may have chosen it.
    pub comm: String,
    /// State of the first thread: `R`, `S`, `D`, `Z`, `T`, `t`, `X`, `I`. With `Z` other threads may live on.
    pub state: char,
    /// `PF_*` bits of the first thread. Source: include/linux/sched.h.
    pub flags: u32,
    /// Start after boot, in clock ticks; with the pid and the boot it identifies the process.
    pub start_time: u64,
    /// Processor time of all threads so far, in clock ticks.
    pub cpu_ticks: u64,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Number of threads, also of those that are not in `threads`.
    pub thread_count: u32,
    /// Real user id; `None` when it could not be read.
    pub uid: Option<u32>,
    /// Arguments, secrets redacted; `None` when they could not be read or were not tried (see `unseen`), empty for a
    /// kernel thread or a zombie.
    pub args: Option<Vec<String>>,
    /// Text of the link `exe`. In a container it is a path of the container.
    pub exe: Option<String>,
    /// Text of the link `cwd`: for a shim, its task's directory.
    pub cwd: Option<String>,
    /// Chosen variables of daemons, shims and runtimes. The value is `None` when it might be a secret.
    pub environment: Vec<Variable>,
    /// Inodes of its namespaces.
    pub namespaces: Namespaces,
    /// Pids from the outermost namespace inwards (`NSpid`); one entry when it is not in a container.
    pub ns_pids: Vec<i32>,
    /// The control group in each hierarchy.
    pub cgroups: Vec<Membership>,
    /// Container id that its control group names (64 hexadecimal digits, or what podman, crun, runc put there).
    pub container: Option<String>,
    /// Threads, the first thread first. Beyond a bound they are cut, and `unseen` says so.
    pub threads: Vec<Thread>,
    /// Open descriptors by ascending number; only pipes and sockets of a process in a container.
    pub fds: Vec<Fd>,
    /// Number of open descriptors, also of those that are not in `fds`.
    pub fd_count: Option<u32>,
    /// Soft limit of open descriptors.
    pub fd_limit: Option<u64>,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// Signals pending for the process or its first thread; bit N-1 is signal N.
    pub signals_pending: u64,
}

impl Process {
    /// Whether one of its threads is in uninterruptible sleep.
    #[must_use]
    pub fn is_uninterruptible(&self) -> bool {
        self.state == 'D' || self.threads.iter().any(|thread| thread.state == 'D')
    }

    /// Whether it runs in another pid namespace than the one the snapshot was taken in.
    #[must_use]
    pub fn is_in_a_pid_namespace(&self) -> bool {
        self.ns_pids.len() > 1
    }

    /// The descriptor with this number.
    #[must_use]
    pub fn fd(&self, number: i32) -> Option<&Fd> {
        self.fds.iter().find(|fd| fd.number == number)
    }

    /// The value that follows an option: `--root DIR`, `--root=DIR`, `-namespace NAME`.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        option(self.args.as_deref()?, name)
    }

    /// A path that it was given, from `/`: a relative one begins at its working directory. Nothing when that was not seen.
    #[must_use]
    pub fn absolute(&self, path: &str) -> Option<String> {
        let folder =
            if path.starts_with('/') { "" } else { self.cwd.as_deref().filter(|it| it.starts_with('/'))? };
        let mut names: Vec<&str> = Vec::new();
        for name in folder.split('/').chain(path.split('/')) {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        Some(format!("/{}", names.join("/")))
    }
}

/// The value that follows an option on a command line.
pub(crate) fn option<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, argument)| {
        let rest = argument.strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => args.get(at + 1).map(String::as_str),
            None => None,
        }
    })
}

/// One environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Value; `None` when it is withheld.
    pub value: Option<String>,
}

/// Inodes of namespaces; `None` where the link could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// `ns/pid`.
    pub pid: Option<u64>,
    /// `ns/mnt`.
    pub mnt: Option<u64>,
    /// `ns/net`.
    pub net: Option<u64>,
    /// `ns/user`.
    pub user: Option<u64>,
}

/// One thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Thread id.
    pub tid: i32,
    /// Name, when it is not that of the process.
    pub comm: Option<String>,
    /// `R`, `S`, `D`, `Z`, `T`, `t`, `X`, `I`.
    pub state: char,
    /// Kernel function it sleeps in (`anon_pipe_write`, `do_wait`); `None` when it runs, is not shown, or waits for work
    /// in `futex` or `epoll_wait`.
    pub wchan: Option<String>,
    /// The system call it is in; `None` when it runs in user mode or it is not shown.
    pub call: Option<Call>,
    /// Kernel stack, innermost function first, without addresses; only of threads in state `D`.
    pub stack: Vec<String>,
}

impl Thread {
    /// The kernel function it sleeps in, and the file of `/proc/PID/task/TID` that tells it; `None` when it runs or is
    /// not shown.
    ///
    /// Kernel: on x86 before 5.16, `stack` tells it where `wchan` is `0`.
    #[must_use]
    pub fn place(&self) -> Option<(&str, &'static str)> {
        let wchan = self.wchan.as_deref().map(|function| (function, "wchan"));
        wchan.or_else(|| Some((self.stack.first()?.as_str(), "stack")))
    }

    /// Whether it sleeps in a kernel function, or in one that this has called.
    #[must_use]
    pub fn sleeps_in(&self, function: &str) -> bool {
        self.wchan.as_deref() == Some(function) || self.stack.iter().any(|name| name.starts_with(function))
    }
}

/// A system call in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Number on this architecture; -1 when it is not inside a call but stopped or in a fault.
    pub number: i64,
    /// Name, for the calls that processes wait in (`write`, `wait4`, `epoll_pwait`); `None` for the others.
    pub name: Option<String>,
    /// The descriptor it is made on, if the first argument of this call is one.
    pub fd: Option<i32>,
    /// The six arguments as they are in registers.
    pub args: [u64; 6],
}

/// What a process is in the chain from a client to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// `dockerd`, `podman system service`.
    Engine,
    /// `docker`, `ctr`, `crictl`, `nerdctl`, `kubectl`: somebody who asks.
    Client,
    /// `kubelet`.
    Kubelet,
    /// `containerd`.
    Containerd,
    /// `crio`.
    Crio,
    /// `containerd-shim*`, `docker-containerd-shim`.
    Shim,
    /// `conmon`, `conmonrs`.
    Conmon,
    /// `runc`, `crun`, `sluice`, `youki`, `docker-runc`, or a wrapper of one, started by a shim, conmon or engine.
    Runtime,
    /// `runc init`: the runtime's own child that becomes the container's process.
    RuntimeInit,
    /// A process of a container.
    InContainer,
    /// Anything else on the host.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_begins_at_the_working_directory() {
        let process = |cwd: Option<&str>| Process { cwd: cwd.map(str::to_owned), ..Process::default() };
        for (cwd, path, expected) in [
            (Some("/srv/lab"), "daemon.json", Some("/srv/lab/daemon.json")),
            (Some("/srv/lab"), "./a/../../daemon.json", Some("/srv/daemon.json")),
            (Some("/"), "../daemon.json", Some("/daemon.json")),
            (Some("/srv"), "/etc//docker/./daemon.json", Some("/etc/docker/daemon.json")),
            (None, "/etc/daemon.json", Some("/etc/daemon.json")),
            (None, "daemon.json", None),
            (Some("(unreachable)/srv"), "daemon.json", None),
        ] {
            assert_eq!(process(cwd).absolute(path).as_deref(), expected, "{cwd:?} {path}");
        }
    }
}
