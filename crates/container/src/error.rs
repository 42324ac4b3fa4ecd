//! What can go wrong, as the operation that failed with its operands; the cause is the source.

use crate::cause::Cause;
use crate::{ContainerId, Status, config};
use rustix::io::Errno;
use std::path::PathBuf;
use std::time::Duration;

/// An operation of this crate that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id is not a name.
    #[error("invalid container ID format: {id:?}: use letters, digits and _ + - . only, at most 200")]
    InvalidId {
        /// As given.
        id: String,
    },
    /// There is no such container.
    #[error("container does not exist: {id}")]
    NotFound {
        /// Its id.
        id: ContainerId,
    },
    /// The id is taken.
    #[error("container with given ID already exists: {id}")]
    Exists {
        /// Its id.
        id: ContainerId,
    },
    /// The state root cannot be used.
    #[error("open the state directory {}", path.display())]
    StateRoot {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A state file cannot be read.
    #[error("read {}", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A state file cannot be written; what was there before is intact.
    #[error("write {} (the former state is intact)", path.display())]
    WriteState {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The record could not be turned into JSON.
    #[error("encode the state")]
    EncodeState(#[source] serde_json::Error),
    /// A state file is not what was written.
    #[error("{} is damaged at {place}: {reason}; `delete --force` still works", path.display())]
    DamagedState {
        /// The file.
        path: PathBuf,
        /// Field, or line and column.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A later version wrote the state.
    #[error("{} has state format {format} written by {writer}; this version knows formats up to {known}", path.display())]
    NewerState {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The last format known here.
        known: u32,
        /// Who wrote it.
        writer: String,
    },
    /// Another runtime keeps its state here.
    #[error("{} holds the state of {runtime}: use {runtime}, or another --root", path.display())]
    ForeignState {
        /// The directory or file.
        path: PathBuf,
        /// Whose state.
        runtime: &'static str,
    },
    /// Another command changes the container.
    #[error("container {id} is being changed by another command, waited {} ms for it", waited.as_millis())]
    Busy {
        /// The container.
        id: ContainerId,
        /// How long.
        waited: Duration,
    },
    /// `/proc` cannot be read.
    #[error("look at /proc")]
    Proc(#[source] proc::Error),
    /// A process cannot be held.
    #[error("open a pidfd of process {pid}")]
    Pidfd {
        /// The process.
        pid: i32,
        /// The cause.
        source: Errno,
    },
    /// `config.json` or a process file is not acceptable.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The seccomp profile cannot be compiled.
    #[error("config.json/linux/seccomp")]
    Seccomp(#[source] seccomp::Error),
    /// A cgroup operation failed.
    #[error("cgroup")]
    Cgroup(#[source] cgroup::Error),
    /// systemd made the unit, but its group is somewhere else than it should be.
    #[error("systemd has started unit {unit}, but init is not in its cgroup {}", path.display())]
    UnitElsewhere {
        /// The unit.
        unit: String,
        /// Where its group should be.
        path: PathBuf,
    },
    /// The cgroup of a new container is in use.
    #[error("container's cgroup is not empty: {} process(es) found in {}", count, path.display())]
    CgroupInUse {
        /// How many.
        count: usize,
        /// Which cgroup.
        path: PathBuf,
    },
    /// A cgroup is needed and the caller may not make it.
    #[error(
        "config.json/{wanted} needs a cgroup, and this user may not make {}; run sluice in a part of the tree that is \
         delegated to the user: systemd-run --user --scope -p Delegate=yes sluice ... (loginctl enable-linger makes a \
         user manager that stays)",
        path.display()
    )]
    CgroupDenied {
        /// Place in the configuration.
        wanted: String,
        /// The group.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A verb that needs a cgroup, for a container without.
    #[error(
        "cannot {verb} container {id}: it has no cgroup of its own, as its creator was not allowed to make one; create \
         it in a part of the tree that is delegated to the user (systemd-run --user --scope -p Delegate=yes sluice ...)"
    )]
    NoCgroup {
        /// The container.
        id: String,
        /// `pause`, `update`, ...
        verb: &'static str,
    },
    /// The program that maps delegated ids is not there.
    #[error(
        "config.json/linux/{field}: other ids than the caller's own need {helper}, which is neither in PATH nor in \
         /usr/bin (package uidmap or shadow-utils)"
    )]
    IdMapHelperMissing {
        /// `uidMappings` or `gidMappings`.
        field: &'static str,
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
    },
    /// The program that maps delegated ids refused.
    #[error("config.json/linux/{field}: {helper}: {reason}{advice}")]
    IdMapHelper {
        /// `uidMappings` or `gidMappings`.
        field: &'static str,
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
        /// What it wrote to standard error.
        reason: String,
        /// The line that would be right, or nothing.
        advice: String,
    },
    /// The kernel refused a new user namespace.
    #[error(
        "make a user namespace: look at kernel.unprivileged_userns_clone, user.max_user_namespaces and \
         kernel.apparmor_restrict_unprivileged_userns of this host"
    )]
    UserNamespaceDenied {
        /// The cause.
        source: Errno,
    },
    /// A child could not be made or waited for.
    #[error("start a process")]
    Launch(#[source] launch::Error),
    /// A process did not reach its program.
    #[error("{0}")]
    NotStarted(Cause),
    /// A step of the runtime itself was refused.
    #[error("{step}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// The cause.
        source: Errno,
    },
    /// A step on a file was refused.
    #[error("{step} {}", path.display())]
    File {
        /// What was to be done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A namespace file cannot be opened.
    #[error("{pointer}: open the namespace {}", path.display())]
    Namespace {
        /// JSON pointer.
        pointer: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// A namespace path leads to something else.
    #[error("{pointer}: {} is no namespace; use a file such as /proc/PID/ns/net", path.display())]
    NotNamespace {
        /// JSON pointer.
        pointer: String,
        /// The file.
        path: PathBuf,
    },
    /// The pid namespace of a path has lost its init, and with it the ability to hold processes.
    #[error("{pointer}: the pid namespace {} has no init any more, so no process can be made in it", path.display())]
    EndedPidNamespace {
        /// JSON pointer.
        pointer: String,
        /// The file.
        path: PathBuf,
    },
    /// A bind mount cannot be given an id mapping.
    #[error("{pointer}: map the ids of {} (Linux 5.12 or newer, and its file system must support it)", path.display())]
    IdMappedMount {
        /// JSON pointer.
        pointer: String,
        /// The mount's source.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The root file system could not be built.
    #[error(transparent)]
    Rootfs(#[from] crate::rootfs::Error),
    /// The relay between the caller and a process in the foreground.
    #[error(transparent)]
    Foreground(#[from] crate::foreground::Error),
    /// The service manager's socket.
    #[error(transparent)]
    NotifySocket(#[from] crate::notify_socket::Error),
    /// A new `config.json` could not be written.
    #[error(transparent)]
    Spec(#[from] crate::spec::Error),
    /// The terminal, or a socket that descriptors are sent through.
    #[error(transparent)]
    Console(#[from] crate::console::Error),
    /// A text cannot be handed to the kernel.
    #[error("{place} holds a NUL byte")]
    NulByte {
        /// JSON pointer or flag.
        place: String,
    },
    /// A field is understood but not supported here.
    #[error("{pointer}: {reason}")]
    Unsupported {
        /// JSON pointer or flag.
        pointer: String,
        /// What is missing, or what would be right.
        reason: String,
    },
    /// Init said what it could not do.
    #[error("{message}")]
    Init {
        /// Init's own words.
        message: String,
    },
    /// Init ended without a word.
    #[error("container init ended while it had to {stage}: {cause}")]
    InitDied {
        /// The step.
        stage: &'static str,
        /// What the kernel knows.
        cause: Cause,
    },
    /// Init did not finish a step in time.
    #[error("container init did not {stage} within {} s", limit.as_secs())]
    InitStuck {
        /// The step.
        stage: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// A hook failed.
    #[error("hook {name} ({}): {reason}", path.display())]
    Hook {
        /// `createRuntime/0`.
        name: String,
        /// Its program.
        path: PathBuf,
        /// How it ended, with the end of what it wrote to stderr.
        reason: String,
    },
    /// `start` of a container that is not waiting for it.
    #[error("{}", start_text(*status))]
    CannotStart {
        /// What it is.
        status: Status,
    },
    /// `exec` in a container that cannot take one.
    #[error("{}", exec_text(*status))]
    CannotExec {
        /// What it is.
        status: Status,
    },
    /// `exec --cgroup` names a group that nobody made.
    #[error("--cgroup {given}: container {id} has no cgroup {}; who execs into one makes it first", path.display())]
    NoSubCgroup {
        /// The container.
        id: String,
        /// `[controller:]path` as it was given.
        given: String,
        /// The directory that is missing.
        path: PathBuf,
    },
    /// A foreground exec was told to stop before its program ran.
    #[error("{cause}; given up on signal {signal}")]
    Interrupted {
        /// The signal's number.
        signal: i32,
        /// What the start waited for.
        cause: Box<Cause>,
    },
    /// A verb that needs a live container.
    ///
    /// Compat: containerd's shim, `pkg/process/utils.go`, and cri-o look for runc's words before the id.
    #[error("container not running: {id}")]
    NotRunning {
        /// Its id.
        id: String,
    },
    /// `events` of a container that has ended.
    #[error("container with id {id} is not running")]
    NoStats {
        /// Its id.
        id: ContainerId,
    },
    /// `resume` of a container that is not paused.
    #[error("container not paused")]
    NotPaused,
    /// `delete` of a live container without force.
    #[error("cannot delete container {id} that is not stopped: {}", status.as_str())]
    NotStopped {
        /// Its id.
        id: ContainerId,
        /// What it is.
        status: Status,
    },
    /// Something of a container outlived its deletion.
    #[error("container {id} is not removed whole: {}", left.join("; "))]
    Leftover {
        /// Its id.
        id: ContainerId,
        /// What is left and why.
        left: Vec<String>,
    },
    /// A signal could not be sent.
    #[error("send signal {signal} to process {pid}")]
    Signal {
        /// Its number.
        signal: i32,
        /// To whom.
        pid: i32,
        /// The cause.
        source: Errno,
    },
    /// The word is no signal.
    #[error("unknown signal {text:?}")]
    UnknownSignal {
        /// As given.
        text: String,
    },
    /// The label is for a security module that is not active.
    #[error("{pointer}: {module} is not enabled on this host")]
    NoSecurityModule {
        /// JSON pointer.
        pointer: &'static str,
        /// `AppArmor` or `SELinux`.
        module: &'static str,
    },
    /// A preserved descriptor is absent.
    #[error("unable to stat preserved-fd {number} (of {count})")]
    PreservedMissing {
        /// Counted from 0.
        number: u32,
        /// How many were announced.
        count: u32,
        /// The cause.
        source: Errno,
    },
    /// A preserved descriptor leads out of the container.
    #[error("preserved descriptor {number} leads to a directory outside the container")]
    PreservedDirectory {
        /// The descriptor.
        number: u32,
    },
    /// A terminal was asked for and nobody takes it.
    #[error("cannot allocate tty if sluice will detach without setting console socket")]
    ConsoleSocketMissing,
    /// A console socket without a terminal.
    #[error("cannot use console socket if sluice will not detach or allocate tty")]
    ConsoleSocketUnused,
    /// A limit of the running container could not be changed; what happened to the others is said.
    #[error("update: {outcome}")]
    Update {
        /// Whether the former values are back.
        outcome: &'static str,
        /// The refused write.
        source: cgroup::Error,
    },
}

fn start_text(status: Status) -> &'static str {
    match status {
        Status::Stopped => "cannot start a container that has stopped",
        Status::Creating => "cannot start a container that is still being created",
        Status::Paused => "cannot start a paused container",
        _ => "cannot start an already running container",
    }
}

fn exec_text(status: Status) -> &'static str {
    match status {
        Status::Paused => "cannot exec in a paused container (use --ignore-paused to override)",
        Status::Creating => "cannot exec in a container that is still being created",
        _ => "cannot exec in a stopped container",
    }
}

/// The whole chain of an error in one line, outermost first.
///
/// An errno is put in words that no caller of an OCI runtime matches on: dockerd turns "permission denied" and "no
/// such file or directory" into the exit codes 126 and 127, containerd turns "does not exist" and "no such process"
/// into NotFound. Those words are left to the errors that mean it.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = one(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let words = one(cause);
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

fn one(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(errno) = error.downcast_ref::<Errno>() {
        return errno_text(*errno);
    }
    let io = error.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
    io.map_or_else(|| error.to_string(), errno_text)
}

/// An errno in words, with its name where the words are ours: those of C libraries differ.
#[must_use]
pub(crate) fn errno_text(errno: Errno) -> String {
    let words = match errno {
        Errno::NOENT => "not found (ENOENT)",
        Errno::ACCESS => "access refused (EACCES)",
        Errno::ISDIR => "a directory stands there (EISDIR)",
        Errno::NOTDIR => "a part of the path is no directory (ENOTDIR)",
        Errno::SRCH => "the process has ended (ESRCH)",
        Errno::PERM => "operation not permitted (EPERM)",
        Errno::NOSPC => "no space left (ENOSPC)",
        Errno::ROFS => "the file system is read-only (EROFS)",
        Errno::MFILE => "this process has too many open files (EMFILE)",
        Errno::NFILE => "the host has too many open files (ENFILE)",
        Errno::BADF => "no such open descriptor (EBADF)",
        Errno::EXIST => "something stands there already (EEXIST)",
        Errno::BUSY => "it is in use (EBUSY)",
        Errno::INVAL => "the kernel does not accept it (EINVAL)",
        Errno::RANGE => "the value is out of range (ERANGE)",
        Errno::NODEV => "no such device or file system type (ENODEV)",
        Errno::OVERFLOW => "an id is not mapped or a value is too large (EOVERFLOW)",
        Errno::IO => "input/output error (EIO)",
        Errno::NOMEM => "cannot allocate memory (ENOMEM)",
        Errno::LOOP => "too many levels of symbolic links (ELOOP)",
        Errno::NAMETOOLONG => "the name is too long (ENAMETOOLONG)",
        Errno::XDEV => "on another file system (EXDEV)",
        Errno::TIMEDOUT => "timed out (ETIMEDOUT)",
        Errno::DQUOT => "the quota is used up (EDQUOT)",
        Errno::OPNOTSUPP => "not supported (EOPNOTSUPP)",
        Errno::NXIO => "no such device or address (ENXIO)",
        Errno::NOSYS => "this kernel or a filter around us does not have the call (ENOSYS)",
        other => return other.to_string(),
    };
    words.to_owned()
}
