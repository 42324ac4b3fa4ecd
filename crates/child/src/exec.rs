//! The child of an exec: joins a running container and becomes a process of it.

use crate::home;
use crate::identity::{self, Identity, Limit, Scheduling};
use crate::null;
use crate::program::{self, Attribute, Filter, Finish, Program};
use crate::session;
use crate::stage::{Failure, Report, Stage};
use core::convert::Infallible;
use core::ffi::CStr;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use sys::capability::Sets;
use sys::exec::Late;

/// How many descriptors of ours may be kept.
const KEEP_MAX: usize = 8;

/// Everything the child needs, made by the parent before the fork.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The host's `/proc`, opened before anything was joined.
    pub proc: BorrowedFd<'a>,
    /// v1 `tasks` files in the order of joining: the memory controller last but one, the freezer last.
    pub tasks: &'a [BorrowedFd<'a>],
    /// The container's init.
    pub init: BorrowedFd<'a>,
    /// Namespaces to join, bits of [`sys::clone::new`] without the pid namespace, which is the parent's business.
    pub namespaces: u64,
    /// Those of them that the child was born in already, when its parent could not have joined them.
    pub born_in: u64,
    /// Limits; raised before anything is joined.
    pub limits: &'a [Limit],
    /// Scheduling, likewise.
    pub scheduling: Scheduling<'a>,
    /// Processors after the join of the cgroup, one bit each (`execCPUAffinity.final`).
    pub affinity: Option<&'a [u64]>,
    /// What becomes standard input, output and error; none: those of the caller. Each is above 2.
    pub streams: Option<[BorrowedFd<'a>; 3]>,
    /// The slave side of a pseudoterminal.
    pub terminal: Option<BorrowedFd<'a>>,
    /// Name of the container's session keyring.
    pub keyring: Option<&'a CStr>,
    /// How many descriptors from 3 on belong to the user.
    pub preserved: u32,
    /// Working directory in the container.
    pub directory: &'a CStr,
    /// Memory that must be found before `execve`, in bytes; 0 where no limit is near.
    pub room: usize,
    /// The entry of the environment that gets the user's home, when none is configured.
    pub home: Option<&'a Late>,
    /// User, groups, capabilities.
    pub identity: Identity<'a>,
    /// `oom_score_adj` of the program as decimal text; `None` where it was set before the birth.
    pub oom_score: Option<&'a [u8]>,
    /// Below `self/` of the proc directory: the label's file and what is written.
    pub label: Option<(&'a CStr, &'a [u8])>,
    /// The filter.
    pub filter: Option<Filter<'a>>,
    /// The program.
    pub program: Program<'a>,
}

/// Files below `/proc/self` that are opened while the host's privileges are still there.
struct Attributes {
    oom_score: Option<OwnedFd>,
    label: Option<OwnedFd>,
}

/// Runs the plan. Ends in the program, or reports and exits with 255.
#[inline(never)]
pub fn run(report: Report<'_>, plan: &Plan<'_>) -> ! {
    let Err(failure) = steps(report, plan);
    report.end(failure)
}

/// The script of an exec. The order is the point: each line says why it stands where it stands.
fn steps(report: Report<'_>, plan: &Plan<'_>) -> Result<Infallible, Failure> {
    // A signal of the caller's process group must find default actions.
    session::reset_signals(report)?;
    // Before the memory cgroup is joined: from then on every page we touch can bring its limit down on someone.
    let attributes = open_attributes(report, plan)?;
    // Raising a hard limit needs the host's CAP_SYS_RESOURCE.
    identity::raise_limits(report, plan.limits)?;
    identity::set_scheduling(report, &plan.scheduling)?;
    // The container's processes see us from our birth; the parent made itself, and so us, undumpable before.
    report.step(Stage::Undumpable, sys::prctl::set_undumpable)?;
    join_cgroups(report, plan)?;
    if let Some(mask) = plan.affinity {
        report.step_of(Stage::Scheduler, 3, || sys::sched::set_affinity(mask))?;
    }
    join_namespaces(report, plan)?;
    session::take_streams(report, plan.streams)?;
    // While the host's /proc is there to reopen a descriptor through.
    null::exchange(report, plan.proc)?;
    session::start(report, plan.terminal)?;
    // After the user namespace: keyrings are found by name within one.
    session::join_keyring(report, plan.keyring)?;
    // After setns and before chdir: a path like /proc/self/fd/7 must lead nowhere (CVE-2024-21626).
    session::close_others(report, plan.preserved, keep(report, plan, &attributes).as_slice())?;
    // With no descriptor left that a link in /etc could lead to.
    home::find(report, plan.identity.uid, plan.home)?;
    // The last moment at which nothing can forbid it: a filter may come next.
    find_room(report, plan.room)?;
    let entered = session::enter(report, plan.directory);
    // After everything that opens a file, before a filter could forbid it.
    identity::set_limits(report, plan.limits)?;
    if let Some(filter) = plan.filter.filter(|_| !plan.identity.no_new_privs) {
        // Without no_new_privs the filter needs CAP_SYS_ADMIN, which the next step gives away.
        program::load(report, &filter)?;
    }
    identity::assume(report, &plan.identity)?;
    // Root without CAP_DAC_OVERRIDE may be kept out of a directory that belongs to the user.
    retry_as_user(report, plan.directory, entered)?;
    if plan.identity.no_new_privs {
        report.step(Stage::NoNewPrivs, sys::prctl::set_no_new_privs)?;
    }
    Err(program::run(report, &finish(plan, &attributes)))
}

fn open_attributes(report: Report<'_>, plan: &Plan<'_>) -> Result<Attributes, Failure> {
    let open = |path: &CStr| sys::open::for_writing(plan.proc, path);
    let oom_score = match plan.oom_score {
        Some(text) => {
            let file = report.step(Stage::OomVictim, || open(c"self/oom_score_adj"))?;
            if plan.tasks.is_empty() {
                // Born in its cgroup: with its own score it may be one that nobody kills, so what that moment needs is
                // touched before.
                report.step(Stage::OomVictim, || become_victim(&file))?;
            }
            report.step(Stage::OomScore, || rustix::io::write(&file, text).map(drop))?;
            report.step(Stage::OomVictim, || become_victim(&file))?;
            Some(file)
        }
        None => None,
    };
    let label = plan.label.map(|(path, _)| report.step(Stage::OpenLabel, || open(path))).transpose()?;
    Ok(Attributes { oom_score, label })
}

/// Kernel: a write with `CAP_SYS_RESOURCE` also sets the floor below which the value cannot go again without that
/// capability, which the container rarely has. So the program's own value, written before, is the floor, and this write
/// is made without the capability.
fn become_victim(oom_score: &OwnedFd) -> Result<(), Errno> {
    const SYS_RESOURCE: u64 = 1 << 24;
    let own = sys::capability::get()?;
    if own.effective & SYS_RESOURCE == 0 {
        return rustix::io::write(oom_score, b"1000").map(drop);
    }
    sys::capability::set(&Sets { effective: own.effective & !SYS_RESOURCE, ..own })?;
    let written = rustix::io::write(oom_score, b"1000").map(drop);
    sys::capability::set(&own)?;
    written
}

/// Takes memory and gives it back while this process is the preferred victim.
///
/// In a container at its limit the kernel would else first look for a victim in the middle of `execve`, when the
/// program's own `oom_score_adj` is in force, and could take the container's init. Without room this process dies here.
/// A refusal is none of ours: the program may fit where we do not (`RLIMIT_AS`).
fn find_room(report: Report<'_>, bytes: usize) -> Result<(), Failure> {
    if bytes == 0 {
        return Ok(());
    }
    report.step(Stage::Room, || {
        drop(sys::reservation::Reservation::take(bytes));
        Ok(())
    })
}

/// Kernel: a single-threaded process that moves itself through `tasks` waits for no RCU grace period; a foreign
/// write to `cgroup.procs` costs 8 to 17 ms (docs/decisions/0004-one-child-per-exec.md).
fn join_cgroups(report: Report<'_>, plan: &Plan<'_>) -> Result<(), Failure> {
    for (index, tasks) in (0_u32..).zip(plan.tasks) {
        report.step_of(Stage::Cgroup, index, || rustix::io::write(tasks, b"0").map(drop))?;
    }
    Ok(())
}

fn join_namespaces(report: Report<'_>, plan: &Plan<'_>) -> Result<(), Failure> {
    if plan.namespaces == 0 {
        return Ok(());
    }
    let missing = plan.namespaces & !plan.born_in;
    if missing != 0 {
        report.step(Stage::Namespaces, || sys::namespace::join(plan.init, missing))?;
    }
    if plan.namespaces & sys::clone::new::USER == 0 {
        return Ok(());
    }
    report.step(Stage::NamespaceRoot, || match become_namespace_root() {
        // A mapping without root: the process becomes its configured user later.
        Err(Errno::INVAL) => Ok(()),
        other => other,
    })
}

fn become_namespace_root() -> Result<(), Errno> {
    sys::ids::set_gid(0)?;
    sys::ids::set_uid(0)?;
    // Kernel: a change of ids resets it to fs.suid_dumpable.
    sys::prctl::set_undumpable()
}

fn retry_as_user(report: Report<'_>, directory: &CStr, first: Result<(), Failure>) -> Result<(), Failure> {
    match first {
        Err(Failure { stage: Stage::WorkingDirectory, errno: Errno::ACCESS, .. }) => {
            session::enter(report, directory)
        }
        other => other,
    }
}

fn finish<'a>(plan: &Plan<'a>, attributes: &'a Attributes) -> Finish<'a> {
    let label = attributes.label.as_ref().zip(plan.label);
    let oom_score = attributes.oom_score.as_ref().zip(plan.oom_score);
    Finish {
        oom_score: oom_score.map(|(file, text)| Attribute { file: file.as_fd(), text }),
        label: label.map(|(file, (_, text))| Attribute { file: file.as_fd(), text }),
        filter: plan.filter.filter(|_| plan.identity.no_new_privs),
        program: plan.program,
    }
}

/// A sorted list of descriptors on the stack.
struct Keep {
    numbers: [u32; KEEP_MAX],
    length: usize,
}

impl Keep {
    fn insert(&mut self, number: u32) {
        let mut carried = number;
        for slot in self.numbers.iter_mut().take(self.length) {
            if *slot > carried {
                core::mem::swap(slot, &mut carried);
            }
        }
        if let Some(slot) = self.numbers.get_mut(self.length) {
            *slot = carried;
            self.length += 1;
        }
    }

    fn as_slice(&self) -> &[u32] {
        self.numbers.get(..self.length).unwrap_or(&[])
    }
}

fn keep(report: Report<'_>, plan: &Plan<'_>, attributes: &Attributes) -> Keep {
    let mut keep = Keep { numbers: [0; KEEP_MAX], length: 0 };
    let mut insert = |fd: BorrowedFd<'_>| keep.insert(fd.as_raw_fd().unsigned_abs());
    insert(report.pipe);
    if let Some(socket) = plan.filter.and_then(|filter| filter.listener) {
        insert(socket);
    }
    if let Some(oom_score) = &attributes.oom_score {
        insert(oom_score.as_fd());
    }
    if let Some(label) = &attributes.label {
        insert(label.as_fd());
    }
    keep
}
