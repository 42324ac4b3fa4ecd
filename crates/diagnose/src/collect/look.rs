//! A cheap look at a node: a few counters and states, for telling when a whole snapshot is worth its price.
//!
//! **Invariant:** one child reads it, under the same rules as a snapshot; one small file per process, a few per group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cgroup::{self, Hierarchy};
use super::folder::Folder;
use super::piece::Piece;
use super::worker::{Job, Visit, carry_out};
use super::{PATIENCE, mount, runtime_state, sock_diag};
use crate::snapshot::Unseen;
use crate::snapshot::socket::SocketState;

/// Most bytes of a file of procfs or of a control group.
const SMALL: usize = 16 << 10;

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(5);

/// `PF_KTHREAD`. Source: include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Milliseconds after boot.
    pub since_boot_ms: u64,
    /// Processes but those of the kernel, by ascending pid.
    pub processes: Vec<Outline>,
    /// Groups that are at a limit, frozen or out of memory, or that refused a fork at any time.
    pub groups: Vec<Level>,
    /// Listening sockets with connections that nobody took.
    pub doors: Vec<Door>,
    /// State files of runtimes: path, size, modification in milliseconds after 1970.
    pub states: Vec<(String, u64, u64)>,
    /// What did not answer.
    pub unseen: Vec<Unseen>,
}

/// A process in five words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Pid.
    pub pid: i32,
    /// Parent.
    pub ppid: i32,
    /// Name.
    pub comm: String,
    /// State of the first thread.
    pub state: char,
    /// Number of threads.
    pub threads: u32,
    /// Start after boot, milliseconds.
    pub started_ms: u64,
    /// Whether it is in a pid namespace of its own; only asked of what a shim or conmon started.
    pub inside: Option<bool>,
}

impl Outline {
    /// Whether its name is that of a shim or conmon.
    #[must_use]
    pub fn is_keeper(&self) -> bool {
        self.comm.starts_with("containerd-shim") || self.comm == "conmon"
    }
}

/// A group that stands out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Its directory.
    pub directory: String,
    /// `pids.current` has reached `pids.max`.
    pub pids_full: bool,
    /// Forks that were refused.
    pub refused: u64,
    /// Tasks sleep because memory is full and nobody may be killed (v1).
    pub under_oom: bool,
    /// Frozen by itself.
    pub frozen: bool,
}

/// A listening socket with a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Path.
    pub path: String,
    /// Connections that wait.
    pub queue: u32,
}

/// What stays the same from look to look.
#[derive(Debug)]
pub struct Eyes {
    root: Folder,
    hierarchies: Vec<Hierarchy>,
    groups: Vec<String>,
    /// What stood out when each group was last read.
    levels: Vec<Level>,
    kernel_threads: BTreeSet<i32>,
    /// The processes of the last look.
    known: BTreeMap<i32, Outline>,
    ticks_per_second: u64,
    looks: u64,
}

/// Every so many looks the groups are listed anew.
const RELIST: u64 = 6;

/// Of so many groups, and of so many processes that were there before, one is read at each look.
const TURNS: u64 = 2;

impl Eyes {
    /// Opens the live system.
    ///
    /// # Errors
    /// When `/` cannot be opened.
    pub fn open() -> crate::Result<Self> {
        let path = std::path::Path::new("/");
        let root =
            Folder::open(path).map_err(|source| crate::Error::Open { path: path.to_owned(), source })?;
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        Ok(Self {
            root,
            hierarchies: Vec::new(),
            groups: Vec::new(),
            levels: Vec::new(),
            kernel_threads: BTreeSet::new(),
            known: BTreeMap::new(),
            ticks_per_second,
            looks: 0,
        })
    }

    /// Looks once.
    pub fn look(&mut self) -> Look {
        let deadline = Instant::now() + LIMIT;
        let mut look = Look::default();
        if self.looks.is_multiple_of(RELIST) {
            self.list(deadline);
        }
        self.looks += 1;
        let eyes = &*self;
        let read = |visit: &Visit<'_>| vec![eyes.read(visit)];
        let units = ["processes", "groups", "doors", "states"].map(str::to_owned).to_vec();
        let job = Job { name: "look", units, patience: PATIENCE, read: &read };
        let mut kernel_threads = Vec::new();
        for piece in carry_out(vec![job], deadline) {
            match piece {
                Piece::Look(part, threads) => {
                    look.take(*part);
                    kernel_threads.extend(threads);
                }
                Piece::Unseen(unseen) => look.unseen.push(unseen),
                _ => {}
            }
        }
        self.kernel_threads.extend(kernel_threads);
        self.take_turns(&mut look.groups);
        self.known = look.processes.iter().map(|it| (it.pid, it.clone())).collect();
        look
    }

    /// Adds what is known of the groups whose turn it was not.
    fn take_turns(&mut self, groups: &mut Vec<Level>) {
        let known = std::mem::take(&mut self.levels).into_iter();
        let waiting: BTreeSet<&str> = self.waiting().map(String::as_str).collect();
        let known = known.filter(|it| waiting.contains(it.directory.trim_start_matches('/')));
        groups.extend(known);
        groups.sort_by(|a, b| a.directory.cmp(&b.directory));
        self.levels.clone_from(groups);
    }

    /// Whether something that has this number is read at this look.
    fn is_turn(&self, number: u64) -> bool {
        (number + self.looks).is_multiple_of(TURNS)
    }

    /// The groups whose turn it is.
    fn in_turn(&self) -> impl Iterator<Item = &String> {
        self.groups.iter().zip(0_u64..).filter(|(_, at)| self.is_turn(*at)).map(|(it, _)| it)
    }

    /// The others.
    fn waiting(&self) -> impl Iterator<Item = &String> {
        self.groups.iter().zip(0_u64..).filter(|(_, at)| !self.is_turn(*at)).map(|(it, _)| it)
    }

    fn list(&mut self, deadline: Instant) {
        let root = &self.root;
        let mounts = |visit: &Visit<'_>| mount::read(root, visit);
        let units = vec!["proc/self/mountinfo".to_owned()];
        if self.hierarchies.is_empty() {
            let job = Job { name: "mounts", units, patience: PATIENCE, read: &mounts };
            for piece in carry_out(vec![job], deadline) {
                if let Piece::Mounts(mounts) = piece {
                    self.hierarchies = cgroup::hierarchies(&mounts);
                }
            }
        }
        // The time of a processor is of no interest here.
        self.hierarchies.retain(|it| !it.name.split(',').any(|part| part == "cpu"));
        let tree = |visit: &Visit<'_>| cgroup::tree(root, visit);
        let units = self.hierarchies.iter().map(|it| it.directory.clone()).collect();
        let job = Job { name: "control groups", units, patience: PATIENCE, read: &tree };
        self.groups.clear();
        for piece in carry_out(vec![job], deadline) {
            if let Piece::Names(names) = piece {
                self.groups.extend(names);
            }
        }
    }

    /// One part, in the child.
    fn read(&self, visit: &Visit<'_>) -> Piece {
        let mut part = Look::default();
        let mut kernel_threads = Vec::new();
        visit.about("file");
        match visit.unit {
            "processes" => (part.processes, kernel_threads) = self.processes(),
            "groups" => part.groups = self.in_turn().filter_map(|it| self.level(it)).collect(),
            "doors" => part.doors = doors(),
            _ => part.states = runtime_state::dates(&self.root),
        }
        part.since_boot_ms = self.uptime_ms();
        Piece::Look(Box::new(part), kernel_threads)
    }

    fn uptime_ms(&self) -> u64 {
        let text = self.root.kernel_text("proc/uptime", SMALL).unwrap_or_default();
        let digits: String =
            text.split(' ').next().unwrap_or_default().chars().filter(|c| *c != '.').collect();
        digits.parse::<u64>().unwrap_or_default() * 10
    }

    fn processes(&self) -> (Vec<Outline>, Vec<i32>) {
        let Ok(proc) = self.root.folder("proc") else { return Default::default() };
        let (mut processes, mut kernel_threads) = (Vec::new(), Vec::new());
        for pid in proc.numbers().unwrap_or_default() {
            if self.kernel_threads.contains(&pid) {
                continue;
            }
            if let Some(known) = self.known.get(&pid).filter(|_| !self.is_turn(u64::from(pid.unsigned_abs())))
            {
                processes.push(known.clone());
                continue;
            }
            let text = proc.one_record(&format!("{pid}/stat")).unwrap_or_default();
            match proc::pid::Stat::parse(&text) {
                Some(stat) if stat.flags & PF_KTHREAD != 0 => kernel_threads.push(pid),
                Some(stat) => processes.push(self.outline(pid, stat)),
                None => {}
            }
        }
        self.namespaces(&proc, &mut processes);
        (processes, kernel_threads)
    }

    fn outline(&self, pid: i32, stat: proc::pid::Stat) -> Outline {
        Outline {
            pid,
            ppid: stat.ppid,
            comm: stat.comm,
            state: stat.state,
            threads: stat.num_threads,
            started_ms: stat.start_time.saturating_mul(1000) / self.ticks_per_second,
            inside: None,
        }
    }

    /// Asks once for the pid namespace of whatever shims started.
    fn namespaces(&self, proc: &Folder, processes: &mut [Outline]) {
        let keepers: BTreeSet<i32> = processes.iter().filter(|it| it.is_keeper()).map(|it| it.pid).collect();
        let own = proc.link("self/ns/pid").ok();
        for process in processes.iter_mut().filter(|it| keepers.contains(&it.ppid)) {
            let known = self.known.get(&process.pid).filter(|it| it.started_ms == process.started_ms);
            // A runtime's first stage leaves the host's namespace within its first moments: only `true` is kept.
            let inside = || Some(proc.link(&format!("{}/ns/pid", process.pid)).ok()? != *own.as_ref()?);
            process.inside = known.and_then(|it| it.inside).filter(|inside| *inside).or_else(inside);
        }
    }

    /// A group, if there is anything to say of it.
    fn level(&self, directory: &str) -> Option<Level> {
        let text = |name: &str| self.root.one_record(&format!("{directory}/{name}")).unwrap_or_default();
        let hierarchy = self.hierarchies.iter().find(|it| directory.starts_with(&it.directory))?;
        let is_unified = hierarchy.name == crate::snapshot::cgroup::UNIFIED;
        let has = |name: &str| is_unified || hierarchy.name == name;
        let mut level = Level { directory: format!("/{directory}"), ..Level::default() };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        if has("pids") {
            // An ancestor's limit is counted here too, but only where there is a limit the rest is worth a read.
            level.refused = proc::kv::lookup(&text("pids.events"), "max").unwrap_or_default();
            let most = number(&text("pids.max"));
            level.pids_full = most.is_some_and(|most| number(&text("pids.current")) >= Some(most));
        }
        if hierarchy.name == "memory" {
            level.under_oom = proc::kv::lookup(&text("memory.oom_control"), "under_oom") == Some(1);
        }
        if has("freezer") {
            let file = if is_unified { "cgroup.freeze" } else { "freezer.self_freezing" };
            level.frozen = text(file).trim() == "1";
        }
        let stands_out = level.pids_full || level.refused > 0 || level.under_oom || level.frozen;
        stands_out.then_some(level)
    }
}

impl Look {
    fn take(&mut self, part: Self) {
        self.since_boot_ms = self.since_boot_ms.max(part.since_boot_ms);
        self.processes.extend(part.processes);
        self.groups.extend(part.groups);
        self.doors.extend(part.doors);
        self.states.extend(part.states);
    }
}

fn doors() -> Vec<Door> {
    let waiting = sock_diag::listening().unwrap_or_default().into_iter().filter_map(|socket| {
        let queue = socket.receive_queue.filter(|queue| *queue > 0)?;
        (socket.state == SocketState::Listening).then_some(Door { path: socket.path?, queue })
    });
    waiting.collect()
}
