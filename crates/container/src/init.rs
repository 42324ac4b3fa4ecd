//! The container's first process, from `clone3` to its program.
//!
//! ```text
//!     create                                       init
//!       |  init's identity is on disk, ids mapped    |  (born in its namespaces)
//!       | ---------------- Begin ------------------> |  mounts, devices
//!       | <--------------- RootReady ----------------|
//!       |  prestart and createRuntime hooks          |
//!       | ---------------- Continue ---------------> |  createContainer hooks, change of root, terminal, masks,
//!       | <--------------- Terminal + master --------|  user, filter, look-up of the program
//!       | <--------------- Listener + descriptor ----|
//!       | <--------------- Parked -------------------|
//!       |  `created` is on disk                      |
//!       | ---------------- Park -------------------> |  waits on start.fifo
//!       | <--------------- Failed, Refused, NotFound |  at any time; the last thing init says
//!
//!     start                                        init
//!       | ---------------- one byte in start.fifo -> |  startContainer hooks, execve
//!       | <--------------- report.fifo: the mark; then a report, or end of file when the program runs
//! ```
//!
//! **Invariant:** init goes past a step that create must answer only with that answer: when create dies, init reads
//! end of file and ends, so nothing half-made is left running.

use crate::config::{Config, NamespaceType};
use crate::hooks::{self, Heritage, InContainer};
use crate::last_mile::{self, LastMile};
use crate::record::Record;
use crate::rootfs::{ChangeRoot, Prepared, Request};
use crate::{Error, Rootless, Status, attribute, console, error, network, program};
use child::program::{Attribute, Filter, Finish};
use child::stage::{Failure, Report, Stage};
use proc::Procfs;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use sys::clone::new;
use sys::seccomp::Instruction;
use sys::shared_page::SharedWord;

use crate::conversation::{Answer, Line, Said};

/// The byte in the report fifo after which only the program's own steps are left.
pub(crate) const MARK: u8 = b'E';

/// Everything init needs; a copy of create's memory.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) bundle: PathBuf,
    pub(crate) proc: Procfs,
    pub(crate) line: Line,
    pub(crate) start: OwnedFd,
    pub(crate) report: OwnedFd,
    pub(crate) join: cgroup::Join,
    pub(crate) unified: Option<PathBuf>,
    pub(crate) last_mile: LastMile,
    pub(crate) keyring: Option<CString>,
    pub(crate) filter: Option<(Vec<Instruction>, u32)>,
    pub(crate) change_root: ChangeRoot,
    pub(crate) preserved: u32,
    pub(crate) rootless: Rootless,
    /// Whether the caller, who is not root, has to map the ids of this process first.
    pub(crate) dumpable_until_mapped: bool,
    pub(crate) id_mapped: BTreeMap<usize, OwnedFd>,
    /// Files of namespaces that only init itself can join: mount, cgroup, time.
    pub(crate) joined: Vec<(OwnedFd, u64)>,
    /// A new network namespace with loopback, when it was made before.
    pub(crate) network: Option<OwnedFd>,
    /// For the state that hooks in the container read.
    pub(crate) record: Record,
}

/// Runs init. Ends in the container's program, or says why not and exits with 255.
pub(crate) fn run(mut plan: Plan) -> ! {
    // Copies of what create holds: its end of the line, the state directory with its lock, namespace files.
    close_foreign(&plan);
    let said = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| steps(&mut plan))) {
        Ok(said) => said,
        Err(_) => Said::Failed("container init panicked".to_owned()),
    };
    plan.line.say(&said);
    // Keeps the container's root in reach while create looks for the reason.
    let _ = plan.line.hear();
    sys::clone::exit(255)
}

fn close_foreign(plan: &Plan) {
    let single = [plan.proc.as_fd(), plan.line.as_fd(), plan.start.as_fd(), plan.report.as_fd()];
    let lists = plan.join.tasks.iter().chain(&plan.join.directory).chain(plan.id_mapped.values());
    let joined = plan.joined.iter().map(|(file, _)| file);
    let ours = single.into_iter().chain(lists.chain(joined).chain(&plan.network).map(AsFd::as_fd));
    let mut kept: Vec<u32> =
        (3..3 + plan.preserved).chain(ours.map(|fd| fd.as_raw_fd().unsigned_abs())).collect();
    kept.sort_unstable();
    let mut first = 3;
    for number in kept {
        if number > first {
            let _ = sys::close_range::close_range(first, number - 1);
        }
        first = number + 1;
    }
    let _ = sys::close_range::close_range(first, u32::MAX);
}

/// Until the parking place, errors go to create.
fn steps(plan: &mut Plan) -> Said {
    match prepare(plan) {
        Err(Stop::Error(error)) => Said::Failed(error::chain(&error)),
        Err(Stop::Refused(failure)) => Said::Refused(failure),
        Err(Stop::NotFound(errno)) => Said::NotFound(errno),
        Err(Stop::Abandoned) => sys::clone::exit(255),
        Ok(label) => finish(plan, label.as_ref()),
    }
}

enum Stop {
    Error(Error),
    Refused(Failure),
    NotFound(Errno),
    Abandoned,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Refused(failure)
    }
}

fn prepare(plan: &mut Plan) -> Result<Option<OwnedFd>, Stop> {
    let word = SharedWord::new().map_err(|source| Error::Step { step: "make the stage word", source })?;
    let report_pipe = plan
        .report
        .try_clone()
        .map_err(|_| Error::Step { step: "copy a descriptor", source: Errno::MFILE })?;
    let report = Report { word: &word, pipe: report_pipe.as_fd() };
    report.step(Stage::Signals, reset_signals)?;
    // First, so that everything from here on is charged to the container and can be killed through its cgroup.
    join_cgroups(plan, report)?;
    set_oom_score(plan)?;
    child::identity::set_scheduling(report, &plan.last_mile.scheduling())?;
    if !plan.dumpable_until_mapped {
        report.step(Stage::Undumpable, sys::prctl::set_undumpable)?;
    }
    expect(plan, Answer::Begin)?;
    // Labels are attributes of the host's /proc, which a mapped root may not open.
    let label = open_label(plan)?;
    enter_namespaces(plan)?;
    let mut root = Prepared::collect(Request {
        config: &plan.config,
        bundle: &plan.bundle,
        proc: &plan.proc,
        id_mapped: std::mem::take(&mut plan.id_mapped),
        cgroup_directory: plan.unified.clone(),
        change_root: plan.change_root,
    })
    .map_err(Error::Rootfs)?;
    become_namespace_root(plan, report)?;
    report.step(Stage::Session, || rustix::process::setsid().map(drop))?;
    child::session::join_keyring(report, plan.keyring.as_deref())?;
    allow_keyring_search(plan);
    if plan.config.linux.makes_new(NamespaceType::Network) && plan.network.is_none() {
        network::bring_loopback_up()?;
    }
    root.before_pivot().map_err(Error::Rootfs)?;
    plan.line.say(&Said::RootReady);
    expect(plan, Answer::Continue)?;
    run_hooks(plan, "createContainer")?;
    root.change_root().map_err(Error::Rootfs)?;
    take_terminal(plan, &root, report)?;
    root.after_pivot().map_err(Error::Rootfs)?;
    // Once with all rights, before a filter could forbid the look; once more as the user, who may reach what root may
    // not: a directory of a group that is not mapped, NFS with root_squash.
    match find_program(plan) {
        Ok(()) | Err(Errno::ACCESS) => {}
        Err(errno) => return Err(Stop::NotFound(errno)),
    }
    become_user(plan, report, label.as_ref())?;
    if let Err(Errno::ACCESS) = find_program(plan) {
        return Err(Stop::NotFound(Errno::ACCESS));
    }
    let label = set_label(plan, report, label)?;
    plan.line.say(&Said::Parked);
    expect(plan, Answer::Park)?;
    park(plan)?;
    Ok(label)
}

/// Waits for create's answer; create's death ends init.
fn expect(plan: &Plan, answer: Answer) -> Result<(), Stop> {
    if plan.line.hear() == Some(answer) { Ok(()) } else { Err(Stop::Abandoned) }
}

fn join_cgroups(plan: &Plan, report: Report<'_>) -> Result<(), Failure> {
    for (index, tasks) in (0_u32..).zip(&plan.join.tasks) {
        report.step_of(Stage::Cgroup, index, || rustix::io::write(tasks, b"0").map(drop))?;
    }
    Ok(())
}

fn set_oom_score(plan: &Plan) -> Result<(), Failure> {
    let Some(score) = plan.config.process.as_ref().and_then(|process| process.oom_score_adj) else {
        return Ok(());
    };
    let has_user_namespace = plan.config.linux.namespace(NamespaceType::User).is_some();
    match last_mile::set_oom_score(&plan.proc, "self", score, plan.rootless) {
        // What the host's CAP_SYS_RESOURCE allows, create does from outside.
        Err(Failure { errno: Errno::ACCESS, .. }) if has_user_namespace => Ok(()),
        written => written,
    }
}

fn open_label(plan: &Plan) -> Result<Option<OwnedFd>, Error> {
    let Some((path, _)) = &plan.last_mile.label else { return Ok(None) };
    attribute::open(&plan.proc, path)
        .map(Some)
        .map_err(|source| Error::Step { step: "open the label attribute", source })
}

/// The namespaces that `clone3` cannot give: those joined by path, the cgroup namespace (it must follow the join of the
/// cgroup) and the time namespace (its offsets are written before anyone is inside).
fn enter_namespaces(plan: &Plan) -> Result<(), Error> {
    let step = |step| move |source| Error::Step { step, source };
    for (file, kind) in &plan.joined {
        sys::namespace::join(file.as_fd(), *kind)
            .map_err(step("join a namespace of config.json/linux/namespaces"))?;
    }
    if let Some(network) = &plan.network {
        sys::namespace::join(network.as_fd(), new::NET).map_err(step("join the network namespace"))?;
    }
    let linux = &plan.config.linux;
    if linux.makes_new(NamespaceType::Cgroup) {
        sys::namespace::unshare(new::CGROUP).map_err(step("make the cgroup namespace"))?;
    }
    if linux.makes_new(NamespaceType::Time) {
        enter_new_time(plan)?;
    }
    Ok(())
}

fn enter_new_time(plan: &Plan) -> Result<(), Error> {
    let step = |step| move |source| Error::Step { step, source };
    sys::namespace::unshare(new::TIME).map_err(step("make the time namespace"))?;
    let offsets: String = plan
        .config
        .linux
        .time_offsets
        .iter()
        .map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
        .collect();
    if !offsets.is_empty() {
        attribute::write(&plan.proc, "self/timens_offsets", &offsets)
            .map_err(step("write config.json/linux/timeOffsets"))?;
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(plan.proc.as_fd(), "self/ns/time_for_children", flags, Mode::empty())
        .map_err(step("open the time namespace"))?;
    sys::namespace::join(file.as_fd(), new::TIME).map_err(step("enter the time namespace"))
}

/// In a user namespace: uid and gid 0 of it, so that what init makes belongs to the container's root.
fn become_namespace_root(plan: &Plan, report: Report<'_>) -> Result<(), Failure> {
    if plan.config.linux.namespace(NamespaceType::User).is_none() {
        return Ok(());
    }
    report.step(Stage::NamespaceRoot, || match sys::ids::set_gid(0).and_then(|()| sys::ids::set_uid(0)) {
        // No root in the mapping: init stays who it is until it becomes its user.
        Err(Errno::INVAL) => Ok(()),
        other => other,
    })?;
    // Kernel: a change of ids resets it to fs.suid_dumpable.
    report.step(Stage::Undumpable, sys::prctl::set_undumpable)?;
    match sys::ids::set_groups(&[]) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(Failure { stage: Stage::Groups, errno, detail: 0 }),
    }
}

/// Lets an exec find the keyring by its name: the owner may search it.
///
/// Compat: runc, `libcontainer/keys/keyctl.go`.
fn allow_keyring_search(plan: &Plan) {
    const SEARCH_BY_OWNER: u32 = 0x0008_0000;
    if plan.keyring.is_none() {
        return;
    }
    let Ok(serial) = sys::keyring::serial_of(sys::keyring::SESSION) else { return };
    let mut text = [0; 256];
    let Ok(length) = sys::keyring::describe(serial, &mut text) else { return };
    let described = String::from_utf8_lossy(text.get(..length.min(text.len())).unwrap_or(&[])).into_owned();
    let Some(mask) = described.split(';').nth(3).and_then(|mask| u32::from_str_radix(mask, 16).ok()) else {
        return;
    };
    if let Err(errno) = sys::keyring::set_permissions(serial, mask | SEARCH_BY_OWNER) {
        log::debug!("the session keyring cannot be found by execs: {errno}");
    }
}

fn run_hooks(plan: &Plan, name: &'static str) -> Result<(), Error> {
    let hooks = &plan.config.hooks;
    let list = if name == "createContainer" { &hooks.create_container } else { &hooks.start_container };
    if list.is_empty() {
        return Ok(());
    }
    // Init sees its children under pids of its own namespace, which the host's `/proc` does not know.
    // As the hooks see themselves too: in the pid namespace of the container.
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let status = if name == "createContainer" { Status::Creating } else { Status::Created };
    let state = hooks::state(&plan.record, status, own);
    let of_process = plan.last_mile.environment_entries();
    let heritage = match name {
        "createContainer" => Heritage::Runtime(&plan.record.rootfs),
        _ => Heritage::Process(&of_process),
    };
    hooks::run(None, &hooks::List { name, hooks: list, state: &state, heritage }, &mut InContainer)
}

fn take_terminal(plan: &Plan, root: &Prepared<'_>, report: Report<'_>) -> Result<(), Stop> {
    let Some(process) = plan.config.process.as_ref().filter(|process| process.terminal) else {
        return Ok(());
    };
    let pty = console::open(root.root().as_fd()).map_err(Error::Console)?;
    if let Some(size) = process.console_size {
        pty.resize(size).map_err(Error::Console)?;
    }
    let owner = rustix::fs::Uid::from_raw(process.user.uid);
    let _ = rustix::fs::fchown(&pty.peer, Some(owner), None);
    root.mount_console(&pty.peer).map_err(Error::Rootfs)?;
    let name = pty.name.to_string_lossy().into_owned();
    plan.line.send(&Said::Terminal(name), Some(pty.master.as_fd()));
    report.step(Stage::Terminal, || {
        rustix::process::ioctl_tiocsctty(&pty.peer)?;
        rustix::stdio::dup2_stdin(&pty.peer)?;
        rustix::stdio::dup2_stdout(&pty.peer)?;
        rustix::stdio::dup2_stderr(&pty.peer)
    })?;
    Ok(())
}

/// Descriptors, working directory, filter, user. The order is that of an exec, see `child::exec`.
fn become_user(plan: &Plan, report: Report<'_>, label: Option<&OwnedFd>) -> Result<(), Stop> {
    let identity = plan.last_mile.identity();
    // The last look into the host's /proc, which is closed with the others: a parked init waits for a long time.
    let groups = identity.groups.filter(|groups| !groups.is_empty() || may_set_groups(plan));
    child::session::close_others(report, plan.preserved, &kept(plan, report, label))?;
    child::home::find(report, identity.uid, plan.last_mile.home())?;
    let entered = child::session::enter(report, &plan.last_mile.directory);
    // After everything that opens files or maps memory; create has raised what only the host may raise.
    child::identity::set_limits(report, plan.last_mile.limits())?;
    if !identity.no_new_privs {
        load_filter(plan, report)?;
    }
    child::identity::assume(report, &child::identity::Identity { groups, ..identity })?;
    match entered {
        Err(Failure { stage: Stage::WorkingDirectory, errno: Errno::ACCESS, .. }) => {
            child::session::enter(report, &plan.last_mile.directory)?;
        }
        other => other?,
    }
    if identity.no_new_privs {
        report.step(Stage::NoNewPrivs, sys::prctl::set_no_new_privs)?;
        if plan.has_listener() {
            // create passes the listener on, so it cannot wait for start.
            load_filter(plan, report)?;
        }
    }
    Ok(())
}

impl Plan {
    fn has_listener(&self) -> bool {
        self.filter.as_ref().is_some_and(|(_, flags)| flags & sys::seccomp::NEW_LISTENER != 0)
    }
}

/// A user namespace that denies `setgroups` must not be asked to set an empty list.
fn may_set_groups(plan: &Plan) -> bool {
    plan.config.linux.namespace(NamespaceType::User).is_none()
        || plan.proc.read("self/setgroups".as_ref()).map_or(true, |text| text.trim() != "deny")
}

/// What init needs until its program, but nothing of the host that a program of the container could reach through it.
fn kept(plan: &Plan, report: Report<'_>, label: Option<&OwnedFd>) -> Vec<u32> {
    let ours: [Option<BorrowedFd<'_>>; 5] = [
        Some(plan.line.as_fd()),
        Some(plan.start.as_fd()),
        Some(plan.report.as_fd()),
        Some(report.pipe),
        label.map(AsFd::as_fd),
    ];
    let ours = ours.into_iter().flatten().map(|fd| fd.as_raw_fd().unsigned_abs());
    let mut kept: Vec<u32> = ours.collect();
    kept.sort_unstable();
    kept
}

fn load_filter(plan: &Plan, report: Report<'_>) -> Result<(), Failure> {
    let Some((instructions, flags)) = &plan.filter else { return Ok(()) };
    child::program::load(report, &Filter { instructions, flags: *flags, listener: Some(plan.line.as_fd()) })
}

/// Sets the label of the next `execve` while create can still be told that there is none such; gives it back for later
/// where hooks come first, which would run under it.
fn set_label(plan: &Plan, report: Report<'_>, label: Option<OwnedFd>) -> Result<Option<OwnedFd>, Failure> {
    let (Some(file), Some((_, text))) = (&label, &plan.last_mile.label) else { return Ok(None) };
    if !plan.config.hooks.start_container.is_empty() {
        return Ok(label);
    }
    report.step(Stage::Label, || rustix::io::write(file, text).map(drop))?;
    Ok(None)
}

/// The program must be there at `create`, as with runc; it may still vanish before `start`.
fn find_program(plan: &Plan) -> Result<(), Errno> {
    let mut worst = Errno::NOENT;
    let directory = &plan.last_mile.process.cwd;
    for path in plan.last_mile.paths() {
        let path = directory.join(std::ffi::OsStr::from_bytes(path.to_bytes()));
        match program::executable(&path) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) if plan.last_mile.paths().len() > 1 => {}
            Err(errno) => worst = errno,
        }
    }
    Err(worst)
}

/// Waits for `start`'s byte. The fifo is open for reading and writing, so its other end cannot close.
fn park(plan: &Plan) -> Result<(), Error> {
    let mut byte = [0; 1];
    rustix::io::retry_on_intr(|| rustix::io::read(&plan.start, &mut byte))
        .map(drop)
        .map_err(|source| Error::Step { step: "wait for start", source })
}

/// After `start`: errors go to the report fifo; create is long gone.
fn finish(plan: &Plan, label: Option<&OwnedFd>) -> Said {
    let failure = release(plan, label);
    if let Err(failure) = failure {
        let _ = rustix::io::write(&plan.report, &failure);
    }
    sys::clone::exit(255)
}

/// Runs the startContainer hooks and the program; comes back only with the words for the report fifo.
fn release(plan: &Plan, label: Option<&OwnedFd>) -> Result<(), Vec<u8>> {
    let words = |error: &Error| error::chain(error).into_bytes();
    run_hooks(plan, "startContainer").map_err(|error| words(&error))?;
    let report_failure = |failure: Failure| failure.to_bytes().to_vec();
    let step = |source| words(&Error::Step { step: "make the stage word", source });
    let word = SharedWord::new().map_err(step)?;
    let report = Report { word: &word, pipe: plan.report.as_fd() };
    let vectors = plan.last_mile.vectors();
    let program = vectors.program().map_err(|error| words(&error))?;
    let last = plan.last_mile.identity().no_new_privs && !plan.has_listener();
    let late = plan.filter.as_ref().filter(|_| last);
    let filter = late.map(|(instructions, flags)| Filter { instructions, flags: *flags, listener: None });
    let label = label.zip(plan.last_mile.label.as_ref());
    let label = label.map(|(file, (_, text))| Attribute { file: file.as_fd(), text });
    // Everything before the program's own steps is done: an end of file after this mark may mean that it runs.
    let _ = rustix::io::write(&plan.report, &[MARK]);
    let failure = child::program::run(report, &Finish { oom_score: None, label, filter, program });
    Err(report_failure(failure))
}

fn reset_signals() -> Result<(), Errno> {
    sys::signal::set_all_default()?;
    sys::signal::set_mask(0).map(drop)
}
