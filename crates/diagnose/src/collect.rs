//! Takes a snapshot: of the live system, or of a saved tree of its files.
//!
//! Rounds, because each says where the next has to look: mounts; processes and everything that stands in a well-known
//! place; configuration files that arguments name; what all that leads to (pipes, state directories, control groups);
//! state directories that only tasks name. What nothing names costs no round.
//!
//! **Invariant:** read-only; no fifo is opened, no daemon is asked, and whatever could wait for somebody else is done
//! by a [`worker`] that can be given up. Nothing is judged here.

pub mod cgroup;
mod depth;
mod docker_names;
mod folder;
pub mod host;
pub mod installed;
mod join;
pub mod kernel_log;
mod left_socket;
pub mod logs;
pub mod look;
pub mod mount;
mod piece;
mod places;
pub mod process;
pub mod runtime_state;
pub mod sock_diag;
pub mod syscall;
mod worker;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::snapshot::{SCHEMA, Snapshot, Taken, Unseen, Why};
use crate::{Error, Result};
use folder::Folder;
pub(crate) use join::pipes;
use piece::Piece;
use places::{Named, Places};
use syscall::Machine;
use worker::{Job, Visit, carry_out};

/// How long one step of reading a process or a control group may take: the kernel answers from memory.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a file on a disk, or a program that reads one, may take.
const PATIENCE_WITH_DISKS: Duration = Duration::from_millis(1200);

/// How long a whole snapshot may take.
const LIMIT: Duration = Duration::from_secs(10);

/// From how many processes on two children read them beside each other.
const CROWD: usize = 500;

/// Where a snapshot is taken.
#[derive(Debug, Clone)]
pub enum Source {
    /// This machine.
    Live,
    /// A directory with `proc`, `sys`, `run` and so on in it. Sockets and pipes cannot be asked there.
    Tree(PathBuf),
}

/// Takes a snapshot.
///
/// # Errors
/// When the root of the source, or its `/proc`, cannot be opened. Anything else that cannot be seen is in
/// [`Snapshot::unseen`].
pub fn collect(source: &Source) -> Result<Snapshot> {
    let path = match source {
        Source::Live => Path::new("/"),
        Source::Tree(path) => path,
    };
    let wrap = |source| Error::Open { path: path.to_owned(), source };
    let root = Folder::open(path).map_err(wrap)?;
    let begin = Instant::now();
    let snapshot = Snapshot { schema: SCHEMA, taken: taken(&root), ..Snapshot::default() };
    let mut collector = Collector { source, root, snapshot, deadline: begin + LIMIT, names: Vec::new() };
    collector.mounts();
    let pids = collector.root.folder("proc").and_then(|proc| proc.numbers()).map_err(wrap)?;
    let groups = collector.processes(&pids);
    join::processes(&mut collector.snapshot);
    collector.configurations();
    let places = Places::of(&collector.snapshot);
    collector.whatever_they_lead_to(groups, &places);
    collector.roots_of_tasks(&places);
    let mut snapshot = join::everything(collector.snapshot, collector.names);
    snapshot.taken.duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(snapshot)
}

fn taken(root: &Folder) -> Taken {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let uptime = root.kernel_text("proc/uptime", 128).unwrap_or_default();
    let seconds: f64 = uptime.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let namespace = root.link("proc/self/ns/pid").ok();
    Taken {
        at_ms: u64::try_from(now.as_millis()).unwrap_or_default(),
        since_boot_ms: Duration::try_from_secs_f64(seconds)
            .map(|uptime| u64::try_from(uptime.as_millis()).unwrap_or_default())
            .unwrap_or_default(),
        duration_ms: 0,
        uid: rustix::process::geteuid().as_raw(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ticks_per_second: rustix::param::clock_ticks_per_second(),
        found_before: Vec::new(),
        pid_namespace: namespace.and_then(|link| process::inode_of_link(&link)).unwrap_or_default(),
    }
}

struct Collector<'a> {
    source: &'a Source,
    root: Folder,
    snapshot: Snapshot,
    deadline: Instant,
    /// Names that people use for containers: id and name.
    names: Vec<(String, String)>,
}

impl Collector<'_> {
    /// First round.
    fn mounts(&mut self) {
        let root = &self.root;
        let read = |visit: &Visit<'_>| mount::read(root, visit);
        let units = vec!["proc/self/mountinfo".to_owned()];
        let pieces =
            carry_out(vec![Job { name: "mounts", units, patience: PATIENCE, read: &read }], self.deadline);
        self.keep(pieces);
    }

    /// Second round; gives the directories of the control groups.
    fn processes(&mut self, pids: &[i32]) -> Vec<String> {
        let (root, source) = (&self.root, self.source);
        let machine = Machine::of(&rustix::system::uname().machine().to_string_lossy());
        let live = matches!(self.source, Source::Live);
        let hierarchies = cgroup::hierarchies(&self.snapshot.mounts);
        let process = |visit: &Visit<'_>| process::read(root, machine, visit);
        let tree = |visit: &Visit<'_>| cgroup::tree(root, visit);
        let host = |visit: &Visit<'_>| host::read(root, source, visit);
        let installed = |visit: &Visit<'_>| installed::read(root, visit);
        let log = |visit: &Visit<'_>| logs::read(root, visit);
        let kernel = |visit: &Visit<'_>| kernel_pieces(source, visit);
        let quick = |name, units, read| Job { name, units, patience: PATIENCE, read };
        let slow = |name, units, read| Job { name, units, patience: PATIENCE_WITH_DISKS, read };
        let mut jobs: Vec<Job<'_>> =
            halves(pids).into_iter().map(|units| quick("processes", units, &process)).collect();
        jobs.extend([
            quick("control groups", hierarchies.iter().map(|it| it.directory.clone()).collect(), &tree),
            quick("host", vec!["proc".to_owned()], &host),
            slow("packages and units", installed::units(), &installed),
            slow("logs", logs::units(live), &log),
            // Whoever asks first for unix sockets waits for the kernel to load `unix_diag`.
            slow("kernel log and sockets", vec!["dev/kmsg".to_owned()], &kernel),
        ]);
        let pieces = carry_out(jobs, self.deadline);
        self.keep(pieces)
    }

    /// Third round.
    fn configurations(&mut self) {
        let root = &self.root;
        let read = |visit: &Visit<'_>| installed::read_named(root, visit);
        let named = places::configurations(&self.snapshot, matches!(self.source, Source::Live));
        let units = named.iter().map(|it| it.read_at.clone()).collect();
        let job = Job { name: "configurations", units, patience: PATIENCE_WITH_DISKS, read: &read };
        let mut pieces = carry_out(vec![job], self.deadline);
        pieces.iter_mut().for_each(|piece| call_by_name(piece, &named));
        self.keep(pieces);
    }

    /// Fourth round.
    fn whatever_they_lead_to(&mut self, groups: Vec<String>, places: &Places) {
        let (root, source) = (&self.root, self.source);
        let hierarchies = cgroup::hierarchies(&self.snapshot.mounts);
        let processes = &self.snapshot.processes;
        let group = |visit: &Visit<'_>| cgroup::read(root, &hierarchies, visit);
        let depth = |visit: &Visit<'_>| depth::read(visit);
        let state = |visit: &Visit<'_>| runtime_state::read_root(root, visit);
        let task = |visit: &Visit<'_>| runtime_state::read_task(root, visit);
        let name = |visit: &Visit<'_>| docker_names::read(root, visit);
        let space = |visit: &Visit<'_>| host::file_system(root, source, visit);
        let log = |visit: &Visit<'_>| logs::read(root, visit);
        let pipes = match self.source {
            Source::Live => depth::units(&self.snapshot.pipes),
            Source::Tree(_) => Vec::new(),
        };
        let quick = |name, units, read| Job { name, units, patience: PATIENCE, read };
        let slow = |name, units, read| Job { name, units, patience: PATIENCE_WITH_DISKS, read };
        let jobs = vec![
            quick("control groups", groups, &group),
            quick("pipes", pipes, &depth),
            slow("runtime states", runtime_state::roots(processes, places).into_iter().collect(), &state),
            slow("tasks", runtime_state::task_units(processes, places), &task),
            slow("names", docker_names::units(places), &name),
            slow("file systems", host::file_systems(places), &space),
            slow("logs of daemons", logs::of_daemons(processes), &log),
        ];
        let pieces = carry_out(jobs, self.deadline);
        self.keep(pieces);
    }

    /// Fifth round: state directories, and sockets of daemons that are gone.
    fn roots_of_tasks(&mut self, places: &Places) {
        let root = &self.root;
        let read = |visit: &Visit<'_>| runtime_state::read_root(root, visit);
        let known = runtime_state::roots(&self.snapshot.processes, places);
        let units = runtime_state::roots_of_tasks(&self.snapshot.tasks, &known).into_iter().collect();
        let mut jobs =
            vec![Job { name: "runtime states", units, patience: PATIENCE_WITH_DISKS, read: &read }];
        let since_ms = self.snapshot.taken.at_ms;
        let socket = |visit: &Visit<'_>| left_socket::read(root, since_ms, visit);
        let units = left_socket::units(&self.snapshot, places);
        jobs.push(Job { name: "socket files", units, patience: PATIENCE_WITH_DISKS, read: &socket });
        let pieces = carry_out(jobs, self.deadline);
        self.keep(pieces);
    }

    /// Puts pieces where they belong; gives back the directories that were found.
    fn keep(&mut self, pieces: Vec<Piece>) -> Vec<String> {
        let mut found = Vec::new();
        let to = &mut self.snapshot;
        for piece in pieces {
            match piece {
                Piece::Process(process) => to.processes.push(*process),
                Piece::Cgroup(group) => to.cgroups.push(*group),
                Piece::Host(host) => {
                    to.host = crate::snapshot::Host {
                        file_systems: std::mem::take(&mut to.host.file_systems),
                        ..*host
                    }
                }
                Piece::FileSystem(system) => to.host.file_systems.push(system),
                Piece::Sockets(sockets) => to.sockets.extend(sockets),
                Piece::Mounts(mounts) => to.mounts.extend(mounts),
                Piece::SocketFile(path) => to.left_sockets.push(path),
                Piece::Depth { inode, bytes, capacity } => {
                    join::depth(&mut to.pipes, inode, (bytes, capacity))
                }
                Piece::KernelLog(lines) => to.kernel_log.extend(lines),
                Piece::Log(lines) => to.logs.extend(lines),
                Piece::State(state) => to.runtime_states.push(*state),
                Piece::Task(task) => to.tasks.push(*task),
                Piece::Unit(unit) => to.units.push(unit),
                Piece::Configuration(configuration) => to.configurations.push(configuration),
                Piece::Packages(packages) => to.packages.extend(packages),
                Piece::Names(names) => found.extend(names),
                Piece::BundleName { id, name } => self.names.insert(0, (id, name)),
                Piece::ContainerName { id, name } => self.names.push((id, name)),
                Piece::Look(..) => {}
                Piece::Unseen(unseen) => to.unseen.push(unseen),
            }
        }
        found
    }
}

/// A configuration has its own path, not the one it was read at; so has one that could not be read.
fn call_by_name(piece: &mut Piece, named: &[Named]) {
    let at = |path: &str| named.iter().find(|it| path.trim_start_matches('/') == it.read_at);
    match piece {
        Piece::Configuration(it) => {
            if let Some(path) = at(&it.path).and_then(|named| named.path.as_ref()) {
                it.path.clone_from(path);
            }
        }
        Piece::Unseen(it) => {
            if let Some(named) = at(&it.what) {
                it.what.clone_from(&named.what);
            }
        }
        _ => {}
    }
}

/// What only a live kernel tells.
fn kernel_pieces(source: &Source, visit: &Visit<'_>) -> Vec<Piece> {
    if matches!(source, Source::Tree(_)) {
        let unseen = |what: &str| Piece::Unseen(Unseen { what: what.to_owned(), why: Why::Absent });
        return vec![unseen("kernel log"), unseen("unix sockets"), unseen("what is in pipes")];
    }
    visit.about("file");
    let mut pieces = kernel_log::read(Path::new("/dev/kmsg"));
    visit.about("sockets");
    pieces.push(match sock_diag::unix_sockets() {
        Ok(sockets) => Piece::Sockets(sockets),
        Err(errno) => {
            let why = Why::Refused { errno: errno.raw_os_error() };
            Piece::Unseen(Unseen { what: "unix sockets".to_owned(), why })
        }
    });
    pieces
}

/// One list of processes, or two for a crowd.
fn halves(pids: &[i32]) -> Vec<Vec<String>> {
    let parts = if pids.len() >= CROWD { 2 } else { 1 };
    let units =
        |part: usize| pids.iter().skip(part).step_by(parts).map(|pid| format!("proc/{pid}")).collect();
    (0..parts).map(units).collect()
}
