//! A configured process turned into what the crate `child` takes: owned texts, masks and numbers, ready before any
//! fork.

use crate::config::{IoPriorityClass, Process, Rlimit, SchedulerPolicy};
use crate::program::{c_string, candidates};
use crate::{Error, Rootless, attribute, capability};
use child::identity::{Capabilities, Identity, Limit, Scheduling};
use child::{Failure, Stage};
use proc::Procfs;
use rustix::io::Errno;
use rustix::process::Resource;
use std::ffi::{CStr, CString};
use std::sync::OnceLock;
use sys::capability::Sets;
use sys::exec::{Entry, Late};

/// Whether a process lives in another user namespace than the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserNamespace {
    /// The runtime's own.
    Host,
    /// Another one: all capabilities can be had there.
    Other,
}

/// Everything about a process that does not depend on its container's state.
#[derive(Debug)]
pub(crate) struct LastMile {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    home: Option<Box<Late>>,
    paths: Vec<CString>,
    limits: Vec<Limit>,
    scheduling: Owned,
    groups: Vec<u32>,
    capabilities: Capabilities,
    /// Working directory.
    pub directory: CString,
    /// The label's file below `self/` and its text.
    pub label: Option<(CString, Vec<u8>)>,
    /// The configured process, with what was added to its environment.
    pub process: Process,
}

#[derive(Debug, Default)]
struct Owned {
    attributes: Option<sys::sched::Attributes>,
    io_priority: Option<u32>,
    affinity: Vec<u64>,
    personality: Option<u64>,
}

impl LastMile {
    /// Prepares a process. When `HOME` is not configured, or empty, the process itself looks it up.
    ///
    /// # Errors
    /// The field that cannot be used.
    pub(crate) fn new(proc: &Procfs, mut process: Process, users: UserNamespace) -> Result<Self, Error> {
        process.env = last_of_each(&process.env);
        // Compat: runc, `libcontainer/init_linux.go`: an empty one counts as none.
        process.env.retain(|entry| entry != "HOME=");
        let has_home = process.env.iter().any(|entry| entry.starts_with("HOME="));
        let program = process.args.first().cloned().unwrap_or_default();
        Ok(LastMile {
            arguments: c_strings(&process.args, "process/args")?,
            environment: c_strings(&process.env, "process/env")?,
            home: (!has_home).then(Box::default),
            paths: candidates(&program, &process.env)?,
            limits: process.rlimits.iter().map(limit).collect::<Result<_, _>>()?,
            scheduling: scheduling(&process)?,
            groups: process.user.additional_gids.clone(),
            // Compat: runc takes absent capabilities as empty sets.
            capabilities: capabilities(proc, &process.capabilities.clone().unwrap_or_default(), users)?,
            directory: c_string(&process.cwd.to_string_lossy(), "process/cwd")?,
            label: label(&process)?,
            process,
        })
    }

    /// Sets the execution domain of the container.
    pub(crate) fn set_personality(&mut self, persona: u64) {
        self.scheduling.personality = Some(persona);
    }

    /// User, groups and capabilities.
    #[must_use]
    pub(crate) fn identity(&self) -> Identity<'_> {
        let user = &self.process.user;
        Identity {
            uid: user.uid,
            gid: user.gid,
            groups: Some(&self.groups),
            umask: user.umask,
            capabilities: Some(self.capabilities),
            no_new_privs: self.process.no_new_privileges,
        }
    }

    /// Resource limits.
    #[must_use]
    pub(crate) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Scheduling.
    #[must_use]
    pub(crate) fn scheduling(&self) -> Scheduling<'_> {
        let owned = &self.scheduling;
        Scheduling {
            attributes: owned.attributes,
            io_priority: owned.io_priority,
            affinity: (!owned.affinity.is_empty()).then_some(&owned.affinity),
            personality: owned.personality,
        }
    }

    /// The paths to try.
    #[must_use]
    pub(crate) fn paths(&self) -> &[CString] {
        &self.paths
    }

    /// Borrowed vectors for `execve`.
    #[must_use]
    pub(crate) fn vectors(&self) -> Vectors<'_> {
        Vectors {
            arguments: entries(&self.arguments),
            environment: self.environment_entries(),
            paths: self.paths.iter().map(CString::as_c_str).collect(),
        }
    }

    /// The environment with its end mark; `HOME` may be written later, see [`LastMile::home`].
    pub(crate) fn environment_entries(&self) -> Vec<Entry<'_>> {
        let texts = self.environment.iter().map(|text| Entry::new(text));
        texts.chain(self.home().map(Entry::late)).chain([Entry::END]).collect()
    }

    /// The entry of the environment that the process fills in itself.
    #[must_use]
    pub(crate) fn home(&self) -> Option<&Late> {
        self.home.as_deref()
    }

    /// Bytes of arguments and environment with their NULs, and the longest entry: what, index, bytes.
    #[must_use]
    pub(crate) fn sizes(&self) -> (usize, (&'static str, usize, usize)) {
        let size = |text: &CString| text.as_bytes_with_nul().len();
        let total = self.arguments.iter().chain(&self.environment).map(size).sum();
        let longest = |what, list: &[CString]| {
            list.iter()
                .map(size)
                .enumerate()
                .max_by_key(|(_, bytes)| *bytes)
                .map(|(index, bytes)| (what, index, bytes))
        };
        let both = [longest("argument", &self.arguments), longest("environment entry", &self.environment)];
        (total, both.into_iter().flatten().max_by_key(|longest| longest.2).unwrap_or(("argument", 0, 0)))
    }
}

/// Pointers into a [`LastMile`].
#[derive(Debug)]
pub(crate) struct Vectors<'a> {
    /// Arguments with the end mark.
    pub arguments: Vec<Entry<'a>>,
    /// Environment with the end mark.
    pub environment: Vec<Entry<'a>>,
    /// The paths to try.
    pub paths: Vec<&'a CStr>,
}

impl Vectors<'_> {
    /// What the child takes.
    ///
    /// # Errors
    /// Never: the vectors were built with their end marks.
    pub(crate) fn program(&self) -> Result<child::program::Program<'_>, Error> {
        let invalid = || Error::Step { step: "build the argument vector", source: rustix::io::Errno::INVAL };
        Ok(child::program::Program {
            paths: &self.paths,
            arguments: sys::exec::Vector::new(&self.arguments).ok_or_else(invalid)?,
            environment: sys::exec::Vector::new(&self.environment).ok_or_else(invalid)?,
        })
    }
}

/// Pointers to texts, with the end mark that the kernel wants.
pub(crate) fn entries(texts: &[CString]) -> Vec<Entry<'_>> {
    texts.iter().map(|text| Entry::new(text)).chain([Entry::END]).collect()
}

/// One entry for each variable: the last one given, where the first one stood.
///
/// Compat: runc sets the variables one after the other.
fn last_of_each(environment: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    let mut seen: Vec<(String, &String)> = Vec::with_capacity(environment.len());
    for entry in environment {
        let this = name(entry);
        match seen.iter_mut().find(|(known, _)| *known == this) {
            Some((_, value)) => *value = entry,
            None => seen.push((this, entry)),
        }
    }
    seen.into_iter().map(|(_, entry)| entry.clone()).collect()
}

fn c_strings(texts: &[String], place: &str) -> Result<Vec<CString>, Error> {
    texts.iter().enumerate().map(|(index, text)| c_string(text, &format!("{place}/{index}"))).collect()
}

/// Names of `RLIMIT_*` in `config.json`.
///
/// Source: getrlimit(2).
pub(crate) const RLIMITS: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

fn limit(configured: &Rlimit) -> Result<Limit, Error> {
    let found = RLIMITS.iter().find(|(name, _)| *name == configured.kind);
    let (_, resource) = found.ok_or_else(|| Error::Unsupported {
        pointer: "process/rlimits".into(),
        reason: format!("{:?} is no resource limit of Linux", configured.kind),
    })?;
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let value =
        rustix::process::Rlimit { current: finite(configured.soft), maximum: finite(configured.hard) };
    Ok(Limit { resource: *resource, value })
}

/// Raises the hard limits of a container's init, which in a user namespace of its own could not do it.
///
/// # Errors
/// The limit that was refused.
pub(crate) fn raise_limits(process: &Process, pid: i32) -> Result<(), Refusal> {
    for configured in &process.rlimits {
        let limit = limit(configured).map_err(Refusal::Configured)?;
        let Some(raised) = limit.raised() else { continue };
        let failure = |errno| Failure { stage: Stage::Rlimit, errno, detail: limit.resource as u32 };
        let pid = rustix::process::Pid::from_raw(pid);
        rustix::process::prlimit(pid, limit.resource, raised)
            .map_err(|errno| Refusal::Kernel(failure(errno)))?;
    }
    Ok(())
}

/// Writes `oom_score_adj` of a process, a pid or `self`.
///
/// # Errors
/// [`Stage::OomScore`]. `EACCES`: it is below the process's floor, and the caller, who is not rootless, has no
/// `CAP_SYS_RESOURCE` of the host.
pub(crate) fn set_oom_score(
    proc: &Procfs,
    process: &str,
    score: i32,
    rootless: Rootless,
) -> Result<(), Failure> {
    match attribute::write(proc, format!("{process}/oom_score_adj"), &score.to_string()) {
        // A preference, which the caller may not have: no reason to refuse the container.
        Err(Errno::ACCESS | Errno::PERM) if rootless == Rootless::Yes => {
            log::debug!("process/oomScoreAdj {score} is below the own value, which stays");
            Ok(())
        }
        written => written.map_err(|errno| Failure { stage: Stage::OomScore, errno, detail: 0 }),
    }
}

/// Who refused a limit.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is none.
    Configured(Error),
    /// The kernel.
    Kernel(Failure),
}

fn scheduling(process: &Process) -> Result<Owned, Error> {
    let mut owned = Owned::default();
    if let Some(scheduler) = &process.scheduler {
        owned.attributes = Some(sys::sched::Attributes {
            size: 0,
            policy: policy(scheduler.policy),
            flags: scheduler_flags(&scheduler.flags)?,
            nice: scheduler.nice,
            priority: u32::try_from(scheduler.priority).unwrap_or(0),
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        });
    }
    if let Some(priority) = &process.io_priority {
        // Source: ioprio_set(2): the class is in bits 13 to 15.
        let class = match priority.class {
            IoPriorityClass::IoprioClassRt => 1,
            IoPriorityClass::IoprioClassBe => 2,
            IoPriorityClass::IoprioClassIdle => 3,
        };
        owned.io_priority = Some((class << 13) | u32::try_from(priority.priority).unwrap_or(0));
    }
    Ok(owned)
}

/// Source: sched(7), include/uapi/linux/sched.h.
fn policy(policy: SchedulerPolicy) -> u32 {
    match policy {
        SchedulerPolicy::SchedOther => 0,
        SchedulerPolicy::SchedFifo => 1,
        SchedulerPolicy::SchedRr => 2,
        SchedulerPolicy::SchedBatch => 3,
        SchedulerPolicy::SchedIso => 4,
        SchedulerPolicy::SchedIdle => 5,
        SchedulerPolicy::SchedDeadline => 6,
    }
}

fn scheduler_flags(names: &[String]) -> Result<u64, Error> {
    names.iter().try_fold(0, |mask, name| {
        let bit = match name.as_str() {
            "SCHED_FLAG_RESET_ON_FORK" => 0x01,
            "SCHED_FLAG_RECLAIM" => 0x02,
            "SCHED_FLAG_DL_OVERRUN" => 0x04,
            "SCHED_FLAG_KEEP_POLICY" => 0x08,
            "SCHED_FLAG_KEEP_PARAMS" => 0x10,
            "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
            _ => {
                let reason = format!("{name:?} is no scheduling flag");
                return Err(Error::Unsupported { pointer: "process/scheduler/flags".into(), reason });
            }
        };
        Ok(mask | bit)
    })
}

/// The processors of a list such as `0-3,7`, one bit each.
///
/// # Errors
/// [`Error::Unsupported`] with the pointer.
pub(crate) fn processors(list: &str, pointer: &str) -> Result<Vec<u64>, Error> {
    let bad = || Error::Unsupported {
        pointer: pointer.to_owned(),
        reason: format!("{list:?} is no list of processors such as 0-3,7"),
    };
    let mut mask = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| bad())?;
        let last: usize = last.trim().parse().map_err(|_| bad())?;
        // Kernel: CONFIG_NR_CPUS is at most 8192.
        if last < first || last >= 8192 {
            return Err(bad());
        }
        mask.resize(mask.len().max(last / 64 + 1), 0);
        for processor in first..=last {
            if let Some(word) = mask.get_mut(processor / 64) {
                *word |= 1 << (processor % 64);
            }
        }
    }
    Ok(mask)
}

impl LastMile {
    /// Restricts the process to processors before it joins its cgroup (`execCPUAffinity.initial`).
    pub(crate) fn set_affinity(&mut self, mask: Vec<u64>) {
        self.scheduling.affinity = mask;
    }
}

/// The kernel's highest capability, which stays the same as long as it runs: read once.
fn last_capability(proc: &Procfs) -> Result<u32, Error> {
    static LAST: OnceLock<u32> = OnceLock::new();
    if let Some(last) = LAST.get() {
        return Ok(*last);
    }
    let last = proc.read_line("sys/kernel/cap_last_cap".as_ref()).map_err(Error::Proc)?;
    Ok(*LAST.get_or_init(|| last.trim().parse().unwrap_or(40)))
}

fn capabilities(
    proc: &Procfs,
    configured: &crate::config::Capabilities,
    users: UserNamespace,
) -> Result<Capabilities, Error> {
    let last = last_capability(proc)?;
    let own =
        sys::capability::get().map_err(|source| Error::Step { step: "read the own capabilities", source })?;
    let available = if users == UserNamespace::Other { u64::MAX } else { own.permitted };
    let known = u64::MAX >> (63 - u64::from(last).min(63));
    let mut ignored = Vec::new();
    let mut set = |names: &[String]| {
        let (mask, unknown) = capability::mask(names);
        ignored.extend(unknown.into_iter().map(str::to_owned));
        ignored.extend(names_of(mask & !(available & known)).map(str::to_owned));
        mask & available & known
    };
    let bounding = set(&configured.bounding);
    let permitted = set(&configured.permitted);
    let sets = Sets {
        effective: set(&configured.effective) & permitted,
        permitted,
        inheritable: set(&configured.inheritable),
    };
    let ambient = set(&configured.ambient) & sets.permitted & sets.inheritable;
    if !ignored.is_empty() {
        ignored.sort();
        ignored.dedup();
        log::warn!("ignoring unknown or unavailable capabilities: {}", ignored.join(" "));
    }
    Ok(Capabilities { bounding, sets, ambient, last })
}

fn names_of(mask: u64) -> impl Iterator<Item = &'static str> {
    let names = capability::NAMES.iter().enumerate();
    names.filter(move |(number, _)| mask & (1 << number) != 0).map(|(_, name)| *name)
}

fn label(process: &Process) -> Result<Option<(CString, Vec<u8>)>, Error> {
    if !process.apparmor_profile.is_empty() {
        return apparmor(&process.apparmor_profile).map(Some);
    }
    if !process.selinux_label.is_empty() {
        if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
            return Err(Error::NoSecurityModule { pointer: "process/selinuxLabel", module: "SELinux" });
        }
        let path = c"self/attr/exec".to_owned();
        return Ok(Some((path, process.selinux_label.clone().into_bytes())));
    }
    Ok(None)
}

/// Kernel: `attr/apparmor/exec` came with 5.8; before, all modules share `attr/exec`.
fn apparmor(profile: &str) -> Result<(CString, Vec<u8>), Error> {
    let enabled =
        std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"));
    if !enabled {
        return Err(Error::NoSecurityModule { pointer: "process/apparmorProfile", module: "AppArmor" });
    }
    let own = std::path::Path::new("/proc/self/attr/apparmor/exec").exists();
    let path = if own { c"self/attr/apparmor/exec" } else { c"self/attr/exec" };
    Ok((path.to_owned(), format!("exec {profile}").into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_processors_becomes_bits() {
        assert_eq!(processors("0-2,65", "x").unwrap(), [0b111, 0b10]);
        for bad in ["", "a", "3-1", "1-99999", "1,,2"] {
            assert!(processors(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unlimited_rlimit_stays_unlimited() {
        let limit = limit(&Rlimit { kind: "RLIMIT_NOFILE".into(), hard: u64::MAX, soft: 7 }).unwrap();
        assert_eq!((limit.value.current, limit.value.maximum), (Some(7), None));
    }
}
