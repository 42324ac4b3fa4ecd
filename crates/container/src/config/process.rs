//! `process`: a program with its identity, limits and labels; also the whole of the file of `exec --process`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One program to start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether standard input, output and error are a pseudo-terminal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub terminal: bool,
    /// The first size of the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who the program runs as.
    pub user: User,
    /// The argument vector; `args[0]` is looked up in the process's own `PATH`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The environment, `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The working directory, absolute, inside the container.
    pub cwd: PathBuf,
    /// The capability sets; none: the sets are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// The resource limits of `setrlimit(2)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<Rlimit>,
    /// Whether `execve` can never gain privileges (`PR_SET_NO_NEW_PRIVS`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_new_privileges: bool,
    /// The `AppArmor` profile taken at `execve`; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apparmor_profile: String,
    /// What is written to `oom_score_adj`, -1000 to 1000; none: left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// The scheduling policy of `sched_setattr(2)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// The `SELinux` label taken at `execve`; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selinux_label: String,
    /// The I/O class of `ioprio_set(2)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    /// The CPUs of an exec'd process.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// The identity of a process inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// The file creation mask; none: 0022 for init, inherited for exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary group ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
    /// Of other systems than Linux; ignored.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
}

/// The five capability sets, each a list of names such as `CAP_KILL`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What `execve` can never exceed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounding: Vec<String>,
    /// What is checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effective: Vec<String>,
    /// What survives `execve` of a file with inheritable capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inheritable: Vec<String>,
    /// What may be made effective.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    /// What survives `execve` of an ordinary file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ambient: Vec<String>,
}

impl Capabilities {
    /// All five sets under their names in `config.json`.
    #[must_use]
    pub fn sets(&self) -> [(&'static str, &[String]); 5] {
        [
            ("bounding", &self.bounding),
            ("effective", &self.effective),
            ("inheritable", &self.inheritable),
            ("permitted", &self.permitted),
            ("ambient", &self.ambient),
        ]
    }
}

/// One resource limit, in the unit of its kind; `u64::MAX` is "unlimited".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rlimit {
    /// The name, for example `RLIMIT_NOFILE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the soft limit can be raised to.
    pub hard: u64,
    /// What is enforced.
    pub soft: u64,
}

/// `scheduler`: the arguments of `sched_setattr(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// The policy.
    pub policy: SchedulerPolicy,
    /// -20 to 19, for `SCHED_OTHER` and `SCHED_BATCH`.
    #[serde(default)]
    pub nice: i32,
    /// 1 to 99, for `SCHED_FIFO` and `SCHED_RR`.
    #[serde(default)]
    pub priority: i32,
    /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(default)]
    pub runtime: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(default)]
    pub deadline: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(default)]
    pub period: u64,
}

/// The scheduling policies of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SchedulerPolicy {
    /// `SCHED_OTHER`.
    SchedOther,
    /// `SCHED_FIFO`.
    SchedFifo,
    /// `SCHED_RR`.
    SchedRr,
    /// `SCHED_BATCH`.
    SchedBatch,
    /// `SCHED_ISO`: reserved by the kernel, never implemented.
    SchedIso,
    /// `SCHED_IDLE`.
    SchedIdle,
    /// `SCHED_DEADLINE`.
    SchedDeadline,
}

/// `ioPriority`: the arguments of `ioprio_set(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    /// The class.
    pub class: IoPriorityClass,
    /// 0 (first) to 7 (last) within the class.
    #[serde(default)]
    pub priority: i32,
}

/// The I/O scheduling classes of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IoPriorityClass {
    /// `IOPRIO_CLASS_RT`.
    IoprioClassRt,
    /// `IOPRIO_CLASS_BE`.
    IoprioClassBe,
    /// `IOPRIO_CLASS_IDLE`.
    IoprioClassIdle,
}

/// `execCPUAffinity`: lists of CPUs in the kernel's form, for example `0-3,7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecCpuAffinity {
    /// Before the process joins the container's cgroup.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub initial: String,
    /// After it joined.
    #[serde(rename = "final", skip_serializing_if = "String::is_empty")]
    pub last: String,
}
