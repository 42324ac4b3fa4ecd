//! From what became of a process to the condition that caused it: the truth table of docs/errors.md.

use crate::cause::Cause;
use crate::config::{NamespaceType, Process as Configured};
use crate::error::errno_text;
use crate::last_mile::{LastMile, RLIMITS};
use crate::program::{self, Attempt};
use crate::{Error, IdMap, bounded, capability};
use cgroup::{Cgroup, Evidence};
use child::{Failure, Stage};
use launch::{Ended, Process};
use proc::{Procfs, Root};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is known around a start.
pub(crate) struct Context<'a> {
    pub(crate) proc: &'a Procfs,
    pub(crate) init: Option<&'a Process>,
    pub(crate) process: &'a Configured,
    pub(crate) cgroup: &'a cgroup::Paths,
    /// The same process, as it was prepared for the kernel.
    pub(crate) last_mile: Option<&'a LastMile>,
    /// The counters before the start.
    pub(crate) before: Option<&'a Evidence>,
}

impl Context<'_> {
    /// Whether the container's init is alive now.
    fn init_lives(&self) -> bool {
        self.init.is_some_and(|init| lives_after(init, Duration::ZERO))
    }

    /// Whether the container's init has survived what killed the child.
    fn init_survived(&self) -> bool {
        self.init.is_some_and(|init| survives(self.proc, init))
    }

    fn after(&self) -> Evidence {
        Evidence::full(&Cgroup::new(self.cgroup.clone()))
    }

    fn memory_limit(&self) -> Option<cgroup::Cause> {
        let after = self.after();
        Evidence::memory_limit(self.before.unwrap_or(&Evidence::default()), &after)
    }

    fn memory_kill(&self) -> Option<cgroup::Cause> {
        let after = self.after();
        self.before.and_then(|before| Evidence::memory_kill(before, &after))
    }

    /// The root of the container, through its init.
    fn root(&self) -> Option<Root> {
        let init = self.init?;
        Root::at(Path::new(&format!("/proc/{}/root", init.pid))).ok()
    }
}

fn lives_after(init: &Process, limit: Duration) -> bool {
    matches!(launch::process::wait_dead(init.pidfd.as_fd(), limit), Ok(false))
}

/// Whether an init lives and goes on living, as far as can be seen.
///
/// Kernel: a dying init kills its namespace, waits for it, and only then counts as dead; it is marked as exiting from
/// the start, as is the first thread of one whose others live on.
fn survives(proc: &Procfs, init: &Process) -> bool {
    const DYING: Duration = Duration::from_secs(2);
    const NEXT_IN_LINE: Duration = Duration::from_millis(100);
    let exiting = proc.stat(init.pid).map_or(true, |stat| stat.is_exiting());
    lives_after(init, if exiting { DYING } else { NEXT_IN_LINE })
}

/// What the end of the container explains is told as that: its files and groups vanish with it, in any order.
pub(crate) fn unless_init_died(proc: &Procfs, init: &Process, error: Error) -> Error {
    let vanished = matches!(
        error,
        Error::Proc(_) | Error::Cgroup(_) | Error::ReadState { .. } | Error::Console(_) | Error::Launch(_)
    );
    if vanished && !survives(proc, init) { Error::NotStarted(Cause::NotRunning) } else { error }
}

/// How a process ended, for a message.
pub(crate) fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("ended with status {status}"),
        Ended::Signaled(signal) => format!("was killed by signal {signal}"),
    }
}

/// A process that did not get past a step.
pub(crate) fn stuck(proc: Option<&Procfs>, stage: Stage, waited: Duration, pid: i32) -> Cause {
    let unknown = || ('?', UNNAMED.to_owned());
    let (state, wchan) = proc.map_or_else(unknown, |proc| whereabouts(proc, pid));
    Cause::Stuck { pid, stage, waited_ms: waited.as_millis(), state, wchan }
}

/// Where a process sleeps of which the kernel does not tell it.
const UNNAMED: &str = "a place that the kernel does not name";

/// The state letter of a process, `?` for one that is gone, and the kernel function it sleeps in.
///
/// Kernel: on x86 `wchan` is `0` for every process before 5.16 when the kernel is built with the ORC unwinder, as
/// distributions build it. `stack` tells it there, but its reader waits for an `execve` of the process to end, which is
/// what may be stuck.
pub(crate) fn whereabouts(proc: &Procfs, pid: i32) -> (char, String) {
    let state = proc.stat(pid).map_or('?', |stat| stat.state);
    let wchan = proc.read(Path::new(&format!("{pid}/wchan"))).unwrap_or_default();
    (state, place(state, &wchan))
}

fn place(state: char, wchan: &str) -> String {
    match wchan.trim() {
        "" | "0" if state == 'R' => "user space".to_owned(),
        "" | "0" => UNNAMED.to_owned(),
        function => function.to_owned(),
    }
}

/// A process that did not get past a step before its program, and lives: what stands in its way, as far as the groups
/// tell.
pub(crate) fn of_stuck(context: &Context<'_>, stage: Stage, waited: Duration, pid: i32) -> Cause {
    let now = context.after();
    let obstacle = now.obstacle();
    if let Some(found @ (cgroup::Cause::Frozen { .. } | cgroup::Cause::OomDisabled { .. })) = obstacle {
        return self::obstacle(context.cgroup, found);
    }
    let cause = stuck(Some(context.proc), stage, waited, pid);
    match exhausted_again(context, &now) {
        Some(limit) if matches!(cause, Cause::Stuck { state: 'R', .. }) => {
            Cause::NoMemory { stage, cause: limit }
        }
        _ => cause,
    }
}

/// The limit that fails again and again: on cgroup v2 a process tries for ever to touch a page when nobody may be killed
/// for it.
fn exhausted_again(context: &Context<'_>, now: &Evidence) -> Option<cgroup::Cause> {
    const SOME_TRIES: Duration = Duration::from_millis(20);
    std::thread::sleep(SOME_TRIES);
    Evidence::memory_exhausted(now, &context.after())
}

/// What stands in the way of a start before it is tried, in the groups of `own`.
pub(crate) fn obstacle(own: &cgroup::Paths, cause: cgroup::Cause) -> Cause {
    match cause {
        cgroup::Cause::Gone { path } => Cause::CgroupGone { path },
        cgroup::Cause::Frozen { path } if own.all().all(|own| own != path) => Cause::FrozenAbove { path },
        cgroup::Cause::Frozen { path } => Cause::Frozen { path },
        cgroup::Cause::PidsLimit { path, current, max } => Cause::PidsLimit { path, current, max },
        cgroup::Cause::OomDisabled { path } => Cause::OomDisabled { path },
        cause => Cause::NoMemory { stage: Stage::Start, cause },
    }
}

/// A cgroup above that is frozen, which `resume` could not thaw; none when the container's own is.
pub(crate) fn frozen_above(own: &cgroup::Paths) -> Option<Cause> {
    let path = Cgroup::new(own.clone()).frozen_level()?.to_owned();
    let cause = obstacle(own, cgroup::Cause::Frozen { path });
    matches!(cause, Cause::FrozenAbove { .. }).then_some(cause)
}

/// What ended an init that was reaped before anybody could see whether it executed its program; none when it did, or
/// nobody can tell.
///
/// A filter that kills and a limit of memory are told in any case: the container is gone for that reason.
pub(crate) fn of_gone_init(context: &Context<'_>) -> Option<Cause> {
    let ended = context.init.and_then(|init| launch::process::how_ended(context.proc, init))?;
    let by_limit = ended == Ended::Signaled(SIGKILL) && context.memory_kill().is_some();
    (ended == Ended::Signaled(SIGSYS) || by_limit).then(|| of_init(context, Stage::Execve))
}

/// A container init that ended without a word, in this step as far as is known.
pub(crate) fn of_init(context: &Context<'_>, stage: Stage) -> Cause {
    let ended = context.init.and_then(|init| launch::process::how_ended(context.proc, init));
    match (ended, context.memory_kill()) {
        (Some(Ended::Signaled(SIGSYS)), _) => Cause::SeccompKilled { stage },
        (_, Some(cause)) => Cause::OutOfMemory { stage, cause },
        (ended, None) => {
            Cause::Died { stage, how: ended.map_or_else(|| "ended in an unknown way".to_owned(), how) }
        }
    }
}

const SIGKILL: u8 = 9;
const SIGSYS: u8 = 31;

/// A child that ended without a report before its program.
pub(crate) fn of_death(context: &Context<'_>, stage: Stage, ended: Ended) -> Cause {
    match ended {
        Ended::Signaled(SIGSYS) => Cause::SeccompKilled { stage },
        Ended::Signaled(SIGKILL) => {
            let lives = context.init_survived();
            match context.memory_kill() {
                Some(cause) if lives => Cause::OutOfMemory { stage, cause },
                Some(cause) => Cause::InitOutOfMemory { cause },
                None if lives => Cause::Died { stage, how: how(ended) },
                None => Cause::Stopped { stage },
            }
        }
        ended => Cause::Died { stage, how: how(ended) },
    }
}

/// `clone3`, or the entry into the container's pid namespace, was refused.
pub(crate) fn of_birth(context: &Context<'_>, error: &launch::Error) -> Option<Cause> {
    let path = || context.cgroup.main().to_owned();
    Some(match error {
        launch::Error::PidNamespace(Errno::SRCH | Errno::INVAL)
        | launch::Error::UserNamespace(Errno::SRCH) => not_running(context),
        launch::Error::Clone(Errno::AGAIN) => of_no_pids(context),
        launch::Error::Clone(Errno::NOENT | Errno::NODEV) => Cause::CgroupGone { path: path() },
        // Kernel: the caller also needs the right to cgroup.procs of the nearest group above both.
        launch::Error::Clone(Errno::ACCESS) => Cause::CgroupClosed { path: path() },
        launch::Error::Clone(Errno::BUSY) => Cause::CgroupBusy { path: path() },
        launch::Error::Clone(Errno::OPNOTSUPP) => Cause::CgroupNotDomain { path: path() },
        // Kernel: the pid namespace of a dead init answers ENOMEM; it never means memory then.
        launch::Error::Clone(Errno::NOMEM) if !context.init_lives() => Cause::NotRunning,
        launch::Error::Clone(Errno::NOMEM) => no_memory(context, Stage::Start)?,
        _ => return None,
    })
}

fn of_no_pids(context: &Context<'_>) -> Cause {
    let after = context.after();
    let nothing = Evidence::default();
    if let Some(cause) = Evidence::pids_limit(context.before.unwrap_or(&nothing), &after) {
        return obstacle(context.cgroup, cause);
    }
    let read = |path: &str| context.proc.read(path.as_ref()).unwrap_or_default().trim().to_owned();
    Cause::HostProcesses { threads_max: read("sys/kernel/threads-max"), pid_max: read("sys/kernel/pid_max") }
}

/// The limit on memory that is full, if one is.
pub(crate) fn no_memory(context: &Context<'_>, stage: Stage) -> Option<Cause> {
    context.memory_limit().map(|cause| Cause::NoMemory { stage, cause })
}

fn not_running(context: &Context<'_>) -> Cause {
    let Some(init) = context.init.filter(|_| context.init_survived()) else {
        return match context.memory_kill() {
            Some(cause) => Cause::InitOutOfMemory { cause },
            None => Cause::NotRunning,
        };
    };
    leader_gone(context.proc, init).unwrap_or(Cause::NotRunning)
}

/// An init whose first thread has ended while others live: nothing of it can be reached any more.
pub(crate) fn leader_gone(proc: &Procfs, init: &Process) -> Option<Cause> {
    let stat = proc.stat(init.pid).ok().filter(proc::pid::Stat::is_dead)?;
    let threads = usize::try_from(stat.num_threads).unwrap_or(0).saturating_sub(1);
    (threads > 0).then_some(Cause::LeaderGone { pid: init.pid, threads })
}

/// A step that was refused.
pub(crate) fn of_failure(context: &Context<'_>, failure: Failure) -> Cause {
    of_failure_in(context, failure, None)
}

/// As [`of_failure`], looking below `root` when the container's init is gone.
pub(crate) fn of_failure_in(context: &Context<'_>, failure: Failure, root: Option<&Root>) -> Cause {
    let Failure { stage, errno, detail } = failure;
    let group = || joined(context, detail);
    match (stage, errno) {
        // Kernel: a dead pid namespace answers it too.
        (_, Errno::NOMEM) if stage != Stage::Namespaces || context.init_survived() => {
            no_memory(context, stage).unwrap_or_else(|| plain(context, failure))
        }
        (Stage::Execve, errno) => of_execve(context, errno, root),
        (Stage::WorkingDirectory | Stage::Outside, errno) => of_directory(context, stage, errno),
        (Stage::Cgroup, Errno::NOSPC) => Cause::EmptyCpuset { path: group() },
        (Stage::Cgroup, Errno::NOENT | Errno::NODEV) => Cause::CgroupGone { path: group() },
        (Stage::Namespaces, Errno::SRCH | Errno::NOMEM) => not_running(context),
        (Stage::Uid, Errno::INVAL) => Cause::NotMapped { kind: "uid", id: detail },
        (Stage::Gid, Errno::INVAL) => Cause::NotMapped { kind: "gid", id: detail },
        (Stage::Groups, errno) => of_groups(context, errno).unwrap_or_else(|| plain(context, failure)),
        (Stage::Keyring, Errno::DQUOT) => Cause::KeyQuota { uid: host_root(context) },
        (Stage::OomScore, Errno::ACCESS) => of_oom_score(context),
        (Stage::Label, Errno::NOENT) if !context.process.apparmor_profile.is_empty() => {
            Cause::NoProfile { profile: context.process.apparmor_profile.clone() }
        }
        (Stage::Seccomp, errno) => Cause::Filter { errno: errno_text(errno) },
        (Stage::Rlimit, errno) => {
            of_rlimit(context, detail, errno).unwrap_or_else(|| plain(context, failure))
        }
        _ => plain(context, failure),
    }
}

fn plain(context: &Context<'_>, failure: Failure) -> Cause {
    let Failure { stage, errno, detail } = failure;
    Cause::Step { stage, operand: operand(context, stage, detail), errno: errno_text(errno) }
}

/// The operand that a step's detail stands for; see [`Stage`].
fn operand(context: &Context<'_>, stage: Stage, detail: u32) -> String {
    let index = usize::try_from(detail).unwrap_or(usize::MAX);
    let word = |words: &[&str]| words.get(index).copied().unwrap_or_default().to_owned();
    match stage {
        Stage::Rlimit => {
            let found = RLIMITS.iter().find(|(_, resource)| *resource as u32 == detail);
            found.map_or_else(String::new, |(name, _)| (*name).to_owned())
        }
        Stage::Scheduler => {
            word(&["process/scheduler", "process/ioPriority", "initial processors", "final processors"])
        }
        Stage::Cgroup => joined(context, detail).display().to_string(),
        Stage::StdioOwner => word(&["stdin", "stdout", "stderr"]),
        Stage::BoundingSet => word(&capability::NAMES),
        Stage::Gid | Stage::Uid => detail.to_string(),
        Stage::Label => [&context.process.apparmor_profile, &context.process.selinux_label]
            .into_iter()
            .find(|label| !label.is_empty())
            .cloned()
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// The cgroup of a v1 join.
fn joined(context: &Context<'_>, index: u32) -> PathBuf {
    let cgroup = Cgroup::new(context.cgroup.clone());
    let order = cgroup.join_order();
    let path = usize::try_from(index).ok().and_then(|index| order.get(index).copied());
    path.unwrap_or(context.cgroup.main()).to_owned()
}

/// The host's id of the container's root, who owns its keys.
fn host_root(context: &Context<'_>) -> u32 {
    id_map(context, "uid_map").outside(0).unwrap_or(0)
}

/// The ids of init's user namespace; empty without an init, and where they cannot be read.
fn id_map(context: &Context<'_>, file: &str) -> IdMap {
    let Some(init) = context.init else { return IdMap::default() };
    IdMap::parse(&context.proc.read(format!("{}/{file}", init.pid).as_ref()).unwrap_or_default())
}

fn of_oom_score(context: &Context<'_>) -> Cause {
    let own = context.proc.read("self/oom_score_adj".as_ref()).unwrap_or_default();
    let wanted = context
        .process
        .oom_score_adj
        .map_or_else(|| "of the container".to_owned(), |score| score.to_string());
    Cause::OomScore { wanted, own: own.trim().to_owned() }
}

fn of_groups(context: &Context<'_>, errno: Errno) -> Option<Cause> {
    match errno {
        Errno::PERM => Some(Cause::GroupsDenied { pid: context.init?.pid }),
        Errno::INVAL => {
            let map = id_map(context, "gid_map");
            let gids = &context.process.user.additional_gids;
            let id = *gids.iter().find(|id| map.outside(**id).is_none())?;
            Some(Cause::NotMapped { kind: "additional gid", id })
        }
        _ => None,
    }
}

fn of_rlimit(context: &Context<'_>, number: u32, errno: Errno) -> Option<Cause> {
    let (name, _) = RLIMITS.iter().find(|(_, resource)| *resource as u32 == number)?;
    let wanted = context.process.rlimits.iter().find(|limit| limit.kind == *name)?;
    let value = if wanted.hard == u64::MAX { "unlimited".to_owned() } else { wanted.hard.to_string() };
    let ceiling = context.proc.read("sys/fs/nr_open".as_ref()).unwrap_or_default();
    let ceiling: u64 = ceiling.trim().parse().unwrap_or(u64::MAX);
    let reason = match errno {
        Errno::PERM if *name == "RLIMIT_NOFILE" && wanted.hard > ceiling => {
            format!("is above fs.nr_open={ceiling}")
        }
        Errno::PERM => {
            let own = rlimit_of_caller(context, name).unwrap_or_else(|| "lower".to_owned());
            format!(
                "is above the runtime's own hard limit of {own}, and it has no CAP_SYS_RESOURCE to raise it"
            )
        }
        errno => format!("is refused: {}", errno_text(errno)),
    };
    Some(Cause::Rlimit { name, value, reason })
}

fn rlimit_of_caller(_context: &Context<'_>, name: &str) -> Option<String> {
    let (_, resource) = RLIMITS.iter().find(|(known, _)| *known == name)?;
    let own = rustix::process::getrlimit(*resource).maximum;
    Some(own.map_or_else(|| "unlimited".to_owned(), |value| value.to_string()))
}

fn of_directory(context: &Context<'_>, stage: Stage, errno: Errno) -> Cause {
    let path = context.process.cwd.display().to_string();
    match (stage, errno) {
        (Stage::Outside, _) => Cause::DirectoryOutside { path },
        (_, Errno::NOENT) => Cause::NoDirectory { path },
        (_, Errno::NOTDIR) => Cause::DirectoryIsFile { path },
        (_, Errno::LOOP) => Cause::DirectoryLoop { path },
        (_, Errno::ACCESS) => Cause::DirectoryClosed { path, uid: context.process.user.uid },
        (stage, errno) => Cause::Step { stage, operand: path, errno: errno_text(errno) },
    }
}

/// Source: `include/uapi/linux/binfmts.h`, `MAX_ARG_STRLEN` is 32 pages.
const LONGEST_ARGUMENT: usize = 32 * 4096;

/// Bytes of arguments and environment that every `RLIMIT_STACK` takes: of `ARG_MAX` (`include/uapi/linux/limits.h`) an
/// eighth, since each string of two bytes takes a pointer as well.
const SURELY_TAKEN: usize = 128 * 1024 / 8;

fn of_execve(context: &Context<'_>, errno: Errno, root: Option<&Root>) -> Cause {
    let name = context.process.args.first().cloned().unwrap_or_default();
    let uid = context.process.user.uid;
    match errno {
        Errno::TOOBIG => too_big(context, name),
        Errno::AGAIN => {
            let limit = context.process.rlimits.iter().find(|limit| limit.kind == "RLIMIT_NPROC");
            let limit = limit
                .map(|limit| limit.soft.to_string())
                .or_else(|| rlimit_of_caller(context, "RLIMIT_NPROC"));
            Cause::TooManyProcesses { path: name, uid, limit: limit.unwrap_or_else(|| "unknown".to_owned()) }
        }
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::ACCESS
        | Errno::NOEXEC
        | Errno::TXTBSY
        | Errno::LOOP
        | Errno::ISDIR => of_program_in(context, errno, root),
        errno => Cause::ExecveForbidden { path: name, errno: errno_text(errno) },
    }
}

fn too_big(context: &Context<'_>, path: String) -> Cause {
    let (total, (what, index, bytes)) = context.last_mile.map_or((0, ("argument", 0, 0)), LastMile::sizes);
    if bytes > LONGEST_ARGUMENT {
        return Cause::ArgumentTooLong { path, what, index, bytes, limit: LONGEST_ARGUMENT };
    }
    // Kernel: a page for the arguments that cannot be had is told as E2BIG too.
    let is_small = context.last_mile.is_some() && total <= SURELY_TAKEN;
    let memory = is_small.then(|| no_memory(context, Stage::Execve)).flatten();
    memory.unwrap_or(Cause::ArgumentsTooLong { path, bytes: total })
}

/// A program that could not be found or executed.
pub(crate) fn of_program(context: &Context<'_>, errno: Errno) -> Cause {
    of_program_in(context, errno, None)
}

fn of_program_in(context: &Context<'_>, errno: Errno, root: Option<&Root>) -> Cause {
    let twin = || root?.as_fd().try_clone_to_owned().ok().map(Root::from);
    let attempt = attempt(context, errno);
    let Some(root) = context.root().or_else(twin) else {
        return Cause::NoSuchFile { path: attempt.program };
    };
    let (looked, init) = (attempt.clone(), context.init.map_or(0, |init| init.pid));
    // What lies on the way may be a file system of the container that never answers.
    bounded::look(context.proc, init, move || program::diagnose(&root, &looked)).unwrap_or_else(|unseen| {
        let program = &attempt.program;
        log::warn!("why {program:?} cannot run is not known: {}", unseen.says());
        program::undiagnosed(&attempt)
    })
}

fn attempt(context: &Context<'_>, errno: Errno) -> Attempt {
    let process = context.process;
    let program = process.args.first().cloned().unwrap_or_default();
    let paths = match context.last_mile {
        Some(last_mile) => last_mile.paths().to_vec(),
        None => program::candidates(&program, &process.env).unwrap_or_default(),
    };
    let gids = std::iter::once(process.user.gid).chain(process.user.additional_gids.clone());
    let (directory, uid) = (process.cwd.clone(), process.user.uid);
    let effective = process.capabilities.as_ref().map_or(0, |sets| capability::mask(&sets.effective).0);
    Attempt {
        program,
        paths,
        directory,
        uid,
        gids: gids.collect(),
        capabilities: effective,
        user_ids: id_map(context, "uid_map"),
        group_ids: id_map(context, "gid_map"),
        errno,
    }
}

/// Whether a namespace kind of a record is one of its own.
pub(crate) fn has_namespace(namespaces: &[crate::config::Namespace], kind: NamespaceType) -> bool {
    namespaces.iter().any(|namespace| namespace.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text for a refused birth in a container whose init is gone.
    fn birth(error: &launch::Error) -> Option<String> {
        with_context(|context| of_birth(context, error).map(|cause| cause.to_string()))
    }

    fn step(stage: Stage, errno: Errno, detail: u32) -> String {
        with_context(|context| of_failure(context, Failure { stage, errno, detail }).to_string())
    }

    fn with_context<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
        let v1 = ["cpuset", "freezer", "memory", "pids"]
            .map(|key| (key.to_owned(), format!("/gone/{key}").into()));
        let cgroup = cgroup::Paths { unified: None, v1: v1.into() };
        let process = Configured { args: vec!["/bin/x".to_owned()], ..Configured::default() };
        let proc = Procfs::host().unwrap();
        let context = Context {
            proc: &proc,
            init: None,
            process: &process,
            cgroup: &cgroup,
            last_mile: None,
            before: None,
        };
        run(&context)
    }

    #[test]
    fn each_errno_of_clone3_has_its_own_words() {
        let main = with_context(|context| context.cgroup.main().display().to_string());
        for (errno, words) in [
            (Errno::NOENT, format!("the container's cgroup is gone ({main}): it is being deleted")),
            (Errno::BUSY, format!("cgroup {main} has child cgroups with controllers and takes no process")),
            (Errno::OPNOTSUPP, format!("cgroup {main} is not a valid domain (cgroup.type)")),
            (Errno::NOMEM, "container is not running".to_owned()),
        ] {
            assert_eq!(birth(&launch::Error::Clone(errno)), Some(format!("exec: {words}")));
        }
        let text = birth(&launch::Error::Clone(Errno::AGAIN)).unwrap();
        assert!(text.starts_with("exec: the host cannot make a process (EAGAIN) and no pids.max"), "{text}");
        assert_eq!(
            birth(&launch::Error::PidNamespace(Errno::SRCH)).unwrap(),
            "exec: container is not running"
        );
        assert_eq!(birth(&launch::Error::Clone(Errno::PERM)), None);
    }

    #[test]
    fn a_refused_step_names_its_operand() {
        let denied = "operation not permitted (EPERM)";
        for (stage, detail, words) in [
            (Stage::BoundingSet, 21, "drop capabilities from the bounding set (CAP_SYS_ADMIN)"),
            (Stage::StdioOwner, 2, "give the standard streams to the user (stderr)"),
            (Stage::Scheduler, 1, "set the scheduling attributes (process/ioPriority)"),
            (Stage::Gid, 5, "set the group id (5)"),
            (Stage::Cgroup, 1, "join the cgroup (/gone/pids)"),
            (Stage::Session, 0, "start a session"),
        ] {
            assert_eq!(step(stage, Errno::PERM, detail), format!("exec: {words}: {denied}"));
        }
        let text = step(Stage::Cgroup, Errno::NOSPC, 0);
        assert_eq!(text, "exec: the cpuset of the container has no cpus or mems (/gone/cpuset)");
    }
}
