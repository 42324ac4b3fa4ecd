//! `create`: everything up to the point where only the container's program is missing.
//!
//! The caller has one thread. Init is forked from it and goes on with a copy of its memory
//! (docs/decisions/0008-create-forks.md); a process with several threads runs `create` in a short-lived process.

mod meanwhile;

use crate::config::{Config, IdMapping, NamespaceType};
use crate::conversation::{Answer, Heard, Line, Said};
use crate::hooks::Ledger;
use crate::last_mile::{self, LastMile, Refusal, UserNamespace};
use crate::placement::{self, Driver, Placement, Systemd};
use crate::record::{FORMAT, Phase, Record, RunningHook};
use crate::rootfs::ChangeRoot;
use crate::rootless::{self, Rootless};
use crate::store::{self, Entry, Seen, Stamp, Store};
use crate::{ContainerId, Error, Status, console, evidence, hooks, init, status};
use cgroup::{Cgroup, Layout};
use launch::Process;
use launch::visit::Visit;
use meanwhile::{Compiled, Meanwhile, Prepared};
use proc::Procfs;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::clone::{Clone3, Parent, Side, new};
use sys::seccomp::Instruction;

/// How the container's root becomes `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pivot {
    /// `pivot_root(2)`.
    PivotRoot,
    /// `--no-pivot`: `MS_MOVE` and `chroot`.
    MoveRoot,
}

/// Whose session keyring the container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// One of its own.
    New,
    /// The caller's (`--no-new-keyring`).
    Inherit,
}

/// Who takes the master of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// The console socket.
    Socket,
    /// The caller, who relays it.
    Relay,
}

/// What `create` is asked for.
#[derive(Debug)]
pub struct CreateRequest {
    /// The new container's id.
    pub id: ContainerId,
    /// Directory with `config.json`.
    pub bundle: PathBuf,
    /// Gets the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// Gets init's pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// Gets init's pid, decimal, without a newline.
    pub pid_file: Option<PathBuf>,
    /// How the root changes.
    pub pivot: Pivot,
    /// Which session keyring.
    pub keyring: Keyring,
    /// Descriptors from 3 on that the program keeps, after those of socket activation.
    pub preserve_fds: u32,
    /// Descriptors of socket activation (`LISTEN_FDS`), from 3 on.
    pub listen_fds: u32,
    /// How many descriptors from 3 on the process was started with, without a gap; those above are its own.
    pub inherited: u32,
    /// systemd's notification socket on the host.
    pub notify_socket: Option<PathBuf>,
    /// Who takes the terminal.
    pub terminal: Terminal,
    /// Who makes the control groups.
    pub driver: Driver,
    /// What becomes of a cgroup that may not be made.
    pub rootless: Rootless,
}

/// A container that waits for `start`.
#[derive(Debug)]
pub struct Created {
    /// Init's pid.
    pub pid: i32,
    /// Init's identity.
    pub pidfd: OwnedFd,
    /// The terminal's master, for [`Terminal::Relay`].
    pub console: Option<OwnedFd>,
}

/// After this long without a word a waiting step is named in the log, and again each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a container whose init is parked before its program.
///
/// # Errors
/// What was refused; nothing of the container is left then.
pub fn create(store: &Store, request: &CreateRequest) -> Result<Created, Error> {
    create_known(store, request).map(|(created, _)| created)
}

/// A container as its creator knows it, for the next step of the same command.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) proc: Procfs,
    pub(crate) entry: Entry,
    pub(crate) seen: Seen,
}

/// As [`create`]; says besides what need not be looked up again.
///
/// # Errors
/// As [`create`].
pub(crate) fn create_known(store: &Store, request: &CreateRequest) -> Result<(Created, Known), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let bundle = absolute(&request.bundle)?;
    let mut config = Config::load(&bundle)?;
    config.validate(&bundle)?;
    rootless::check_namespaces(&config)?;
    let process = config.process.clone().unwrap_or_default();
    check_terminal(process.terminal, request)?;
    check_preserved(
        preserved(request.listen_fds, request.preserve_fds)?,
        request.listen_fds,
        request.inherited,
    )?;
    crate::delete::sweep(store, &proc);
    if store.entry(&request.id).is_ok() {
        return Err(Error::Exists { id: request.id.clone() });
    }
    let layout = Layout::of(&proc).map_err(Error::Cgroup)?;
    let cgroups_path = Some(config.linux.cgroups_path.as_str()).filter(|path| !path.is_empty());
    let Placement { paths, systemd } = placement::find(&request.driver, &layout, cgroups_path, &request.id)?;
    let made = missing(&paths);
    let cgroup = Cgroup::new(paths);
    refuse_used(&cgroup, &made).map_err(|error| match store.entry(&request.id) {
        // Another create of the same id was faster, and the processes are its own.
        Ok(_) => Error::Exists { id: request.id.clone() },
        Err(_) => error,
    })?;
    let meanwhile = Meanwhile::begin(&mut config);
    let mut record = new_record(&proc, request, &bundle, &config)?;
    if systemd.is_none() {
        record.cgroup = cgroup.paths().clone();
    }
    add_socket_activation(&mut config, request);
    let mappings = crate::id_map::is_ours(&config)
        .then(|| (config.linux.uid_mappings.clone(), config.linux.gid_mappings.clone()));
    let mut birth = Birth {
        proc,
        store,
        record,
        cgroup,
        systemd,
        entry: None,
        made,
        hooks_begun: false,
        init: None,
        before: None,
        mappings,
        last: None,
        stamp: None,
    };
    let created = birth.bring_up(request, config, meanwhile).inspect_err(|_| birth.undo())?;
    let Birth { proc, record, entry: Some(entry), stamp, .. } = birth else {
        return Err(Error::NotRunning { id: request.id.to_string() });
    };
    Ok((created, Known { proc, entry, seen: Seen { record, stamp } }))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::File {
        step: "make absolute",
        path: path.to_owned(),
        source: Errno::from_io_error(&error).unwrap_or(Errno::INVAL),
    })
}

/// Compat: runc, utils_linux.go, `checkTerminal`.
pub(crate) fn check_console(terminal: bool, socket: bool, who: Terminal) -> Result<(), Error> {
    match (terminal, socket, who) {
        (true, false, Terminal::Socket) => Err(Error::ConsoleSocketMissing),
        (false, true, _) | (true, true, Terminal::Relay) => Err(Error::ConsoleSocketUnused),
        _ => Ok(()),
    }
}

fn check_terminal(terminal: bool, request: &CreateRequest) -> Result<(), Error> {
    check_console(terminal, request.console_socket.is_some(), request.terminal)
}

/// How many descriptors from 3 on are open, without a gap: asked before anything else is opened, that is how many the
/// process was started with.
#[must_use]
pub fn inherited_descriptors() -> u32 {
    (3..4096).take_while(|number| sys::stdio::is_open(*number)).count().try_into().unwrap_or(0)
}

/// How many descriptors from 3 on the program keeps.
///
/// # Errors
/// [`Error::Unsupported`] for more than there can be.
pub(crate) fn preserved(listening: u32, kept: u32) -> Result<u32, Error> {
    let most = i32::MAX.unsigned_abs() - 3;
    listening.checked_add(kept).filter(|count| *count <= most).ok_or_else(|| Error::Unsupported {
        pointer: "--preserve-fds".to_owned(),
        reason: format!(
            "{kept} and the {listening} of LISTEN_FDS are more descriptors than a process can have"
        ),
    })
}

/// Every announced descriptor is there, and none is a way out of the container.
pub(crate) fn check_preserved(count: u32, listening: u32, inherited: u32) -> Result<(), Error> {
    if count > inherited {
        let (number, count) = (inherited.saturating_sub(listening), count - listening);
        return Err(Error::PreservedMissing { number, count, source: Errno::BADF });
    }
    for number in 0..count {
        let path = format!("/proc/self/fd/{}", number + 3);
        match rustix::fs::stat(&path) {
            Ok(stat)
                if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory =>
            {
                return Err(Error::PreservedDirectory { number: number + 3 });
            }
            Ok(_) => {}
            Err(source) => {
                let number = number.saturating_sub(listening);
                return Err(Error::PreservedMissing { number, count: count - listening, source });
            }
        }
    }
    Ok(())
}

fn refuse_used(cgroup: &Cgroup, missing: &cgroup::Paths) -> Result<(), Error> {
    if missing == cgroup.paths() {
        return Ok(());
    }
    let pids = cgroup.all_pids().map_err(Error::Cgroup)?;
    if pids.is_empty() {
        return Ok(());
    }
    Err(Error::CgroupInUse { count: pids.len(), path: cgroup.paths().main().to_owned() })
}

/// The groups that are not there.
fn missing(paths: &cgroup::Paths) -> cgroup::Paths {
    let mut missing = paths.clone();
    missing.v1.retain(|_, path| !path.is_dir());
    missing.unified = missing.unified.filter(|path| !path.is_dir());
    missing
}

fn new_record(
    proc: &Procfs,
    request: &CreateRequest,
    bundle: &Path,
    config: &Config,
) -> Result<Record, Error> {
    let rootfs = config.root.as_ref().map(|root| bundle.join(&root.path)).unwrap_or_default();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let keyring = (request.keyring == Keyring::New).then(|| format!("_ses.{}", request.id));
    Ok(Record {
        format: FORMAT,
        writer: concat!("sluice ", env!("CARGO_PKG_VERSION")).to_owned(),
        generation: 1,
        boot_id: status::boot_id(proc)?.to_owned(),
        id: request.id.to_string(),
        oci_version: config.oci_version.clone(),
        bundle: bundle.to_owned(),
        rootfs: std::fs::canonicalize(&rootfs).unwrap_or(rootfs),
        created: humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string(),
        owner: rustix::process::getuid().as_raw(),
        phase: Phase::Creating,
        creator: status::identity(proc, own)?,
        init: None,
        hook: None,
        cgroup: cgroup::Paths::default(),
        unit: None,
        resources: config.linux.resources.clone(),
        namespaces: config.linux.namespaces.clone(),
        personality: crate::personality::of(config),
        keyring,
        // Known when the groups are made.
        filter: None,
        process: config.process.clone().unwrap_or_default(),
        hooks: config.hooks.clone(),
        annotations: config.annotations.clone(),
    })
}

/// Compat: runc hands `LISTEN_FDS` on and says that the program's pid is 1.
fn add_socket_activation(config: &mut Config, request: &CreateRequest) {
    if let (Some(process), true) = (config.process.as_mut(), request.listen_fds > 0) {
        process.env.push(format!("LISTEN_FDS={}", request.listen_fds));
        process.env.push("LISTEN_PID=1".to_owned());
    }
}

/// A container on its way to being created, with everything that must be undone if it fails.
struct Birth<'a> {
    proc: Procfs,
    store: &'a Store,
    record: Record,
    cgroup: Cgroup,
    /// The unit and its systemd, if that makes the groups.
    systemd: Option<Systemd>,
    entry: Option<Entry>,
    /// The groups that were not there before.
    made: cgroup::Paths,
    /// Whether hooks of the runtime were begun: then the poststop hooks must undo what they did.
    hooks_begun: bool,
    init: Option<Process>,
    /// The counters of the cgroup before init.
    before: Option<cgroup::Evidence>,
    /// Of a new user namespace.
    mappings: Option<(Vec<IdMapping>, Vec<IdMapping>)>,
    /// The generation that the finished record is meant to be, and its text.
    last: Option<(u64, Vec<u8>)>,
    /// Of the finished record's file.
    stamp: Option<Stamp>,
}

impl Birth<'_> {
    /// The script of `create`. Each effect on the host is on disk before it is made.
    fn bring_up(
        &mut self,
        request: &CreateRequest,
        mut config: Config,
        meanwhile: Meanwhile,
    ) -> Result<Created, Error> {
        let entry = self.entry.insert(self.store.insert(&request.id, &self.record)?);
        if request.notify_socket.is_some() {
            crate::notify_socket::offer(&mut config, entry.path())?;
        }
        let start = entry.make_fifo(store::START)?;
        let report = entry.make_fifo(store::REPORT)?;
        self.make_groups(request, &config)?;
        let prepared = meanwhile.end()?;
        self.keep_filter(&prepared.filter)?;
        let (line, theirs) = Line::pair()?;
        let plan = self.plan(request, config, prepared, (theirs, start, report))?;
        let line = self.make_init(plan, line)?;
        self.place_init()?;
        self.note_init(request.rootless)?;
        line.answer(Answer::Begin);
        // Here it costs no time: init is busy with its mounts.
        self.write_rescue()?;
        let console = self.converse(request, &line)?;
        self.finish(request, &line)?;
        let init = self.init.take().ok_or_else(|| self.record.not_running())?;
        Ok(Created { pid: init.pid, pidfd: init.pidfd, console })
    }

    fn keep_filter(&mut self, filter: &Compiled) -> Result<(), Error> {
        let (Some((instructions, filter)), Some(entry)) = (filter, &self.entry) else { return Ok(()) };
        self.record.filter = Some(filter.clone());
        entry.replace(store::FILTER, &filter_bytes(instructions))
    }

    /// Makes the groups that init is born in. systemd's need a process: see [`Birth::place_init`].
    fn make_groups(&mut self, request: &CreateRequest, config: &Config) -> Result<(), Error> {
        if self.systemd.is_some() {
            return Ok(());
        }
        self.make_cgroup(request, config)?;
        self.refuse_hopeless()
    }

    /// Lets systemd make the groups, around an init that waits for the word to begin and has done nothing yet.
    fn place_init(&mut self) -> Result<(), Error> {
        let resources = self.resources();
        let (Some(systemd), Some(init)) = (&mut self.systemd, &self.init) else { return Ok(()) };
        let pid = init.pid;
        let started = systemd.start(&self.proc, (&self.record, &self.cgroup, &resources), pid);
        if systemd.has_begun() {
            self.record.unit = Some(systemd.unit.clone());
            self.record.cgroup = self.cgroup.paths().clone();
        }
        // Also when it went wrong after that: what cannot be taken back is left to `delete`.
        let written = self.write_record();
        started.and(written)?;
        placement::fill(&self.proc, &self.cgroup, pid)?;
        self.refuse_hopeless()?;
        self.apply_limits()
    }

    /// A frozen cgroup, or one that stands still for want of memory, would hold init for ever; one without a free
    /// slot would refuse it on v2 and is here refused on v1 as well.
    fn refuse_hopeless(&mut self) -> Result<(), Error> {
        let before = cgroup::Evidence::quick(&self.cgroup);
        // An init that is in already takes no further slot.
        let is_in_the_way =
            |cause: &cgroup::Cause| self.init.is_none() || !matches!(cause, cgroup::Cause::PidsLimit { .. });
        if let Some(cause) = before.obstacle().filter(is_in_the_way) {
            return Err(Error::NotStarted(evidence::obstacle(self.cgroup.paths(), cause)));
        }
        self.before = Some(before);
        Ok(())
    }

    fn make_cgroup(&mut self, request: &CreateRequest, config: &Config) -> Result<(), Error> {
        match self.cgroup.create() {
            Ok(()) => self.apply_limits(),
            Err(refusal) if request.rootless == Rootless::Yes => {
                rootless::do_without_cgroup(refusal, self.cgroup.kind(), config)?;
                // The record is written anew with init's identity.
                self.record.cgroup = cgroup::Paths::default();
                self.made = cgroup::Paths::default();
                self.cgroup = Cgroup::new(cgroup::Paths::default());
                Ok(())
            }
            Err(refusal) => Err(Error::Cgroup(refusal)),
        }
    }

    fn apply_limits(&self) -> Result<(), Error> {
        let resources = self.resources();
        // What goes away with the groups need not be restored before.
        let applied = if self.made == *self.cgroup.paths() {
            self.cgroup.apply_to_new(&resources)
        } else {
            self.cgroup.apply(&resources).map(drop)
        };
        applied.map_err(Error::Cgroup)
    }

    /// The limits that were asked for, with the default device rules, as far as the caller can have them.
    fn resources(&self) -> cgroup::Resources {
        let mut resources = self.record.resources.clone().unwrap_or_default();
        crate::devices::add_defaults(&mut resources);
        rootless::attainable(resources)
    }

    fn plan(
        &self,
        request: &CreateRequest,
        config: Config,
        Prepared { network, filter }: Prepared,
        (line, start, report): (Line, OwnedFd, OwnedFd),
    ) -> Result<init::Plan, Error> {
        let users = users(&config);
        let process = config.process.clone().unwrap_or_default();
        let mut last_mile = LastMile::new(&self.proc, process, users)?;
        if let Some(persona) = crate::personality::of(&config) {
            last_mile.set_personality(persona);
        }
        let keyring =
            self.record.keyring.as_deref().map(|name| crate::program::c_string(name, "id")).transpose()?;
        Ok(init::Plan {
            bundle: self.record.bundle.clone(),
            proc: Procfs::host().map_err(Error::Proc)?,
            line,
            start,
            report,
            join: self.join()?,
            unified: self.cgroup.paths().unified.clone(),
            last_mile,
            keyring,
            filter: filter.map(|(instructions, filter)| (instructions, filter.flags)),
            change_root: match request.pivot {
                Pivot::PivotRoot => ChangeRoot::Pivot,
                Pivot::MoveRoot => ChangeRoot::Move,
            },
            preserved: preserved(request.listen_fds, request.preserve_fds)?,
            rootless: request.rootless,
            dumpable_until_mapped: rootless::must_be_dumpable(&config),
            id_mapped: crate::id_map::mounts(&self.proc, &config, &self.record.bundle)?,
            joined: open_namespaces(
                &config,
                &[NamespaceType::Mount, NamespaceType::Cgroup, NamespaceType::Time],
            )?,
            network,
            record: self.record.clone(),
            config,
        })
    }

    /// What init needs to be born in its groups, where they are there before it.
    fn join(&self) -> Result<cgroup::Join, Error> {
        if self.systemd.is_some() {
            return Ok(cgroup::Join { tasks: Vec::new(), directory: None });
        }
        self.cgroup.join().map_err(Error::Cgroup)
    }

    /// `clone3`, from within the namespaces that are joined by path.
    fn make_init(&mut self, plan: init::Plan, line: Line) -> Result<Line, Error> {
        const VISITED: [NamespaceType; 4] =
            [NamespaceType::Network, NamespaceType::Ipc, NamespaceType::Uts, NamespaceType::Pid];
        let visited = open_namespaces(&plan.config, &VISITED)?;
        let mut joined = open_namespaces(&plan.config, &[NamespaceType::User])?;
        let mut targets: Vec<_> = visited.iter().map(|(file, kind)| (file.as_fd(), *kind)).collect();
        if !targets.is_empty() && !rootless::can_return() {
            // The right to them may come with the user namespace.
            joined.extend(open_namespaces(&plan.config, &VISITED)?);
            targets.clear();
        }
        let made = if plan.network.is_some() { new::NET } else { 0 };
        let namespaces = new_namespaces(&plan.config) & !made;
        // Inherited by init and the go-between: a container whose pid or user namespace they join must never find them
        // open to ptrace or /proc/PID/root (CVE-2016-9962).
        if !plan.dumpable_until_mapped {
            sys::prctl::set_undumpable()
                .map_err(|source| Error::Step { step: "become undumpable", source })?;
        }
        let config = plan.config.clone();
        let visit = Visit::enter(&self.proc, &targets).map_err(Error::Launch)?;
        let init = if joined.is_empty() {
            fork_init(plan, namespaces, line)
        } else {
            fork_through(plan, (namespaces, &joined), line, &self.proc)
        };
        visit.end().map_err(Error::Launch)?;
        let (init, line) = init.map_err(|error| self.refused_birth(&config, error))?;
        self.init = Some(init);
        Ok(line)
    }

    /// Why the kernel made no process.
    fn refused_birth(&self, config: &Config, error: Error) -> Error {
        let Error::Launch(launch::Error::Clone(errno)) = error else { return error };
        let context = self.context();
        let cause = match errno {
            Errno::NOMEM => evidence::no_memory(&context, child::Stage::Start),
            _ => evidence::of_birth(&context, &launch::Error::Clone(errno)),
        };
        match (cause, joined_pid_namespace(config)) {
            (Some(cause), _) => Error::NotStarted(cause),
            // Kernel: the errno of a pid namespace whose init is dead; memory has no part in it.
            (None, Some((pointer, path))) if errno == Errno::NOMEM => {
                Error::EndedPidNamespace { pointer, path }
            }
            _ => rootless::explain_refused_clone(config, errno),
        }
    }

    /// Writes the id mappings and init's identity; only then may init go on.
    fn note_init(&mut self, rootless: Rootless) -> Result<(), Error> {
        let Some(init) = &self.init else { return Ok(()) };
        self.record.init = Some(status::identity(&self.proc, init.pid)?);
        if let Some((uids, gids)) = &self.mappings {
            crate::id_map::write(&self.proc, init.pid, uids, gids)?;
        }
        self.raise_limits(init.pid)?;
        self.set_oom_score(init.pid, rootless)?;
        self.write_record()
    }

    fn raise_limits(&self, pid: i32) -> Result<(), Error> {
        last_mile::raise_limits(&self.record.process, pid).map_err(|refusal| match refusal {
            Refusal::Configured(error) => error,
            Refusal::Kernel(failure) => self.refused(failure),
        })
    }

    /// Kernel: whoever is in a user namespace has no right to go below the lowest value that was written with
    /// `CAP_SYS_RESOURCE` of the host.
    fn set_oom_score(&self, pid: i32, rootless: Rootless) -> Result<(), Error> {
        let Some(score) = self.record.process.oom_score_adj else { return Ok(()) };
        if !evidence::has_namespace(&self.record.namespaces, NamespaceType::User) {
            return Ok(());
        }
        last_mile::set_oom_score(&self.proc, &pid.to_string(), score, rootless)
            .map_err(|failure| self.refused(failure))
    }

    fn write_record(&mut self) -> Result<(), Error> {
        self.record.generation += 1;
        self.entry.as_ref().map_or(Ok(()), |entry| entry.write(&self.record))
    }

    /// The record as it will be when init is parked.
    fn write_rescue(&mut self) -> Result<(), Error> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let generation = self.record.generation + 1;
        let record = Record { phase: Phase::Created, generation, ..self.record.clone() };
        let text = store::text(&record)?;
        entry.replace(store::RESCUE, &text)?;
        self.last = Some((generation, text));
        Ok(())
    }

    /// Listens to init until it is parked.
    fn converse(&mut self, request: &CreateRequest, line: &Line) -> Result<Option<OwnedFd>, Error> {
        let mut console = None;
        let mut stage = "make the mounts";
        let begun = Instant::now();
        loop {
            match line.listen(PATIENCE)? {
                Heard::Nothing => self.name_waiting(stage, begun),
                Heard::Ended => return Err(self.init_died(stage)),
                Heard::Said(Said::RootReady, _) => {
                    self.run_runtime_hooks()?;
                    line.answer(Answer::Continue);
                    stage = "change the root and become its user";
                }
                Heard::Said(Said::Terminal(name), Some(master)) => {
                    console = self.place_terminal(request, &name, master)?;
                }
                Heard::Said(Said::Listener, Some(listener)) => self.hand_over_listener(&listener)?,
                Heard::Said(Said::Parked, _) => return Ok(console),
                Heard::Said(Said::Failed(message), _) => return Err(Error::Init { message }),
                Heard::Said(Said::Refused(failure), _) => return Err(self.refused(failure)),
                Heard::Said(Said::NotFound(errno), _) => return Err(self.program_missing(errno)),
                Heard::Said(said, _) => {
                    return Err(Error::Init { message: format!("container init said {said:?} out of turn") });
                }
            }
        }
    }

    fn name_waiting(&self, stage: &str, begun: Instant) {
        let pid = self.init.as_ref().map_or(0, |init| init.pid);
        log::warn!("still waiting for container init {pid} to {stage}, {} s", begun.elapsed().as_secs());
    }

    fn init_died(&self, stage: &'static str) -> Error {
        let Some(init) = &self.init else { return self.record.not_running() };
        const SOON: Duration = Duration::from_secs(2);
        let _ = launch::process::wait_dead(init.pidfd.as_fd(), SOON);
        let cause = evidence::of_init(&self.context(), child::Stage::Start);
        Error::InitDied { stage, cause }
    }

    fn refused(&self, failure: child::Failure) -> Error {
        Error::NotStarted(evidence::of_failure(&self.context(), failure))
    }

    fn program_missing(&self, errno: Errno) -> Error {
        Error::NotStarted(evidence::of_program(&self.context(), errno))
    }

    fn context(&self) -> evidence::Context<'_> {
        evidence::Context {
            proc: &self.proc,
            init: self.init.as_ref(),
            process: &self.record.process,
            cgroup: self.cgroup.paths(),
            last_mile: None,
            before: self.before.as_ref(),
        }
    }

    fn run_runtime_hooks(&mut self) -> Result<(), Error> {
        let pid = self.init.as_ref().map_or(0, |init| init.pid);
        self.hooks_begun = true;
        let lists = self.record.hooks.clone();
        if lists.prestart.is_empty() && lists.create_runtime.is_empty() {
            return Ok(());
        }
        let state = hooks::state(&self.record, Status::Creating, pid);
        let proc = Procfs::host().map_err(Error::Proc)?;
        let bundle = self.record.bundle.clone();
        let heritage = hooks::Heritage::Runtime(&bundle);
        for (name, hooks) in [("prestart", &lists.prestart), ("createRuntime", &lists.create_runtime)] {
            hooks::run(Some(&proc), &hooks::List { name, hooks, state: &state, heritage }, self)?;
        }
        Ok(())
    }

    fn place_terminal(
        &self,
        request: &CreateRequest,
        name: &str,
        master: OwnedFd,
    ) -> Result<Option<OwnedFd>, Error> {
        match &request.console_socket {
            None => Ok(Some(master)),
            Some(socket) => {
                console::send(socket, name, master.as_fd()).map(|()| None).map_err(Error::Console)
            }
        }
    }

    fn hand_over_listener(&self, listener: &OwnedFd) -> Result<(), Error> {
        let pid = self.init.as_ref().map_or(0, |init| init.pid);
        crate::listener::hand_over(&self.record, (pid, Status::Creating), listener.as_fd())
    }

    /// Puts `created` on disk, then lets init park; from here on the container outlives this process.
    fn finish(&mut self, request: &CreateRequest, line: &Line) -> Result<(), Error> {
        let Some(init) = &self.init else { return Err(self.record.not_running()) };
        self.record.phase = Phase::Created;
        self.record.generation += 1;
        let Some(entry) = &self.entry else { return Err(self.record.not_running()) };
        match &self.last {
            // No hook was noted in between: nothing is new but the phase.
            Some((generation, text)) if *generation == self.record.generation => {
                entry.replace(store::STATE, text)?;
            }
            _ => entry.write(&self.record)?,
        }
        self.stamp = Some(entry.stamp()?);
        if let Some(socket) = &request.pidfd_socket {
            console::send(socket, "init", init.pidfd.as_fd()).map_err(Error::Console)?;
        }
        // The caller takes the file as the sign that the container is there, so it is the last thing that can fail.
        if let Some(path) = &request.pid_file {
            crate::pid_file::write(path, init.pid)?;
        }
        entry.unlock()?;
        line.answer(Answer::Park);
        Ok(())
    }

    /// Takes everything back, in the opposite order; what cannot be taken back is logged and left to `delete`.
    fn undo(&mut self) {
        const LIMIT: Duration = Duration::from_secs(10);
        if let Some(init) = self.init.take() {
            let _ = rustix::process::pidfd_send_signal(&init.pidfd, rustix::process::Signal::KILL);
            let _ = launch::process::wait_dead(init.pidfd.as_fd(), LIMIT);
            let _ = launch::process::ended(&init, launch::process::Reap::Yes);
        }
        if self.entry.is_none() {
            return;
        }
        if let Err(error) = self.remove_groups(LIMIT) {
            log::error!(
                "after a failed create: {}; `delete --force {}` tries again",
                crate::error::chain(&error),
                self.record.id
            );
            return;
        }
        if let Some(entry) = self.entry.take() {
            if self.hooks_begun {
                crate::delete::run_poststop(&self.proc, &entry, &self.record);
            }
            match self.store.retire(&entry) {
                Ok(temporary) => self.store.discard(&temporary),
                Err(error) => log::error!("after a failed create: {}", crate::error::chain(&error)),
            }
        }
    }

    /// Takes away the groups that this create made, and their unit.
    fn remove_groups(&self, limit: Duration) -> Result<(), cgroup::Error> {
        if self.systemd.is_some() {
            return self.remove_unit(limit);
        }
        if self.made == *self.cgroup.paths() {
            return self.cgroup.kill(limit).and_then(|()| self.cgroup.remove(limit));
        }
        // A group that was there before belongs to somebody else; only init was ever put into it.
        Cgroup::new(self.made.clone()).remove(limit)
    }

    /// systemd takes its groups away itself, also where the tree is read-only for us.
    fn remove_unit(&self, limit: Duration) -> Result<(), cgroup::Error> {
        if self.record.unit.is_none() {
            // Groups that are there now belong to somebody else's unit: another create was faster, or it is older.
            return Ok(());
        }
        let made = Cgroup::new(self.made.clone());
        let killed = made.kill(limit);
        placement::forget(&self.record);
        if made.exists() { killed.and_then(|()| made.remove(limit)) } else { Ok(()) }
    }
}

impl Ledger for Birth<'_> {
    fn note(&mut self, hook: Option<RunningHook>) -> Result<(), Error> {
        self.record.hook = hook;
        self.write_record()
    }
}

fn filter_bytes(instructions: &[Instruction]) -> Vec<u8> {
    let convert =
        |one: &Instruction| seccomp::Instruction { code: one.code, jt: one.jt, jf: one.jf, k: one.k };
    instructions.iter().flat_map(|one| convert(one).to_bytes()).collect()
}

pub(crate) fn users(config: &Config) -> UserNamespace {
    if config.linux.namespace(NamespaceType::User).is_some() {
        UserNamespace::Other
    } else {
        UserNamespace::Host
    }
}

/// The bit of a kind of namespace in `clone3`, `setns` and `unshare`.
pub(crate) fn namespace_bit(kind: NamespaceType) -> u64 {
    match kind {
        NamespaceType::Pid => new::PID,
        NamespaceType::Network => new::NET,
        NamespaceType::Mount => new::MOUNT,
        NamespaceType::Ipc => new::IPC,
        NamespaceType::Uts => new::UTS,
        NamespaceType::User => new::USER,
        NamespaceType::Cgroup => new::CGROUP,
        NamespaceType::Time => new::TIME,
    }
}

/// What `clone3` makes new; cgroup and time namespaces are init's business.
fn new_namespaces(config: &Config) -> u64 {
    let made = config.linux.namespaces.iter().filter(|namespace| namespace.path().is_none());
    made.map(|namespace| namespace_bit(namespace.kind)).fold(0, |all, bit| all | bit)
        & !(new::CGROUP | new::TIME)
}

/// The pid namespace that is joined by path: its place in `config.json`, and the path.
fn joined_pid_namespace(config: &Config) -> Option<(String, PathBuf)> {
    let mut all = config.linux.namespaces.iter().enumerate();
    let (index, pid) = all.find(|(_, namespace)| namespace.kind == NamespaceType::Pid)?;
    Some((namespace_pointer(index), pid.path()?.to_owned()))
}

fn namespace_pointer(index: usize) -> String {
    format!("config.json/linux/namespaces/{index}/path")
}

/// Opens the files of namespaces that are joined by path.
fn open_namespaces(config: &Config, kinds: &[NamespaceType]) -> Result<Vec<(OwnedFd, u64)>, Error> {
    let mut open = Vec::new();
    for (index, namespace) in config.linux.namespaces.iter().enumerate() {
        let Some(path) = namespace.path().filter(|_| kinds.contains(&namespace.kind)) else { continue };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let pointer = || namespace_pointer(index);
        let file = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|source| Error::Namespace { pointer: pointer(), path: path.to_owned(), source })?;
        let kind = rustix::fs::fstatfs(&file).map(|stat| stat.f_type);
        // Source: include/uapi/linux/magic.h, NSFS_MAGIC.
        if kind != Ok(0x6e73_6673) {
            return Err(Error::NotNamespace { pointer: pointer(), path: path.to_owned() });
        }
        open.push((file, namespace_bit(namespace.kind)));
    }
    Ok(open)
}

/// The child drops its copy of create's end of the line, else it could not notice create's death.
fn fork_init(plan: init::Plan, namespaces: u64, line: Line) -> Result<(Process, Line), Error> {
    let how =
        Clone3 { namespaces, cgroup: plan.join.directory.as_ref().map(AsFd::as_fd), parent: Parent::Caller };
    match sys::clone::clone3(&how).map_err(|errno| Error::Launch(launch::Error::Clone(errno)))? {
        Side::Child => {
            drop(line);
            init::run(plan)
        }
        Side::Parent { pid, pidfd } => Ok((Process { pid, pidfd }, line)),
    }
}

/// A user namespace joined by path must own the new namespaces, and others may be such that this process could not come
/// back from them: a go-between joins them first and makes init as its sibling.
fn fork_through(
    plan: init::Plan,
    (namespaces, joined): (u64, &[(OwnedFd, u64)]),
    line: Line,
    proc: &Procfs,
) -> Result<(Process, Line), Error> {
    let cgroup = plan.join.directory.as_ref().map(AsFd::as_fd);
    let how = Clone3 { namespaces: 0, cgroup, parent: Parent::Caller };
    match sys::clone::clone3(&how).map_err(|errno| Error::Launch(launch::Error::Clone(errno)))? {
        Side::Child => {
            drop(line);
            go_between(plan, namespaces, joined)
        }
        Side::Parent { pid, pidfd } => {
            // The go-between holds the other copy of init's end.
            let id = plan.record.id.clone();
            drop(plan);
            await_birth(proc, &id, &Process { pid, pidfd }, &line).map(|init| (init, line))
        }
    }
}

fn go_between(plan: init::Plan, namespaces: u64, joined: &[(OwnedFd, u64)]) -> ! {
    let step = "join a namespace of config.json/linux/namespaces";
    let join = |(file, kind): &(OwnedFd, u64)| sys::namespace::join(file.as_fd(), *kind);
    if let Err(source) = joined.iter().try_for_each(join) {
        plan.line.say(&Said::Failed(crate::error::chain(&Error::Step { step, source })));
        sys::clone::exit(255)
    }
    match sys::clone::clone3(&Clone3 { namespaces, cgroup: None, parent: Parent::Grandparent }) {
        Ok(Side::Child) => init::run(plan),
        Ok(Side::Parent { pid, pidfd }) => {
            // The number is one of the joined pid namespace; create asks the pidfd for the host's.
            plan.line.send(&Said::Born(pid), Some(pidfd.as_fd()));
            sys::clone::exit(0)
        }
        Err(errno) => {
            plan.line.say(&Said::Unborn(errno));
            sys::clone::exit(255)
        }
    }
}

fn await_birth(proc: &Procfs, id: &str, go_between: &Process, line: &Line) -> Result<Process, Error> {
    const LIMIT: Duration = Duration::from_secs(10);
    const STAGE: &str = "join the namespaces of config.json/linux/namespaces";
    let heard = line.listen(LIMIT)?;
    if matches!(heard, Heard::Nothing) {
        let _ = rustix::process::pidfd_send_signal(&go_between.pidfd, rustix::process::Signal::KILL);
    }
    let _ = launch::process::wait_dead(go_between.pidfd.as_fd(), LIMIT);
    let ended = launch::process::ended(go_between, launch::process::Reap::Yes).ok().flatten();
    match heard {
        Heard::Said(Said::Born(_), Some(pidfd)) => {
            let gone = || Error::NotRunning { id: id.to_owned() };
            Ok(Process { pid: host_pid(proc, &pidfd)?.ok_or_else(gone)?, pidfd })
        }
        Heard::Said(Said::Unborn(errno), _) => Err(Error::Launch(launch::Error::Clone(errno))),
        Heard::Said(Said::Failed(message), _) => Err(Error::Init { message }),
        Heard::Nothing => Err(Error::InitStuck { stage: STAGE, limit: LIMIT }),
        _ => {
            let how = ended.map_or_else(|| "in an unknown way".to_owned(), evidence::how);
            let cause = crate::cause::Cause::Died { stage: child::Stage::Namespaces, how };
            Err(Error::InitDied { stage: STAGE, cause })
        }
    }
}

/// The pid of a pidfd's process in the pid namespace of the host's `/proc`; none when it has ended.
///
/// Source: proc_pid_fdinfo(5), the field `Pid` of a pidfd.
fn host_pid(proc: &Procfs, pidfd: &OwnedFd) -> Result<Option<i32>, Error> {
    let path = format!("self/fdinfo/{}", pidfd.as_raw_fd());
    let text = proc.read(path.as_ref()).map_err(Error::Proc)?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    Ok(pid.filter(|pid| *pid > 0))
}

/// Detached, id-mapped mounts by their index in `mounts`.
pub(crate) type IdMapped = BTreeMap<usize, OwnedFd>;
