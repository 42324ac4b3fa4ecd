//! `exec`: one more process in a container, by one `clone3` and no helper.
//!
//! The picture of parent and child is in the crate `child`; this file prepares the plan and tells the truth about the
//! outcome.

use crate::cause::Cause;
use crate::config::{Namespace, NamespaceType, Process as Configured};
use crate::create::{Terminal, check_console, namespace_bit, preserved};
use crate::evidence::{self, Context, has_namespace};
use crate::last_mile::{LastMile, UserNamespace, processors};
use crate::record::Record;
use crate::store::{self, Entry, Store};
use crate::{ContainerId, Error, Rootless, Status, bounded, capability, console, listener, rootless, status};
use cgroup::{Cgroup, Evidence};
use child::program::Filter;
use launch::{Birth, Launched, Outcome, Patience, Process};
use proc::{Procfs, Root};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use sys::seccomp::Instruction;

/// The process of an exec.
#[derive(Clone, Debug)]
pub enum ExecProcess {
    /// All of it (`--process`).
    Described(Box<Configured>),
    /// The container's own process with changes.
    Derived(Overrides),
}

/// Changes to the container's own process; what is empty stays.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Arguments, the program first.
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Added to the environment.
    pub env: Vec<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// User id and, if given, group id.
    pub user: Option<(u32, Option<u32>)>,
    /// Added to the additional groups.
    pub additional_gids: Vec<u32>,
    /// `SELinux` label.
    pub selinux_label: Option<String>,
    /// `AppArmor` profile.
    pub apparmor_profile: Option<String>,
    /// Sets `no_new_privs`; without it the container's setting stays.
    pub no_new_privileges: bool,
    /// Added to the bounding, effective and permitted sets; the ambient set stays.
    ///
    /// Compat: runc, exec.go, `getProcess`.
    pub capabilities: Vec<String>,
}

/// What happens in a paused container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// The exec is refused.
    Refuse,
    /// The process is made and waits for a resume, as long as the start may take (`--ignore-paused`), or until a
    /// foreground exec is interrupted.
    Wait,
}

/// What `exec` is asked for.
#[derive(Debug)]
pub struct ExecRequest {
    /// The container.
    pub id: ContainerId,
    /// The process.
    pub process: ExecProcess,
    /// Gets the pid, decimal, without a newline.
    pub pid_file: Option<PathBuf>,
    /// Gets the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// Gets the pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// Descriptors that the program keeps, after those of socket activation.
    pub preserve_fds: u32,
    /// Descriptors of socket activation, from 3 on.
    pub listen_fds: u32,
    /// How many descriptors from 3 on the process was started with, without a gap; those above are its own.
    pub inherited: u32,
    /// `[controller:]path` below the container's own cgroup.
    pub cgroup: Vec<String>,
    /// What happens in a paused container.
    pub paused: Paused,
    /// What becomes standard input, output and error; none: those of this process. Each is above 2.
    pub streams: Option<Arc<[OwnedFd; 3]>>,
    /// Who takes the terminal.
    pub terminal: Terminal,
    /// A v2 group nested in the container's own, without controllers, in which the process is born instead: what it
    /// starts can be told from the rest of the container then. Only for execs through [`crate::held::Held`].
    pub nested: Option<Arc<OwnedFd>>,
}

impl ExecRequest {
    /// A process with everything else off: no files, no descriptors but the caller's streams, no terminal that is relayed.
    #[must_use]
    pub fn new(id: ContainerId, process: ExecProcess) -> Self {
        Self {
            id,
            process,
            pid_file: None,
            console_socket: None,
            pidfd_socket: None,
            preserve_fds: 0,
            listen_fds: 0,
            inherited: 0,
            cgroup: Vec::new(),
            paused: Paused::Refuse,
            streams: None,
            terminal: Terminal::Socket,
            nested: None,
        }
    }
}

/// A process that executed its program; it may have ended since.
#[derive(Debug)]
pub struct Running {
    /// Its pid on the host.
    pub pid: i32,
    /// Its identity.
    pub pidfd: OwnedFd,
    /// The terminal's master, for [`Terminal::Relay`].
    pub console: Option<OwnedFd>,
}

/// How long a child may take from its birth to its program. Everything on the way is a matter of milliseconds; what
/// takes longer waits for memory, a freezer or a dead file system.
pub const LIMIT: Duration = Duration::from_secs(10);

/// How long a killed child may take to end before it is left to the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How often a start is tried while the limit on tasks is reached for moments only.
const TRIES_FOR_A_PID: usize = 3;

/// Starts a process in a container and comes back when it executed its program.
///
/// # Errors
/// [`Error::CannotExec`] for a container in the wrong state; [`Error::NotStarted`] with the cause; what was refused
/// before a child existed. No process is left then.
pub fn exec(store: &Store, request: &ExecRequest) -> Result<Running, Error> {
    exec_unless(store, request, None)
}

/// As [`exec`]; gives up a start that does not come to its end when `stop`, a signalfd, has a signal.
///
/// # Errors
/// As [`exec`]; [`Error::Interrupted`].
pub(crate) fn exec_unless(
    store: &Store,
    request: &ExecRequest,
    stop: Option<BorrowedFd<'_>>,
) -> Result<Running, Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = store.entry(&request.id)?;
    let record = entry.read()?;
    let init = live_init(&proc, &record)?;
    let target = Target { proc: &proc, entry: &entry, record: &record, init: &init, kept: None, stop };
    begin(&target, request)
}

/// Starts a process in a container whose init was alive a moment ago.
///
/// # Errors
/// As [`exec`].
pub(crate) fn begin(target: &Target<'_>, request: &ExecRequest) -> Result<Running, Error> {
    start(target, request).map_err(|error| {
        target.entry.unless_deleted(evidence::unless_init_died(target.proc, target.init, error))
    })
}

fn start(target: &Target<'_>, request: &ExecRequest) -> Result<Running, Error> {
    let cgroup = Cgroup::new(sub_cgroups(target.record, request)?);
    let before = match target.kept_for(request) {
        Some(kept) => Evidence::quick_through(&kept.gauges, &cgroup),
        None => Evidence::quick(&cgroup),
    };
    refuse_hopeless(&before, target.record, cgroup.paths(), request)?;
    let process = described(request, target.record);
    process.validate("process")?;
    check_console(process.terminal, request.console_socket.is_some(), request.terminal)?;
    check_preserved(target, request)?;
    let last_mile = prepare(target, process)?;
    let pty = last_mile.process.terminal.then(|| open_terminal(target, &last_mile)).transpose()?;
    let terminal = pty.as_ref().map(|pty| pty.peer.as_fd());
    let attempt = Attempt { target, request, last_mile: &last_mile, cgroup: &cgroup, before: &before };
    let process = attempt.run(terminal).or_else(|refused| attempt.in_leaf_of_init(refused, terminal))?;
    let console = announce(request, &process, pty).inspect_err(|_| end(&cgroup, &process))?;
    Ok(Running { pid: process.pid, pidfd: process.pidfd, console })
}

/// Kills a process that nobody was told about, and takes it out of the process table.
///
/// Kernel: on v1 a frozen process does not die of SIGKILL until it is moved to a thawed freezer group.
fn end(cgroup: &Cgroup, process: &Process) {
    let ended = |limit| {
        let _ = rustix::process::pidfd_send_signal(&process.pidfd, rustix::process::Signal::KILL);
        matches!(launch::process::wait_dead(process.pidfd.as_fd(), limit), Ok(true))
    };
    if !ended(Duration::from_millis(50)) {
        if let Err(error) = cgroup.free_frozen(process.pid) {
            log::warn!("free process {} from the freezer: {error}", process.pid);
        }
        if !ended(KILL_LIMIT) {
            let limit = KILL_LIMIT.as_secs();
            log::warn!("process {} was killed but has not ended after {limit} s", process.pid);
            return;
        }
    }
    if let Err(error) = launch::process::ended(process, launch::process::Reap::Yes) {
        log::warn!("{error}");
    }
}

/// The container that is exec'd into.
pub(crate) struct Target<'a> {
    pub(crate) proc: &'a Procfs,
    pub(crate) entry: &'a Entry,
    pub(crate) record: &'a Record,
    pub(crate) init: &'a Process,
    /// What was opened before, by a caller who execs again and again.
    pub(crate) kept: Option<&'a Kept>,
    /// A signalfd for what tells the caller to stop.
    pub(crate) stop: Option<BorrowedFd<'a>>,
}

impl<'a> Target<'a> {
    /// What was opened before, as far as it is of use: a sub-cgroup is another one at each call.
    fn kept_for(&self, request: &ExecRequest) -> Option<&'a Kept> {
        self.kept.filter(|_| request.cgroup.is_empty())
    }
}

/// What every exec into a container needs open, and what no exec changes.
#[derive(Debug)]
pub(crate) struct Kept {
    join: cgroup::Join,
    filter: Vec<Instruction>,
    gauges: cgroup::Gauges,
}

impl Kept {
    /// Opens the ways into the cgroups and reads the filter.
    ///
    /// # Errors
    /// When one of them cannot be opened or read.
    pub(crate) fn open(entry: &Entry, record: &Record) -> Result<Self, Error> {
        Self::of(&Cgroup::new(record.cgroup.clone()), entry, record)
    }

    fn of(cgroup: &Cgroup, entry: &Entry, record: &Record) -> Result<Self, Error> {
        let join = cgroup.join().map_err(Error::Cgroup)?;
        Ok(Self { join, filter: read_filter(entry, record)?, gauges: cgroup::Gauges::default() })
    }
}

/// The container's init if an exec is possible, paused or not.
///
/// # Errors
/// [`Error::CannotExec`].
pub(crate) fn live_init(proc: &Procfs, record: &Record) -> Result<Process, Error> {
    status::living_init(proc, record)?.map_err(|status| Error::CannotExec { status })
}

/// Compat: runc's words for a paused container; a cgroup frozen above it is none that `resume` could thaw.
fn paused(record: &Record) -> Error {
    let above = evidence::frozen_above(&record.cgroup);
    above.map_or(Error::CannotExec { status: Status::Paused }, Error::NotStarted)
}

/// Compat: runc, exec.go, `getProcess`.
fn described(request: &ExecRequest, record: &Record) -> Configured {
    let changes = match &request.process {
        ExecProcess::Described(process) => {
            return with_activation(completed((**process).clone(), &record.process), request);
        }
        ExecProcess::Derived(changes) => changes,
    };
    let mut process = record.process.clone();
    process.args.clone_from(&changes.args);
    process.env.extend(changes.env.iter().cloned());
    process.terminal = changes.terminal;
    process.console_size = None;
    if let Some(cwd) = &changes.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some((uid, gid)) = changes.user {
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    process.user.additional_gids.extend(&changes.additional_gids);
    process.selinux_label = changes.selinux_label.clone().unwrap_or(process.selinux_label);
    process.apparmor_profile = changes.apparmor_profile.clone().unwrap_or(process.apparmor_profile);
    process.no_new_privileges |= changes.no_new_privileges;
    if !changes.capabilities.is_empty() {
        add_capabilities(&mut process, &changes.capabilities);
    }
    with_activation(process, request)
}

/// What a process file leaves out is the container's.
///
/// Compat: runc, `libcontainer/process_linux.go` and `utils_linux.go`, `newProcess`.
fn completed(mut process: Configured, own: &Configured) -> Configured {
    process.capabilities = process.capabilities.or_else(|| own.capabilities.clone());
    if process.rlimits.is_empty() {
        process.rlimits.clone_from(&own.rlimits);
    }
    if process.apparmor_profile.is_empty() {
        process.apparmor_profile.clone_from(&own.apparmor_profile);
    }
    if process.selinux_label.is_empty() {
        process.selinux_label.clone_from(&own.selinux_label);
    }
    process
}

fn add_capabilities(process: &mut Configured, names: &[String]) {
    let sets = process.capabilities.get_or_insert_default();
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.extend(names.iter().map(|name| capability::full_name(name)));
    }
}

fn with_activation(mut process: Configured, request: &ExecRequest) -> Configured {
    if request.listen_fds > 0 {
        process.env.push(format!("LISTEN_FDS={}", request.listen_fds));
        process.env.push("LISTEN_PID=1".to_owned());
    }
    process
}

/// A directory among the preserved descriptors is accepted when it lies on a mount of the container.
fn check_preserved(target: &Target<'_>, request: &ExecRequest) -> Result<(), Error> {
    let count = preserved(request.listen_fds, request.preserve_fds)?;
    match crate::create::check_preserved(count, request.listen_fds, request.inherited) {
        Err(Error::PreservedDirectory { .. }) => {}
        other => return other,
    }
    let mounts = target.proc.mounts(target.init.pid).map_err(Error::Proc)?;
    for number in 3..3 + count {
        let path = format!("/proc/self/fd/{number}");
        let flags = rustix::fs::AtFlags::empty();
        let mask = rustix::fs::StatxFlags::MNT_ID | rustix::fs::StatxFlags::TYPE;
        let Ok(stat) = rustix::fs::statx(rustix::fs::CWD, path, flags, mask) else { continue };
        let is_directory =
            rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) == rustix::fs::FileType::Directory;
        let inside = mounts.iter().any(|mount| mount.id == stat.stx_mnt_id);
        if is_directory && !inside {
            return Err(Error::PreservedDirectory { number });
        }
    }
    Ok(())
}

/// The groups to join: the container's own, or those below it that `--cgroup` names.
///
/// Compat: runc, exec.go: `--cgroup path` for all controllers or v2, `--cgroup controller[,controller]:path`.
fn sub_cgroups(record: &Record, request: &ExecRequest) -> Result<cgroup::Paths, Error> {
    let mut paths = record.cgroup.clone();
    for given in &request.cgroup {
        let unsupported = |reason: &str| Error::Unsupported {
            pointer: format!("--cgroup {given}"),
            reason: reason.to_owned(),
        };
        let (controllers, path) = given.split_once(':').unwrap_or(("", given));
        let relative = PathBuf::from(path.trim_start_matches('/'));
        if relative.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(unsupported("the path must lie below the container's own cgroup"));
        }
        let mut matched = false;
        let named = |key: &str| controllers.is_empty() || share_controller(controllers, key);
        let hierarchies = paths.v1.iter_mut().filter(|(key, _)| named(key)).map(|(_, group)| group);
        for group in hierarchies.chain(paths.unified.as_mut().filter(|_| controllers.is_empty())) {
            descend(group, &relative).map_err(|path| Error::NoSubCgroup {
                id: record.id.clone(),
                given: given.clone(),
                path,
            })?;
            matched = true;
        }
        if !matched {
            return Err(unsupported("the container has no such controller"));
        }
    }
    Ok(paths)
}

/// Whether two lists, divided by commas, have a controller in common.
fn share_controller(given: &str, mounted: &str) -> bool {
    given.split(',').any(|one| mounted.split(',').any(|known| known == one))
}

/// Goes down into a group that must be there, or gives its path; below a group that is gone itself nothing is missed.
fn descend(group: &mut PathBuf, relative: &Path) -> Result<(), PathBuf> {
    let exists = group.is_dir();
    group.push(relative);
    if exists && !group.is_dir() { Err(group.clone()) } else { Ok(()) }
}

/// What is known to fail or to hang is not tried.
///
/// Kernel: on v1 a join is never refused by `pids.max`; refusing here makes v1 and v2 behave alike.
fn refuse_hopeless(
    before: &Evidence,
    record: &Record,
    joined: &cgroup::Paths,
    request: &ExecRequest,
) -> Result<(), Error> {
    match before.obstacle() {
        Some(cgroup::Cause::Frozen { .. }) if request.paused == Paused::Wait => Ok(()),
        Some(cgroup::Cause::Frozen { path }) if record.cgroup.all().any(|own| own.starts_with(&path)) => {
            Err(paused(record))
        }
        Some(cause) => Err(Error::NotStarted(evidence::obstacle(joined, cause))),
        None => refuse_dangerous(before),
    }
}

/// A start without room makes the kernel look for a victim. The child offers itself, but a process with the same
/// `oom_score_adj` that is larger goes first, and the offer counts for nothing in a group of less than 1000 pages.
fn refuse_dangerous(before: &Evidence) -> Result<(), Error> {
    let short = before.memory_short(NEEDED);
    short.map_or(Ok(()), |shortage| Err(Error::NotStarted(Cause::NoRoom { needed: NEEDED, shortage })))
}

fn prepare(target: &Target<'_>, process: Configured) -> Result<LastMile, Error> {
    let record = target.record;
    let users = if has_namespace(&record.namespaces, NamespaceType::User) {
        UserNamespace::Other
    } else {
        UserNamespace::Host
    };
    let affinity = process.exec_cpu_affinity.clone();
    let mut last_mile = LastMile::new(target.proc, process, users)?;
    if let Some(persona) = record.personality {
        last_mile.set_personality(persona);
    }
    if let Some(initial) = affinity.map(|affinity| affinity.initial).filter(|list| !list.is_empty()) {
        last_mile.set_affinity(processors(&initial, "process/execCPUAffinity/initial")?);
    }
    Ok(last_mile)
}

/// The container's root through its init, which the pidfd proves to be alive when the namespaces are joined.
fn root(target: &Target<'_>) -> Result<Root, Error> {
    let path = format!("/proc/{}/root", target.init.pid);
    Root::at(path.as_ref()).map_err(|error| match evidence::leader_gone(target.proc, target.init) {
        Some(cause) => Error::NotStarted(cause),
        None => Error::Proc(error),
    })
}

fn open_terminal(target: &Target<'_>, last_mile: &LastMile) -> Result<console::Pty, Error> {
    let root = root(target)?;
    // The container's /dev may be a file system that never answers.
    let opened = bounded::look(target.proc, target.init.pid, move || console::open(root.as_fd()))
        .map_err(no_terminal)?;
    let pty = opened.map_err(Error::Console)?;
    if let Some(size) = last_mile.process.console_size {
        pty.resize(size).map_err(Error::Console)?;
    }
    Ok(pty)
}

fn no_terminal(unseen: bounded::Unseen) -> Error {
    const SILENT: &str = "open /dev/pts/ptmx of the container, which does not answer";
    const NOT_TRIED: &str =
        "open /dev/pts/ptmx of the container, for want of a process or thread that may hang";
    let (step, source) = match unseen {
        bounded::Unseen::Silent => (SILENT, Errno::TIMEDOUT),
        bounded::Unseen::Busy | bounded::Unseen::Failed => (NOT_TRIED, Errno::AGAIN),
    };
    Error::Step { step, source }
}

/// Pid file, pidfd socket, console socket.
fn announce(
    request: &ExecRequest,
    process: &Process,
    pty: Option<console::Pty>,
) -> Result<Option<OwnedFd>, Error> {
    if let Some(path) = &request.pid_file {
        crate::pid_file::write(path, process.pid)?;
    }
    if let Some(socket) = &request.pidfd_socket {
        console::send(socket, "exec", process.pidfd.as_fd()).map_err(Error::Console)?;
    }
    let Some(pty) = pty else { return Ok(None) };
    match &request.console_socket {
        Some(socket) => pty.send(socket).map(|()| None).map_err(Error::Console),
        None => Ok(Some(pty.master)),
    }
}

/// One try, with everything that is needed to explain its failure.
struct Attempt<'a> {
    target: &'a Target<'a>,
    request: &'a ExecRequest,
    last_mile: &'a LastMile,
    cgroup: &'a Cgroup,
    before: &'a Evidence,
}

impl Attempt<'_> {
    fn run(&self, terminal: Option<BorrowedFd<'_>>) -> Result<Process, Error> {
        let kept = self.target.kept_for(self.request);
        let open = || Kept::of(self.cgroup, self.target.entry, self.target.record);
        let opened = if kept.is_none() { Some(open()?) } else { None };
        let Some(kept) = kept.or(opened.as_ref()) else { return Err(self.target.record.not_running()) };
        let sockets = self.listener_sockets()?;
        let filter = self.target.record.filter.as_ref().map(|filter| Filter {
            instructions: &kept.filter,
            flags: filter.flags,
            listener: sockets.as_ref().map(|(_, theirs)| theirs.as_fd()),
        });
        let mut launched = self.launch(&kept.join, filter, terminal)?;
        let patience = Patience { limit: LIMIT, stop: self.target.stop };
        if let Some((ours, theirs)) = sockets {
            drop(theirs);
            self.pass_listener(ours.as_fd(), &mut launched, patience)?;
        }
        let outcome = launched.outcome(Some(self.target.proc), patience).map_err(Error::Launch)?;
        self.judge(outcome)
    }

    fn listener_sockets(&self) -> Result<Option<(OwnedFd, OwnedFd)>, Error> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let flags = self.target.record.filter.as_ref().map_or(0, |filter| filter.flags);
        if flags & sys::seccomp::NEW_LISTENER == 0 {
            return Ok(None);
        }
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(Some)
            .map_err(|source| Error::Step { step: "make the socket for the seccomp listener", source })
    }

    /// The program's `execve` may itself wait for the agent, so the listener goes first.
    fn pass_listener(
        &self,
        ours: BorrowedFd<'_>,
        child: &mut Launched,
        patience: Patience<'_>,
    ) -> Result<(), Error> {
        let Some(descriptor) = listener::receive(ours, child, patience)? else { return Ok(()) };
        listener::hand_over(self.target.record, (child.pid(), Status::Running), descriptor.as_fd())
    }

    fn launch(
        &self,
        join: &cgroup::Join,
        filter: Option<Filter<'_>>,
        terminal: Option<BorrowedFd<'_>>,
    ) -> Result<Launched, Error> {
        let record = self.target.record;
        let tasks: Vec<_> = join.tasks.iter().map(AsFd::as_fd).collect();
        let vectors = self.last_mile.vectors();
        let keyring =
            record.keyring.as_deref().map(|name| crate::program::c_string(name, "id")).transpose()?;
        let oom_score = self.oom_score()?;
        let users = has_namespace(&record.namespaces, NamespaceType::User);
        let through = (!rootless::can_return()).then(|| launch::Through {
            user_namespace_of: users.then(|| self.target.init.pidfd.as_fd()),
            proc: self.target.proc.as_fd(),
            oom_score: oom_score.as_bytes(),
        });
        let affinity = self.last_affinity()?;
        let label = self.last_mile.label.as_ref();
        let plan = child::exec::Plan {
            proc: self.target.proc.as_fd(),
            tasks: &tasks,
            init: self.target.init.pidfd.as_fd(),
            namespaces: joined(&record.namespaces),
            born_in: if through.is_some() { sys::clone::new::USER } else { 0 },
            limits: self.last_mile.limits(),
            scheduling: self.last_mile.scheduling(),
            affinity: affinity.as_deref(),
            streams: self.request.streams.as_deref().map(|streams| streams.each_ref().map(AsFd::as_fd)),
            terminal,
            keyring: keyring.as_deref(),
            preserved: preserved(self.request.listen_fds, self.request.preserve_fds)?,
            directory: &self.last_mile.directory,
            room: room(self.before),
            home: self.last_mile.home(),
            identity: self.identity(),
            oom_score: through.is_none().then_some(oom_score.as_bytes()),
            label: label.map(|(path, text): &(CString, Vec<u8>)| (path.as_c_str(), text.as_slice())),
            filter,
            program: vectors.program()?,
        };
        let pids = has_namespace(&record.namespaces, NamespaceType::Pid);
        let birth = Birth {
            cgroup: self.nested().or(join.directory.as_ref()).map(AsFd::as_fd),
            pid_namespace_of: pids.then(|| self.target.init.pidfd.as_fd()),
            through,
        };
        self.spawn(&birth, &plan)
    }

    /// Whoever held the last pid may have ended by the time the limit is looked at: then there is room for this one.
    fn spawn(&self, birth: &Birth<'_>, plan: &child::exec::Plan<'_>) -> Result<Launched, Error> {
        let mut first = None;
        for _ in 1..TRIES_FOR_A_PID {
            match launch::spawn(birth, plan, child::exec::run) {
                Err(launch::Error::Clone(Errno::AGAIN)) => {}
                other => return other.map_err(|error| self.not_born(self.before, error)),
            }
            let after = Evidence::full(self.cgroup);
            let again = after.has_room_for_pids();
            let refused = first.get_or_insert(after);
            if !again {
                return Err(self.not_born(refused, launch::Error::Clone(Errno::AGAIN)));
            }
        }
        let before = first.as_ref().unwrap_or(self.before);
        launch::spawn(birth, plan, child::exec::run).map_err(|error| self.not_born(before, error))
    }

    fn not_born(&self, before: &Evidence, error: launch::Error) -> Error {
        let context = Context { before: Some(before), ..self.context() };
        evidence::of_birth(&context, &error).map_or(Error::Launch(error), Error::NotStarted)
    }

    /// None for a second try elsewhere, which is made without what was kept.
    fn nested(&self) -> Option<&OwnedFd> {
        self.target.kept.and(self.request.nested.as_deref())
    }

    /// A container that runs a manager of its own has controllers in the children of its cgroup, which then takes no
    /// process; its init lives in one of the leaves. The limits and counters of that leaf are what matters from here on.
    fn in_leaf_of_init(&self, refused: Error, terminal: Option<BorrowedFd<'_>>) -> Result<Process, Error> {
        let Error::NotStarted(Cause::CgroupBusy { .. }) = refused else { return Err(refused) };
        // A group that the caller named is that one or none.
        let leaf = self.request.cgroup.is_empty().then(|| self.leaf_of_init()).flatten();
        let Some(leaf) = leaf else { return Err(refused) };
        let before = Evidence::quick(&leaf);
        refuse_hopeless(&before, self.target.record, leaf.paths(), self.request)?;
        // What was kept open leads into the container's own cgroup.
        let target = Target { kept: None, ..*self.target };
        Attempt { target: &target, cgroup: &leaf, before: &before, ..*self }.run(terminal)
    }

    /// A leaf elsewhere is not the container's: init has been moved by somebody else.
    fn leaf_of_init(&self) -> Option<Cgroup> {
        let entries = self.target.proc.cgroups(self.target.init.pid).ok()?;
        let layout = cgroup::Layout::of(self.target.proc).ok()?;
        let leaf = cgroup::Paths::of_process(&layout, &entries).unified?;
        let own = &self.target.record.cgroup;
        let below = leaf.strip_prefix(own.unified.as_ref()?).ok()?;
        let nested = !below.as_os_str().is_empty();
        nested.then(|| Cgroup::new(cgroup::Paths { unified: Some(leaf), ..own.clone() }))
    }

    /// An exec in a user namespace that denies `setgroups` must not set an empty list.
    fn identity(&self) -> child::identity::Identity<'_> {
        let identity = self.last_mile.identity();
        let users = has_namespace(&self.target.record.namespaces, NamespaceType::User);
        let denied = || {
            let path = format!("{}/setgroups", self.target.init.pid);
            self.target.proc.read(path.as_ref()).is_ok_and(|text| text.trim() == "deny")
        };
        let skip = users && identity.groups.is_some_and(<[u32]>::is_empty) && denied();
        child::identity::Identity { groups: identity.groups.filter(|_| !skip), ..identity }
    }

    /// The process's own value, else the container's, else that of the caller.
    ///
    /// A rootless caller's own value is not lowered: the kernel would refuse it.
    fn oom_score(&self) -> Result<String, Error> {
        let configured = self.last_mile.process.oom_score_adj.or(self.target.record.process.oom_score_adj);
        let rootless = Rootless::of_caller() == Rootless::Yes;
        if let (Some(score), false) = (configured, rootless) {
            return Ok(score.to_string());
        }
        let own = self.target.proc.read_line("self/oom_score_adj".as_ref()).map_err(Error::Proc)?;
        let own = own.trim();
        let score = configured.max(own.parse().ok());
        Ok(score.map_or_else(|| own.to_owned(), |score| score.to_string()))
    }

    fn last_affinity(&self) -> Result<Option<Vec<u64>>, Error> {
        let last = self.last_mile.process.exec_cpu_affinity.as_ref().map(|affinity| affinity.last.as_str());
        last.filter(|list| !list.is_empty())
            .map(|list| processors(list, "process/execCPUAffinity/final"))
            .transpose()
    }

    fn context(&self) -> Context<'_> {
        Context {
            proc: self.target.proc,
            init: Some(self.target.init),
            process: &self.last_mile.process,
            cgroup: self.cgroup.paths(),
            last_mile: Some(self.last_mile),
            before: Some(self.before),
        }
    }

    fn judge(&self, outcome: Outcome) -> Result<Process, Error> {
        let cause = match outcome {
            Outcome::Executed(process) => return Ok(process),
            Outcome::Refused(failure) => evidence::of_failure(&self.context(), failure),
            Outcome::Died { stage, ended } => evidence::of_death(&self.context(), stage, ended),
            Outcome::Stuck { stage, waited, launched } => {
                // Before its end: a group counts as out of memory only while somebody waits for memory in it.
                let cause = evidence::of_stuck(&self.context(), stage, waited, launched.pid());
                self.end(launched);
                if let Some(signal) = self.told_to_stop() {
                    return Err(Error::Interrupted { signal, cause: Box::new(cause) });
                }
                cause
            }
        };
        Err(Error::NotStarted(cause))
    }

    /// The signal that cut the wait short, taken: there is nobody to forward it to.
    fn told_to_stop(&self) -> Option<i32> {
        self.target.stop.and_then(|stop| sys::signalfd::next(stop).ok().flatten())
    }

    /// Kernel: on v1 a frozen process does not die of SIGKILL until it is moved to a thawed freezer group.
    fn end(&self, mut launched: Launched) {
        let pid = launched.pid();
        if matches!(launched.kill(Duration::from_millis(50)), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.cgroup.free_frozen(pid) {
            log::warn!("free process {pid} from the freezer: {error}");
        }
        if !matches!(launched.kill(KILL_LIMIT), Ok(Some(_))) {
            log::warn!("process {pid} was killed but has not ended after {} s", KILL_LIMIT.as_secs());
        }
    }
}

/// The compiled filter as `create` left it; empty for a container without one.
fn read_filter(entry: &Entry, record: &Record) -> Result<Vec<Instruction>, Error> {
    if record.filter.is_none() {
        return Ok(Vec::new());
    }
    let path = || entry.path().join(store::FILTER);
    let bytes = entry.read_file(store::FILTER).map_err(|source| Error::ReadState { path: path(), source })?;
    let instructions = seccomp::Compiled::from_bytes(&bytes).map_err(|error| Error::DamagedState {
        path: path(),
        place: format!("its {} bytes", bytes.len()),
        reason: error.to_string(),
    })?;
    let convert =
        |one: seccomp::Instruction| Instruction { code: one.code, jt: one.jt, jf: one.jf, k: one.k };
    Ok(instructions.into_iter().map(convert).collect())
}

/// What `execve` and the start of a small program take, in bytes: 64 KiB are too few, 128 KiB are enough.
const ROOM: usize = 256 << 10;

/// What must be free for an exec, in bytes: [`ROOM`], the child's own pages on its way, and what the processors hold
/// back of pages that were charged already (64 each).
const NEEDED: u64 = 832 << 10;

/// What the child must find before `execve`: nothing where a mebibyte more than needed is free.
fn room(before: &Evidence) -> usize {
    const PLENTY: u64 = NEEDED + (1 << 20);
    if before.memory_room().is_some_and(|free| free < PLENTY) { ROOM } else { 0 }
}

/// The namespaces that the child joins by one `setns`; the pid namespace is entered by its birth.
fn joined(namespaces: &[Namespace]) -> u64 {
    let bits = namespaces.iter().map(|namespace| namespace_bit(namespace.kind));
    bits.fold(0, |all, bit| all | bit) & !sys::clone::new::PID
}
