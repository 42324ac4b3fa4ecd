//! A cheap look at a node: a few counters and states, for telling when a whole snapshot is worth its price.
//!
//! **Invariant:** one child reads it, under the same rules as a snapshot; one small file per process, a few per group.
//! What stays as it is is read at every other look; what is suspicious only when it is seen twice is read at each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cgroup::{self, Hierarchy};
use super::folder::Folder;
use super::piece::Piece;
use super::places::Places;
use super::worker::{Job, Visit, carry_out};
use super::{PATIENCE, mount, runtime_state, sock_diag};
use crate::snapshot::socket::SocketState;
use crate::snapshot::{Snapshot, Unseen};

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
    /// Listening sockets; of those of shims only the ones with a queue.
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

    /// Whether it may look the same at the next look: not what is suspicious when it stays, nor what becomes another
    /// program in a moment.
    fn may_stay(&self) -> bool {
        !matches!(self.state, 'D' | 'Z') && !self.comm.starts_with("runc:[")
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

/// A listening socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Path.
    pub path: String,
    /// Connections that nobody took.
    pub queue: u32,
}

/// What stays the same from look to look.
#[derive(Debug)]
pub struct Eyes {
    root: Folder,
    hierarchies: Vec<Hierarchy>,
    groups: Vec<String>,
    /// What stood out when each group was last read, by directory.
    levels: Vec<Level>,
    kernel_threads: BTreeSet<i32>,
    /// The processes of the last look.
    known: BTreeMap<i32, Outline>,
    /// Its state files: size and modification by path.
    dates: BTreeMap<String, (u64, u64)>,
    ticks_per_second: u64,
    looks: u64,
    /// Where runtimes keep their state.
    state_roots: BTreeSet<String>,
}

/// Where shims listen, one for each container.
///
/// Source: containerd, `runtime/v2/shim/util_unix.go`.
const SHIMS: &str = "/run/containerd/s/";

/// Every so many looks the groups are listed anew.
const RELIST: u64 = 6;

/// Of so many groups, and of so many processes that were there before, one is read at each look.
const TURNS: u64 = 2;

/// Whether a group is read at this look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    Later,
}

impl Eyes {
    /// Opens the live system.
    ///
    /// # Errors
    /// When `/` cannot be opened.
    pub fn open() -> crate::Result<Self> {
        let path = std::path::Path::new("/");
        let root =
            Folder::open(path).map_err(|source| crate::Error::Open { path: path.to_owned(), source })?;
        Ok(Self::below(root))
    }

    fn below(root: Folder) -> Self {
        Self {
            root,
            hierarchies: Vec::new(),
            groups: Vec::new(),
            levels: Vec::new(),
            kernel_threads: BTreeSet::new(),
            known: BTreeMap::new(),
            dates: BTreeMap::new(),
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            looks: 0,
            state_roots: runtime_state::lasting_roots(&Places::well_known()),
        }
    }

    /// Learns from a snapshot where this node's runtimes keep their state.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        self.state_roots = runtime_state::lasting_roots(&Places::of(snapshot));
        let told = runtime_state::roots_of_tasks(&snapshot.tasks, &self.state_roots);
        self.state_roots.extend(told);
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
        if look.unseen.iter().any(|it| it.what.starts_with("/states")) {
            // A file system that hangs keeps whoever asks it; the next snapshot tries again, and more rarely.
            self.state_roots = runtime_state::lasting_roots(&Places::well_known());
        }
        self.kernel_threads.extend(kernel_threads);
        self.take_turns(&mut look.groups);
        self.known = look.processes.iter().map(|it| (it.pid, it.clone())).collect();
        self.dates =
            look.states.iter().map(|(path, size, modified)| (path.clone(), (*size, *modified))).collect();
        look
    }

    /// Adds what is known of the groups that were not read.
    fn take_turns(&mut self, groups: &mut Vec<Level>) {
        let unread: BTreeSet<&str> = self.groups_of(Turn::Later).map(String::as_str).collect();
        let known = self.levels.iter().filter(|it| unread.contains(it.directory.trim_start_matches('/')));
        groups.extend(known.cloned());
        groups.sort_by(|a, b| a.directory.cmp(&b.directory));
        self.levels.clone_from(groups);
    }

    /// Whether something that has this number is read at this look.
    fn is_turn(&self, number: u64) -> bool {
        (number + self.looks).is_multiple_of(TURNS)
    }

    /// The groups that are read at this look, or the others.
    fn groups_of(&self, turn: Turn) -> impl Iterator<Item = &String> {
        let numbered = self.groups.iter().zip(0_u64..);
        numbered.filter(move |(it, at)| self.turn(it, *at) == turn).map(|(it, _)| it)
    }

    /// A group that was frozen is read at each look: a pause may be over.
    fn turn(&self, group: &str, number: u64) -> Turn {
        if self.is_turn(number) || self.was_frozen(group) { Turn::Now } else { Turn::Later }
    }

    /// Whether a group was frozen at the last look.
    fn was_frozen(&self, group: &str) -> bool {
        let found = self.levels.binary_search_by(|it| it.directory.trim_start_matches('/').cmp(group));
        found.is_ok_and(|at| self.levels[at].frozen)
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
            "groups" => part.groups = self.groups_of(Turn::Now).filter_map(|it| self.level(it)).collect(),
            "doors" => part.doors = doors(),
            _ => part.states = self.states(),
        }
        part.since_boot_ms = self.uptime_ms();
        Piece::Look(Box::new(part), kernel_threads)
    }

    /// State files; a whole one is asked for its date at every other look.
    fn states(&self) -> Vec<(String, u64, u64)> {
        let known = |folder: &str, name: &str| {
            let (size, modified) = *self.dates.get(&format!("{folder}/{name}"))?;
            let number = folder.bytes().fold(0, |sum, byte| sum + u64::from(byte));
            (size > 0 && !self.is_turn(number)).then_some((size, modified))
        };
        runtime_state::dates(&self.root, &self.state_roots, known)
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
            let is_turn = self.is_turn(u64::from(pid.unsigned_abs()));
            if let Some(known) = self.known.get(&pid).filter(|known| !is_turn && known.may_stay()) {
                processes.push(known.clone());
                continue;
            }
            let text = proc.record(&format!("{pid}/stat")).unwrap_or_default();
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
        let text = |name: &str| self.root.record(&format!("{directory}/{name}")).unwrap_or_default();
        let hierarchy = self.hierarchies.iter().find(|it| directory.starts_with(&it.directory))?;
        let is_unified = hierarchy.name == crate::snapshot::cgroup::UNIFIED;
        // A controller is in one hierarchy only; freezing on v2 needs none.
        let is_elsewhere = |name: &str| self.hierarchies.iter().any(|it| it.name == name);
        let has =
            |name: &str| hierarchy.name == name || is_unified && (name == "freezer" || !is_elsewhere(name));
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
    let open = sock_diag::listening().unwrap_or_default().into_iter().filter_map(|socket| {
        let queue = socket.receive_queue.unwrap_or_default();
        let path = socket.path.filter(|path| queue > 0 || !path.starts_with(SHIMS))?;
        (socket.state == SocketState::Listening).then_some(Door { path, queue })
    });
    open.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::snapshot::Process;

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn put(lab: &Path, file: &str, text: &str) {
        let path = lab.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A process with an even and one with an odd pid: it is never the turn of both.
    fn put_processes(lab: &Path, comm: &str, state: char) {
        for pid in [10, 11] {
            let rest = "1 10 10 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 100".to_owned() + &" 0".repeat(30);
            put(lab, &format!("proc/{pid}/stat"), &format!("{pid} ({comm}) {state} {rest}\n"));
        }
    }

    fn outlines(eyes: &mut Eyes) -> Vec<(String, char)> {
        eyes.look().processes.into_iter().map(|it| (it.comm, it.state)).collect()
    }

    fn both(comm: &str, state: char) -> Vec<(String, char)> {
        vec![(comm.to_owned(), state); 2]
    }

    #[test]
    fn a_moment_of_uninterruptible_sleep_is_seen_once() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        put_processes(lab.path(), "redis", 'D');
        assert_eq!(outlines(&mut eyes), both("redis", 'D'));
        put_processes(lab.path(), "redis", 'S');
        assert_eq!(outlines(&mut eyes), both("redis", 'S'));
    }

    #[test]
    fn a_stage_of_a_runtime_that_became_the_program_is_seen_as_the_program() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        put_processes(lab.path(), "runc:[2:INIT]", 'S');
        assert_eq!(outlines(&mut eyes), both("runc:[2:INIT]", 'S'));
        put_processes(lab.path(), "redis", 'S');
        assert_eq!(outlines(&mut eyes), both("redis", 'S'));
    }

    #[test]
    fn a_process_of_which_nothing_is_suspicious_is_read_at_every_other_look() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        put_processes(lab.path(), "redis", 'S');
        outlines(&mut eyes);
        put_processes(lab.path(), "redis", 'R');
        let states = |eyes: &mut Eyes| outlines(eyes).iter().filter(|it| it.1 == 'R').count();
        assert_eq!([states(&mut eyes), states(&mut eyes)], [1, 2]);
    }

    #[test]
    fn states_are_dated_where_a_snapshot_has_shown_them() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        put(lab.path(), "srv/exec/runtime-runc/moby/1e26/state.json", "{}");
        assert_eq!(eyes.look().states, []);
        let args = ["dockerd", "--exec-root=/srv/exec"].map(str::to_owned).to_vec();
        let engine = Process { args: Some(args), uid: Some(0), ..Process::default() };
        eyes.learn(&Snapshot { processes: vec![engine], ..Snapshot::default() });
        let states = eyes.look().states;
        assert_eq!(states[0].0, "/srv/exec/runtime-runc/moby/1e26/state.json");
    }

    #[test]
    fn a_whole_state_is_dated_at_every_other_look_and_an_empty_one_at_each() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        // It is never the turn of both.
        let put_both = |text: &str| {
            for id in ["a", "b"] {
                put(lab.path(), &format!("run/runc/{id}/state.json"), text);
            }
        };
        let sizes = |eyes: &mut Eyes| {
            let mut sizes: Vec<u64> = eyes.look().states.iter().map(|it| it.1).collect();
            sizes.sort_unstable();
            sizes
        };
        put_both("{}");
        assert_eq!(sizes(&mut eyes), [2, 2]);
        put_both("");
        assert_eq!([sizes(&mut eyes), sizes(&mut eyes)], [[0, 2], [0, 0]]);
        put_both("{}");
        assert_eq!(sizes(&mut eyes), [2, 2]);
        std::fs::remove_dir_all(lab.path().join("run/runc/a")).unwrap();
        assert_eq!(sizes(&mut eyes), [2]);
    }

    #[test]
    fn a_short_pause_is_seen_once() {
        let lab = tempfile::tempdir().unwrap();
        let mut eyes = Eyes::below(Folder::open(lab.path()).unwrap());
        eyes.hierarchies = vec![Hierarchy { name: "freezer".to_owned(), directory: "freezer".to_owned() }];
        let freeze = |text: &str| {
            for group in ["a", "b"] {
                put(lab.path(), &format!("freezer/{group}/freezer.self_freezing"), text);
            }
        };
        let frozen = |eyes: &mut Eyes| eyes.look().groups.iter().filter(|it| it.frozen).count();
        freeze("1\n");
        frozen(&mut eyes);
        assert_eq!(frozen(&mut eyes), 2);
        freeze("0\n");
        assert_eq!(frozen(&mut eyes), 0);
    }
}
