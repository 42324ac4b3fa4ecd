//! The end of everything that one exec started: child, child with a session of its own, double-forked daemon.
//!
//! Each exec is born in a v2 group of its own, nested in the container's and without controllers: limits, counters and
//! pauses stay those of the container. Groups are kept and used again, so that an exec pays one look and no `mkdir`. A
//! host without any v2 tree has no such groups; there the descendants of the leader are found by their parents, stopped
//! from the top down so that no fork outruns the walk, and killed. Who was orphaned before escapes that, and the result
//! says so. The choice and its numbers: `docs/decisions/0018-exec-groups.md`.
//!
//! **Invariant:** no process is signalled that the exec did not start. What an exec leaves behind when it ends by
//! itself is not touched.

use cgroup::{Cgroup, Paths};
use launch::Process;
use proc::Procfs;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many kept groups are looked at before another one is made: survivors of earlier execs may sit in each.
const LOOKS: usize = 4;

/// How many names are tried: the container may have made groups of these names itself.
const NAMES: u32 = 64;

/// How often a walk starts again because it found somebody new.
const ROUNDS: usize = 64;

/// The groups of one container's execs.
#[derive(Debug)]
pub struct Groups {
    /// The container's v2 group.
    container: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    free: VecDeque<Group>,
    /// How many names were given out.
    names: u32,
}

/// A group for one exec.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    directory: Arc<OwnedFd>,
    /// It was killed and takes nobody any more.
    spent: AtomicBool,
}

/// How far a kill came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything that the exec started has ended.
    Whole,
    /// The exec had no group: its descendants have ended, but what had been orphaned before could not be found.
    Descendants,
    /// All were killed; these have not ended in time. They are frozen, or in an uninterruptible sleep.
    Left {
        /// Their pids on the host, sorted.
        pids: Vec<i32>,
    },
}

impl Groups {
    /// Groups below the container's v2 group, with or without controllers; `None` where there is no v2 tree.
    #[must_use]
    pub fn below(container: Option<PathBuf>) -> Self {
        Self { container, kept: Mutex::default() }
    }

    /// An empty group. `None` when none can be had; the exec is then one whose tree is found by parentage.
    #[must_use]
    pub fn take(&self) -> Option<Group> {
        let container = self.container.as_deref()?;
        for _ in 0..LOOKS {
            let Some(group) = self.kept().free.pop_front() else { break };
            match group.is_populated() {
                Some(false) => return Some(group),
                Some(true) => self.kept().free.push_back(group),
                None => {}
            }
        }
        self.make(container)
    }

    /// Keeps a group for a later exec. Who still lives in it stays. One that was killed comes back, to be removed.
    ///
    /// Kernel: a group counts how often it was killed, and who is born there by a parent in a group with another count
    /// is killed at once (`cgroup_post_fork`).
    #[must_use]
    pub fn put_back(&self, group: Group) -> Option<Group> {
        if group.spent.load(Ordering::Relaxed) {
            return Some(group);
        }
        self.kept().free.push_front(group);
        None
    }

    fn make(&self, container: &Path) -> Option<Group> {
        for _ in 0..NAMES {
            let path = container.join(format!("sluice-exec-{}", self.next_name()));
            match rustix::fs::mkdirat(CWD, &path, Mode::from_raw_mode(0o755)) {
                Ok(()) => return Group::open(path),
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    log::warn!("make the group {} for an exec: {errno}", path.display());
                    return None;
                }
            }
        }
        None
    }

    fn next_name(&self) -> u32 {
        let mut kept = self.kept();
        kept.names = kept.names.wrapping_add(1);
        kept.names
    }

    /// Held for a push or a pop, never over a system call.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn open(path: PathBuf) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(directory) => {
                let spent = AtomicBool::new(false);
                Some(Self { path, directory: Arc::new(directory), spent })
            }
            Err(errno) => {
                log::warn!("open the group {}: {errno}", path.display());
                None
            }
        }
    }

    /// The directory, for the birth of a process in it.
    #[must_use]
    pub fn directory(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.directory)
    }

    /// Removes it, unless somebody lives in it: then that is left to the removal of the container. Waits for the kernel's
    /// lock on all groups: not for the control thread.
    pub fn remove(self) {
        if let Err(errno) = rustix::fs::rmdir(&self.path) {
            log::debug!("remove the group {}: {errno}", self.path.display());
        }
    }

    /// Whether anybody lives in it or below; `None` when it is gone.
    fn is_populated(&self) -> Option<bool> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let events = rustix::fs::openat(&self.directory, "cgroup.events", flags, Mode::empty()).ok()?;
        let mut bytes = [0; 256];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&events, &mut bytes)).ok()?;
        let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
        proc::kv::lookup(text, "populated").map(|value| value != 0)
    }

    fn as_cgroup(&self) -> Cgroup {
        Cgroup::new(Paths { unified: Some(self.path.clone()), v1: BTreeMap::new() })
    }
}

/// Kills everything that an exec started and waits for their ends, at most `limit` in all.
///
/// May sleep in the kernel on the container's account: not for the control thread.
#[must_use]
pub fn kill(leader: &Process, group: Option<&Group>, limit: Duration) -> Reach {
    let deadline = Instant::now() + limit;
    let proc = match Procfs::host() {
        Ok(proc) => proc,
        Err(error) => {
            log::warn!("{error}");
            let _ = pidfd_send_signal(&leader.pidfd, Signal::KILL);
            return Reach::Descendants;
        }
    };
    // A member that left the group is still a descendant, mostly; a stop is needed only where no group holds the rest.
    let stop = if group.is_some() { Walk::Look } else { Walk::Stop };
    let family = Family::of(&proc, leader, stop);
    if let Some(group) = group {
        group.spent.store(true, Ordering::Relaxed);
    }
    let in_group =
        group.map(|group| group.as_cgroup().kill(deadline.saturating_duration_since(Instant::now())));
    family.kill(&proc);
    let _ = pidfd_send_signal(&leader.pidfd, Signal::KILL);
    let mut left = family.wait(&proc, deadline);
    if let Some(Err(error)) = &in_group {
        log::warn!("end the group of an exec: {error}");
        left.extend(group.map(|group| group.as_cgroup().all_pids().unwrap_or_default()).unwrap_or_default());
    }
    left.sort_unstable();
    left.dedup();
    match (left.is_empty(), group) {
        (false, _) => Reach::Left { pids: left },
        (true, Some(_)) => Reach::Whole,
        (true, None) => Reach::Descendants,
    }
}

/// What a walk does to whom it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    Look,
    /// SIGSTOP, from the top down.
    ///
    /// Kernel: a fork with a signal pending is begun again after it, so who is stopped has no further child.
    Stop,
}

/// A process and its descendants, each by pid and start time.
struct Family {
    members: BTreeMap<i32, u64>,
}

impl Family {
    /// Walks until nobody new is found.
    fn of(proc: &Procfs, leader: &Process, walk: Walk) -> Self {
        let Ok(stat) = proc.stat(leader.pid) else { return Self { members: BTreeMap::new() } };
        if walk == Walk::Stop {
            let _ = pidfd_send_signal(&leader.pidfd, Signal::STOP);
        }
        let mut family = Self { members: BTreeMap::from([(leader.pid, stat.start_time)]) };
        for _ in 0..ROUNDS {
            let known: Vec<i32> = family.members.keys().copied().collect();
            let children = known.into_iter().flat_map(|pid| children(proc, pid));
            let new: Vec<i32> = children.filter(|pid| !family.members.contains_key(pid)).collect();
            if new.is_empty() {
                break;
            }
            new.into_iter().for_each(|pid| family.add(proc, pid, walk));
        }
        family
    }

    /// A pid counts as a child's only if its parent is a member after the pidfd was opened: it is nobody else's then.
    fn add(&mut self, proc: &Procfs, pid: i32, walk: Walk) {
        let Some(pidfd) = open(pid) else { return };
        let Ok(stat) = proc.stat(pid) else { return };
        if !self.members.contains_key(&stat.ppid) {
            return;
        }
        self.members.insert(pid, stat.start_time);
        if walk == Walk::Stop {
            let _ = pidfd_send_signal(&pidfd, Signal::STOP);
        }
    }

    fn kill(&self, proc: &Procfs) {
        for (pid, start_time) in &self.members {
            let Some(pidfd) = open(*pid) else { continue };
            if is_alive(proc, *pid, *start_time) {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
    }

    /// Who has not ended in time.
    fn wait(&self, proc: &Procfs, deadline: Instant) -> Vec<i32> {
        const PAUSE: Duration = Duration::from_millis(1);
        loop {
            let alive = |(pid, start): &(&i32, &u64)| is_alive(proc, **pid, **start);
            let left: Vec<i32> = self.members.iter().filter(alive).map(|(pid, _)| *pid).collect();
            if left.is_empty() || Instant::now() >= deadline {
                return left;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn is_alive(proc: &Procfs, pid: i32, start_time: u64) -> bool {
    proc.stat(pid).is_ok_and(|stat| stat.start_time == start_time && !stat.is_dead())
}

/// The children of all threads of a process.
fn children(proc: &Procfs, pid: i32) -> Vec<i32> {
    let threads = proc.threads(pid);
    let lists = threads
        .into_iter()
        .filter_map(|tid| proc.read(Path::new(&format!("{pid}/task/{tid}/children"))).ok());
    lists.flat_map(|text| parse_children(&text)).collect()
}

/// Source: proc_tid_children(5): pids separated by spaces.
fn parse_children(text: &str) -> Vec<i32> {
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::fd::AsFd;
    use std::process::{Child, Command, Stdio};

    const LIMIT: Duration = Duration::from_secs(20);

    /// A shell with a child and a grandchild; comes back when all of them run.
    fn family() -> (Child, Process) {
        let script = "sh -c 'sleep 1000 & echo ready; wait' & wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, Process { pid, pidfd: open(pid).unwrap() })
    }

    #[test]
    fn descendants_end_without_a_group_and_the_answer_says_that_it_was_by_parentage() {
        let (mut child, leader) = family();
        let proc = Procfs::host().unwrap();
        let members = Family::of(&proc, &leader, Walk::Look).members;
        assert!(members.len() >= 3, "{members:?}");
        assert_eq!(kill(&leader, None, LIMIT), Reach::Descendants);
        assert!(members.iter().all(|(pid, start)| !is_alive(&proc, *pid, *start)), "{members:?}");
        assert!(launch::process::wait_dead(leader.pidfd.as_fd(), LIMIT).unwrap());
        child.wait().unwrap();
    }

    /// A container's group on this host, taken away when dropped.
    struct Lab {
        path: PathBuf,
    }

    impl Lab {
        /// None, aloud, without root or without a v2 tree.
        fn new(name: &str) -> Option<Self> {
            let layout = cgroup::Layout::discover().ok()?;
            let path =
                layout.unified()?.mount_point.join(format!("sluice-test-{name}-{}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => Some(Self { path }),
                Err(error) => {
                    eprintln!("SKIPPED: make {}: {error}", path.display());
                    None
                }
            }
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            let group = Group::open(self.path.clone()).unwrap();
            group.as_cgroup().kill(LIMIT).unwrap();
            for entry in std::fs::read_dir(&self.path).unwrap().flatten() {
                let _ = std::fs::remove_dir(entry.path());
            }
            std::fs::remove_dir(&self.path).unwrap();
        }
    }

    /// An exec with a child, a child in a session of its own and a daemon whose parent has ended.
    fn exec_in(group: &Group) -> (Child, Process) {
        let script = "echo 0 > \"$0/cgroup.procs\"; sleep 1000 & setsid sleep 1000 & \
                      (setsid sh -c 'echo daemon; exec sleep 1000' &); wait";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&group.path).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, Process { pid, pidfd: open(pid).unwrap() })
    }

    /// The shell, its two sleeps and the daemon; the daemon's parent may still be on its way out.
    fn settled(group: &Group) -> Vec<i32> {
        let begun = Instant::now();
        loop {
            let pids = group.as_cgroup().all_pids().unwrap();
            if pids.len() == 4 {
                return pids;
            }
            assert!(begun.elapsed() < LIMIT, "{pids:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_daemon_ends_with_its_exec_and_the_neighbour_does_not() {
        let Some(lab) = Lab::new("tree") else { return };
        let groups = Groups::below(Some(lab.path.clone()));
        let (first, second) = (groups.take().unwrap(), groups.take().unwrap());
        let (mut victim, leader) = exec_in(&first);
        let (mut neighbour, _) = exec_in(&second);
        let before = settled(&second);
        assert_eq!(kill(&leader, Some(&first), LIMIT), Reach::Whole);
        assert_eq!(first.as_cgroup().all_pids().unwrap(), Vec::<i32>::new());
        assert_eq!(second.as_cgroup().all_pids().unwrap(), before);
        victim.wait().unwrap();
        neighbour.kill().unwrap();
        neighbour.wait().unwrap();
    }

    #[test]
    fn a_group_is_used_again_when_it_is_empty_and_not_before() {
        let Some(lab) = Lab::new("again") else { return };
        let groups = Groups::below(Some(lab.path.clone()));
        let first = groups.take().unwrap();
        let (path, (mut child, leader)) = (first.path.clone(), exec_in(&first));
        assert!(groups.put_back(first).is_none());
        let second = groups.take().unwrap();
        assert_ne!(second.path, path);
        assert!(groups.put_back(second).is_none());
        let first = groups.take().into_iter().chain(groups.take()).find(|group| group.path == path);
        assert!(first.is_none(), "{first:?}");
        let again = Group::open(path.clone()).unwrap();
        assert_eq!(kill(&leader, Some(&again), LIMIT), Reach::Whole);
        child.wait().unwrap();
        let kept = std::iter::from_fn(|| groups.take()).take(4).find(|group| group.path == path).unwrap();
        groups.put_back(again).expect("a killed group is not for another exec").remove();
        assert!(!path.exists());
        drop(kept);
    }

    #[test]
    fn without_a_v2_tree_there_is_no_group() {
        assert!(Groups::below(None).take().is_none());
    }

    #[test]
    fn a_refused_group_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Groups::below(Some(folder.path().join("missing"))).take().is_none());
    }

    #[test]
    fn lists_of_children_are_read() {
        assert_eq!(parse_children("12 7 "), [12, 7]);
        assert!(parse_children("x -1 0").is_empty());
    }
}
