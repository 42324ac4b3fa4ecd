//! Who the process becomes: ids, groups, capabilities, limits, scheduling.

use crate::stage::{Failure, Report, Stage};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use sys::capability::{self, Sets};
use sys::prctl::{self, KeepCapabilities};

/// Capability sets as 64-bit masks, bit n = capability n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What stays in the bounding set.
    pub bounding: u64,
    /// Effective, permitted and inheritable.
    pub sets: Sets,
    /// Ambient.
    pub ambient: u64,
    /// The kernel's highest capability (`/proc/sys/kernel/cap_last_cap`).
    pub last: u32,
}

/// One resource limit, ready for `prlimit64`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// Soft and hard value; `None` = unlimited.
    pub value: Rlimit,
}

/// Scheduling of the process; what is `None` stays as inherited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scheduling<'a> {
    /// Policy and parameters.
    pub attributes: Option<sys::sched::Attributes>,
    /// I/O class and level as `ioprio_set` takes them.
    pub io_priority: Option<u32>,
    /// Processors, one bit each.
    pub affinity: Option<&'a [u64]>,
    /// Execution domain.
    pub personality: Option<u64>,
}

/// Who the process becomes.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// Supplementary groups; `None` leaves them (a user namespace that denies `setgroups`).
    pub groups: Option<&'a [u32]>,
    /// File mode creation mask; `None` leaves it.
    pub umask: Option<u32>,
    /// Capabilities; `None` leaves what the ids give.
    pub capabilities: Option<Capabilities>,
    /// Whether `no_new_privs` is set.
    pub no_new_privs: bool,
}

/// Raises hard limits that the process could not raise later; needs the host's `CAP_SYS_RESOURCE`. Nothing gets lower
/// here, so that what follows can still open files and map memory.
///
/// # Errors
/// The step the kernel refused.
pub fn raise_limits(report: Report<'_>, limits: &[Limit]) -> Result<(), Failure> {
    for limit in limits {
        let raise =
            || limit.raised().map_or(Ok(()), |raised| rustix::process::setrlimit(limit.resource, raised));
        report.step_of(Stage::Rlimit, limit.resource as u32, raise)?;
    }
    Ok(())
}

impl Limit {
    /// What has to be set with the host's privileges: the hard limit, when it gets higher than that of this process.
    #[must_use]
    pub fn raised(&self) -> Option<Rlimit> {
        let own = rustix::process::getrlimit(self.resource);
        let wanted = self.value.maximum;
        let higher = own.maximum.is_some_and(|own| wanted.is_none_or(|wanted| wanted > own));
        higher.then_some(Rlimit { current: own.current, maximum: wanted })
    }
}

/// Sets the resource limits, none of which is higher than what the process has.
///
/// # Errors
/// The step the kernel refused.
pub fn set_limits(report: Report<'_>, limits: &[Limit]) -> Result<(), Failure> {
    for limit in limits {
        let set = || rustix::process::setrlimit(limit.resource, limit.value);
        report.step_of(Stage::Rlimit, limit.resource as u32, set)?;
    }
    Ok(())
}

/// Sets scheduling and execution domain; needs the host's privileges, so it comes before any namespace is joined.
///
/// # Errors
/// The step the kernel refused.
pub fn set_scheduling(report: Report<'_>, how: &Scheduling<'_>) -> Result<(), Failure> {
    if let Some(attributes) = &how.attributes {
        report.step(Stage::Scheduler, || sys::sched::set_attributes(attributes))?;
    }
    if let Some(priority) = how.io_priority {
        report.step_of(Stage::Scheduler, 1, || sys::sched::set_io_priority(priority))?;
    }
    if let Some(mask) = how.affinity {
        report.step_of(Stage::Scheduler, 2, || sys::sched::set_affinity(mask))?;
    }
    if let Some(persona) = how.personality {
        report.step(Stage::Personality, || prctl::set_personality(persona))?;
    }
    Ok(())
}

/// Becomes the user: owner of the standard streams, bounding set, groups, ids, capabilities, in this order.
///
/// # Errors
/// The step the kernel refused.
pub fn assume(report: Report<'_>, who: &Identity<'_>) -> Result<(), Failure> {
    give_stdio(report, who.uid)?;
    if let Some(capabilities) = &who.capabilities {
        drop_bounding(report, capabilities)?;
        report.step(Stage::Capabilities, || prctl::set_keep_capabilities(KeepCapabilities::Yes))?;
    }
    if let Some(groups) = who.groups {
        report.step(Stage::Groups, || sys::ids::set_groups(groups))?;
    }
    report.step_of(Stage::Gid, who.gid, || sys::ids::set_gid(who.gid))?;
    report.step_of(Stage::Uid, who.uid, || sys::ids::set_uid(who.uid))?;
    // Kernel: a change of ids resets it to fs.suid_dumpable.
    report.step(Stage::Undumpable, prctl::set_undumpable)?;
    if let Some(mask) = who.umask {
        rustix::process::umask(Mode::from_raw_mode(mask));
    }
    if let Some(capabilities) = &who.capabilities {
        report.step(Stage::Capabilities, || prctl::set_keep_capabilities(KeepCapabilities::No))?;
        set_capabilities(report, capabilities)?;
    }
    Ok(())
}

/// Compat: the user must be able to reopen `/dev/stdout`; runc, `init_linux.go`, gives it the three streams.
fn give_stdio(report: Report<'_>, uid: u32) -> Result<(), Failure> {
    for (number, stream) in (0_u32..).zip(sys::stdio::streams()) {
        report.step_of(Stage::StdioOwner, number, || {
            let Ok(stat) = rustix::fs::fstat(stream) else { return Ok(()) };
            let is_null = stat.st_rdev == rustix::fs::makedev(1, 3);
            if stat.st_uid == uid || is_null {
                return Ok(());
            }
            match rustix::fs::fchown(stream, Some(rustix::fs::Uid::from_raw(uid)), None) {
                // An id that is not mapped, a file of another namespace, a read-only file system: the stream
                // works all the same.
                Err(Errno::INVAL | Errno::PERM | Errno::ROFS | Errno::NOSYS) => Ok(()),
                other => other,
            }
        })?;
    }
    Ok(())
}

fn drop_bounding(report: Report<'_>, capabilities: &Capabilities) -> Result<(), Failure> {
    for number in 0..=capabilities.last.min(63) {
        if capabilities.bounding & (1 << number) == 0 {
            report.step_of(Stage::BoundingSet, number, || capability::drop_bounding(number))?;
        }
    }
    Ok(())
}

fn set_capabilities(report: Report<'_>, capabilities: &Capabilities) -> Result<(), Failure> {
    report.step(Stage::Capabilities, || capability::set(&capabilities.sets))?;
    report.step(Stage::Capabilities, capability::clear_ambient)?;
    for number in 0..=capabilities.last.min(63) {
        if capabilities.ambient & (1 << number) != 0 {
            report.step_of(Stage::Capabilities, number, || capability::raise_ambient(number))?;
        }
    }
    Ok(())
}
