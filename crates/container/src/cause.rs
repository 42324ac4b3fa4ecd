//! Why a process did not reach its program: one row per condition, each with the message a user sees.
//!
//! dockerd derives a container's or an exec's exit code from the text (`no such file or directory` and the like are
//! 127, `permission denied` and `is a directory` are 126). So the conditions that mean 126 or 127 carry one of these
//! phrases, and no other message does; `tests/errors.rs` runs every text through dockerd's rule.

use child::Stage;
use std::path::PathBuf;

/// A condition of docs/errors.md.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No directory of `PATH` has the program.
    #[error("exec: {program:?}: executable file not found in $PATH")]
    NotInPath {
        /// As given.
        program: String,
    },
    /// The path leads nowhere.
    #[error("exec: {path:?}: no such file or directory")]
    NoSuchFile {
        /// As given.
        path: String,
    },
    /// The ELF interpreter is missing.
    #[error("exec: {path:?}: no such file or directory: it needs the loader {loader}, which the image lacks")]
    NoLoader {
        /// The program.
        path: String,
        /// `PT_INTERP`.
        loader: String,
    },
    /// The interpreter of a script is missing.
    #[error(
        "exec: {path:?}: no such file or directory: the script wants {interpreter}, which the image lacks"
    )]
    NoInterpreter {
        /// The script.
        path: String,
        /// From its `#!` line; of a script that wants a script, all of them.
        interpreter: String,
    },
    /// The interpreter of a script is there and may not be executed.
    #[error("exec: {path:?}: permission denied: its interpreter {interpreter} {reason}")]
    ClosedInterpreter {
        /// The script.
        path: String,
        /// From its `#!` line.
        interpreter: String,
        /// `is a directory`, or `is not executable (mode 0644)`.
        reason: String,
    },
    /// A component of the path is a file.
    #[error("exec: {path:?}: not a directory: {component} is a file")]
    NotADirectory {
        /// As given.
        path: String,
        /// The component.
        component: String,
    },
    /// Symbolic links go in a circle.
    #[error("exec: {path:?}: no such file or directory: the symbolic links go in a circle")]
    LinkLoop {
        /// As given.
        path: String,
    },
    /// A directory.
    #[error("exec: {path:?}: is a directory")]
    IsDirectory {
        /// As given.
        path: String,
    },
    /// A fifo, socket or device.
    #[error("exec: {path:?}: permission denied: it is a {kind}, not a program")]
    NotAFile {
        /// As given.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// No execute bit at all.
    #[error("exec: {path:?}: permission denied: the file is not executable (mode {mode:04o})")]
    NotExecutable {
        /// As given.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// The mount forbids execution.
    #[error("exec: {path:?}: permission denied: it lies on a file system mounted noexec")]
    NoexecMount {
        /// As given.
        path: String,
    },
    /// The file cannot be looked at from outside the container.
    #[error("exec: {path:?}: permission denied")]
    Denied {
        /// As given.
        path: String,
    },
    /// A directory on the way may not be searched.
    #[error(
        "exec: {path:?}: permission denied: uid {uid} may not search {component} (mode {mode:04o}, owner {owner}:{group})"
    )]
    NoSearch {
        /// As given.
        path: String,
        /// The process's user.
        uid: u32,
        /// The directory.
        component: String,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
        /// Its group.
        group: u32,
    },
    /// The file may not be executed by this user, or a security module forbids it.
    #[error(
        "exec: {path:?}: permission denied: uid {uid} may not execute it (mode {mode:04o}, owner {owner}:{group})"
    )]
    NoExecute {
        /// As given.
        path: String,
        /// The process's user.
        uid: u32,
        /// The file's permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
        /// Its group.
        group: u32,
    },
    /// The kernel does not know the format.
    #[error("exec: {path:?}: exec format error (permission denied to run it): {reason}")]
    Format {
        /// As given.
        path: String,
        /// Empty, truncated, no `#!` line, another architecture.
        reason: String,
    },
    /// Somebody writes the program.
    #[error("exec: {path:?}: text file busy (permission denied to run it): it is open for writing")]
    Busy {
        /// As given.
        path: String,
    },
    /// One argument or environment entry is too long.
    #[error("exec: {path:?}: {what} {index} is {bytes} bytes, the kernel takes {limit}")]
    ArgumentTooLong {
        /// The program.
        path: String,
        /// `argument` or `environment entry`.
        what: &'static str,
        /// Counted from 0.
        index: usize,
        /// Its length with the final NUL.
        bytes: usize,
        /// `MAX_ARG_STRLEN`.
        limit: usize,
    },
    /// All of them together are too long.
    #[error(
        "exec: {path:?}: arguments and environment are {bytes} bytes, more than the kernel takes (a quarter of RLIMIT_STACK, at most 6 MiB)"
    )]
    ArgumentsTooLong {
        /// The program.
        path: String,
        /// Together.
        bytes: usize,
    },
    /// `execve` answered EAGAIN.
    #[error("exec: {path:?}: uid {uid} is over its RLIMIT_NPROC of {limit} processes")]
    TooManyProcesses {
        /// The program.
        path: String,
        /// The user.
        uid: u32,
        /// The limit, or `unknown`.
        limit: String,
    },
    /// The filter answered.
    #[error("exec: {path:?}: the seccomp profile forbids execve ({errno})")]
    ExecveForbidden {
        /// The program.
        path: String,
        /// The rule's errno.
        errno: String,
    },
    /// The filter killed.
    #[error("exec: killed by its own seccomp profile (SIGSYS) in the step to {}", stage.as_str())]
    SeccompKilled {
        /// The step.
        stage: Stage,
    },
    /// The working directory is missing.
    #[error("exec: working directory {path:?} is missing in the container")]
    NoDirectory {
        /// As given.
        path: String,
    },
    /// The working directory is a file.
    #[error("exec: working directory {path:?} is a file in the container")]
    DirectoryIsFile {
        /// As given.
        path: String,
    },
    /// The working directory is behind links that lead nowhere.
    #[error("exec: working directory {path:?} leads through symbolic links that go in a circle")]
    DirectoryLoop {
        /// As given.
        path: String,
    },
    /// The working directory is closed to the user.
    #[error("exec: working directory {path:?} is closed to uid {uid}")]
    DirectoryClosed {
        /// As given.
        path: String,
        /// The user.
        uid: u32,
    },
    /// The working directory leads out of the container.
    #[error("exec: working directory {path:?} lies outside the container; refused (CVE-2024-21626)")]
    DirectoryOutside {
        /// As given.
        path: String,
    },
    /// A number of processes is reached.
    #[error("exec: the container is at its process limit: pids.current={current} pids.max={max} ({}/pids.max)", path.display())]
    PidsLimit {
        /// The cgroup whose limit was hit: the container's or an ancestor's.
        path: PathBuf,
        /// Processes in it.
        current: u64,
        /// Its limit.
        max: u64,
    },
    /// The host has no more processes.
    #[error(
        "exec: the host cannot make a process (EAGAIN) and no pids.max of the container or its ancestors is reached: look at threads-max={threads_max}, pid_max={pid_max} and RLIMIT_NPROC of the runtime's user"
    )]
    HostProcesses {
        /// `/proc/sys/kernel/threads-max`.
        threads_max: String,
        /// `/proc/sys/kernel/pid_max`.
        pid_max: String,
    },
    /// Killed for memory.
    #[error("exec: killed by the kernel in the step to {}: {cause}", stage.as_str())]
    OutOfMemory {
        /// The step.
        stage: Stage,
        /// Limit, usage, kills and their file.
        cause: cgroup::Cause,
    },
    /// Memory refused without a kill.
    #[error("exec: not enough memory in the container's limit to {}: {cause}", stage.as_str())]
    NoMemory {
        /// The step.
        stage: Stage,
        /// Limit, usage and their file.
        cause: cgroup::Cause,
    },
    /// So little memory is left that the start of a program could cost the container its life.
    #[error("exec: too little memory left in the container's limit: a start takes {} KiB, else the container could be killed for it: {} of {} is {} bytes, usage {} bytes, of which {} bytes are file pages and {} bytes kernel caches that can be reclaimed", needed >> 10, shortage.file, shortage.path.display(), shortage.limit, shortage.usage, shortage.file_pages, shortage.kernel_caches)]
    NoRoom {
        /// Bytes that must be free.
        needed: u64,
        /// The limit and its file.
        shortage: cgroup::Shortage,
    },
    /// The container's init was the victim.
    #[error("exec: the container was stopped by an out-of-memory kill during the exec: {cause}")]
    InitOutOfMemory {
        /// Limit, usage, kills and their file.
        cause: cgroup::Cause,
    },
    /// v1 with the OOM killer off.
    #[error("exec: the container stands still out of memory: under_oom=1 oom_kill_disable=1 in {}/memory.oom_control; raise memory.limit_in_bytes or write 0 to memory.oom_control", path.display())]
    OomDisabled {
        /// The cgroup.
        path: PathBuf,
    },
    /// A freezer holds the container.
    #[error("exec: the container is paused ({} is frozen); resume it first", path.display())]
    Frozen {
        /// The frozen cgroup: the container's or an ancestor's.
        path: PathBuf,
    },
    /// A freezer above the container holds it.
    #[error("exec: the container stands still: {} above its cgroup is frozen; thaw that first", path.display())]
    FrozenAbove {
        /// The frozen cgroup.
        path: PathBuf,
    },
    /// The cgroup was removed.
    #[error("exec: the container's cgroup is gone ({}): it is being deleted", path.display())]
    CgroupGone {
        /// The cgroup.
        path: PathBuf,
    },
    /// A signal has stopped the container's init.
    #[error(
        "exec: the container stands still: a signal has stopped its init (pid {pid}, state T); SIGCONT lets it go on"
    )]
    InitHalted {
        /// Init's.
        pid: i32,
    },
    /// A cgroup has controllers in its children.
    #[error("exec: cgroup {} has child cgroups with controllers and takes no process", path.display())]
    CgroupBusy {
        /// The cgroup.
        path: PathBuf,
    },
    /// A cgroup of a threaded subtree.
    #[error("exec: cgroup {} is not a valid domain (cgroup.type)", path.display())]
    CgroupNotDomain {
        /// The cgroup.
        path: PathBuf,
    },
    /// The caller may not move a process into a cgroup.
    #[error(
        "exec: the caller may not put a process into cgroup {}: cgroup.procs of it, and of the nearest group that is above both it and the caller, must be writable; call from inside of the part of the tree that is delegated to the user (systemd-run --user --scope -p Delegate=yes sluice ...)",
        path.display()
    )]
    CgroupClosed {
        /// The cgroup.
        path: PathBuf,
    },
    /// v1 cpuset without processors or memory nodes.
    #[error("exec: the cpuset of the container has no cpus or mems ({})", path.display())]
    EmptyCpuset {
        /// The cgroup.
        path: PathBuf,
    },
    /// The container ended.
    #[error("exec: container is not running")]
    NotRunning,
    /// The container ended while the exec was starting.
    #[error("exec: the container stopped while the exec was in the step to {}", stage.as_str())]
    Stopped {
        /// The step.
        stage: Stage,
    },
    /// The first thread of init is gone and others live.
    #[error(
        "exec: the main thread of the container's init {pid} has exited while {threads} other threads live, so its namespaces cannot be joined"
    )]
    LeaderGone {
        /// Init.
        pid: i32,
        /// Living threads.
        threads: usize,
    },
    /// The user namespace has no such id.
    #[error("exec: {kind} {id} is not mapped in the container's user namespace")]
    NotMapped {
        /// `uid`, `gid` or `additional gid`.
        kind: &'static str,
        /// The id.
        id: u32,
    },
    /// The user namespace forbids groups.
    #[error("exec: additional groups cannot be set: /proc/{pid}/setgroups is deny")]
    GroupsDenied {
        /// Init.
        pid: i32,
    },
    /// A hard limit above what the kernel or the caller's rights allow.
    #[error("exec: {name} {value} {reason}")]
    Rlimit {
        /// `RLIMIT_NOFILE`.
        name: &'static str,
        /// The hard value wanted.
        value: String,
        /// `is above fs.nr_open=N`, or the missing right.
        reason: String,
    },
    /// A score below what the caller may set.
    #[error(
        "exec: oom_score_adj {wanted} is below the runtime's own floor (oom_score_adj {own}), and it has no CAP_SYS_RESOURCE to go lower"
    )]
    OomScore {
        /// The value wanted.
        wanted: String,
        /// The runtime's own value.
        own: String,
    },
    /// The key quota of the user is used up.
    #[error(
        "exec: the session keyring cannot be made: the key quota of uid {uid} is used up (/proc/key-users, /proc/sys/kernel/keys)"
    )]
    KeyQuota {
        /// The user whose quota it is.
        uid: u32,
    },
    /// `AppArmor` does not know the profile.
    #[error(
        "exec: the AppArmor profile {profile:?} is not loaded: load it with apparmor_parser -r FILE; /sys/kernel/security/apparmor/profiles lists those that are"
    )]
    NoProfile {
        /// As configured.
        profile: String,
    },
    /// The filter was refused.
    #[error("exec: the kernel refused the seccomp filter of config.json/linux/seccomp ({errno})")]
    Filter {
        /// The errno.
        errno: String,
    },
    /// Any other refusal.
    #[error("exec: {}{}: {errno}", stage.as_str(), of(operand))]
    Step {
        /// The step.
        stage: Stage,
        /// Which of several operands; empty when there is one only.
        operand: String,
        /// In words.
        errno: String,
    },
    /// Ended by a signal or with a status, for no reason that could be found.
    #[error("exec: the process {how} in the step to {}, before its program", stage.as_str())]
    Died {
        /// The step.
        stage: Stage,
        /// `was killed by signal 9` or `ended with status 3`.
        how: String,
    },
    /// Not done in time.
    #[error("exec: process {pid} did not get past the step to {} in {waited_ms} ms (state {state}, waits in {wchan}); it was killed", stage.as_str())]
    Stuck {
        /// The child.
        pid: i32,
        /// The step.
        stage: Stage,
        /// How long it had, in milliseconds.
        waited_ms: u128,
        /// Its state letter.
        state: char,
        /// Kernel function it sleeps in.
        wchan: String,
    },
}

fn of(operand: &str) -> String {
    if operand.is_empty() { String::new() } else { format!(" ({operand})") }
}

#[cfg(test)]
mod tests;
