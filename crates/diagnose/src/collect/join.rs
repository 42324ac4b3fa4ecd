//! Puts together what was read apart: pipes from descriptors, owners of sockets, containers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::snapshot::{
    Container, End, FdTarget, Pipe, Process, Snapshot, StateFile, UnixSocket, Unseen, Why, role,
};

/// How many refusals of one kind are told apart before they are only counted.
const FEW: usize = 3;

/// Sorts the processes and finds the pipes between them.
pub(super) fn processes(snapshot: &mut Snapshot) {
    snapshot.processes.sort_by_key(|process| process.pid);
    snapshot.processes.dedup_by_key(|process| process.pid);
    snapshot.pipes = pipes(&snapshot.processes);
}

/// Everything that needs all pieces.
pub(super) fn everything(mut snapshot: Snapshot, names: Vec<(String, String)>) -> Snapshot {
    owners(&mut snapshot.sockets, &snapshot.processes);
    snapshot.cgroups.sort_by(|a, b| (&a.hierarchy, &a.path).cmp(&(&b.hierarchy, &b.path)));
    snapshot.cgroups.dedup_by(|a, b| (&a.hierarchy, &a.path) == (&b.hierarchy, &b.path));
    snapshot.host.cgroup_hierarchies = hierarchies(&snapshot);
    snapshot.host.inotify.instances = inotify(&snapshot.processes);
    members_by_init(&mut snapshot);
    snapshot.containers = containers(&snapshot, names);
    snapshot.unseen = summed_up(std::mem::take(&mut snapshot.unseen));
    snapshot
}

/// The pipes and fifos behind the descriptors, by ascending inode.
pub(crate) fn pipes(processes: &[Process]) -> Vec<Pipe> {
    let mut found: BTreeMap<u64, Pipe> = BTreeMap::new();
    for process in processes {
        for fd in &process.fds {
            let Some(inode) = fd.pipe() else { continue };
            let pipe = found.entry(inode).or_insert_with(|| Pipe { inode, ..Pipe::default() });
            if let FdTarget::Fifo { path, .. } = &fd.target {
                pipe.path = Some(path.clone());
            }
            let end = End { pid: process.pid, fd: fd.number };
            if fd.reads() {
                pipe.readers.push(end);
            }
            if fd.writes() {
                pipe.writers.push(end);
            }
        }
    }
    found.into_values().collect()
}

/// Notes how full a pipe is.
pub(super) fn depth(pipes: &mut [Pipe], inode: u64, (bytes, capacity): (Option<u64>, Option<u64>)) {
    if let Ok(at) = pipes.binary_search_by_key(&inode, |pipe| pipe.inode) {
        (pipes[at].bytes, pipes[at].capacity) = (bytes, capacity);
    }
}

fn owners(sockets: &mut [UnixSocket], processes: &[Process]) {
    sockets.sort_by_key(|socket| socket.inode);
    for process in processes {
        for inode in process.fds.iter().filter_map(|fd| fd.socket()) {
            let Ok(at) = sockets.binary_search_by_key(&inode, |socket| socket.inode) else { continue };
            if sockets[at].owners.last() != Some(&process.pid) {
                sockets[at].owners.push(process.pid);
            }
        }
    }
}

fn hierarchies(snapshot: &Snapshot) -> Vec<String> {
    let names: BTreeSet<&String> = snapshot.cgroups.iter().map(|group| &group.hierarchy).collect();
    names.into_iter().cloned().collect()
}

/// inotify instances per user.
fn inotify(processes: &[Process]) -> Vec<(u32, u64)> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for process in processes {
        let is_inotify =
            |target: &FdTarget| matches!(target, FdTarget::Anonymous { name } if name == "inotify");
        let count = process.fds.iter().filter(|fd| is_inotify(&fd.target)).count();
        if let Some(uid) = process.uid.filter(|_| count > 0) {
            *counts.entry(uid).or_default() += count as u64;
        }
    }
    counts.into_iter().collect()
}

/// A container whose id is in no path is found by its init: whatever shares init's group belongs to it.
fn members_by_init(snapshot: &mut Snapshot) {
    let inits = inits(snapshot);
    let mut groups: BTreeMap<(String, String), String> = BTreeMap::new();
    for (id, pid) in inits {
        let Some(process) = snapshot.process(pid).filter(|process| process.container.is_none()) else {
            continue;
        };
        for group in process.cgroups.iter().filter(|group| group.path.len() > 1) {
            groups.insert((group.hierarchy.clone(), group.path.clone()), id.clone());
        }
    }
    for process in snapshot.processes.iter_mut().filter(|process| process.container.is_none()) {
        let mut keys = process.cgroups.iter().map(|group| (group.hierarchy.clone(), group.path.clone()));
        process.container =
            keys.find_map(|key| groups.get(&key).cloned()).filter(|_| process.is_in_a_pid_namespace());
    }
}

/// Container ids with the pid of init, from tasks and from state files whose start time fits.
fn inits(snapshot: &Snapshot) -> BTreeMap<String, i32> {
    let mut inits = BTreeMap::new();
    for state in &snapshot.runtime_states {
        if let StateFile::Whole { init: Some(pid), init_start_time, .. } = state.file {
            let same = |it: &Process| init_start_time.is_none_or(|start| start == it.start_time);
            if snapshot.process(pid).is_some_and(same) {
                inits.insert(state.id.clone(), pid);
            }
        }
    }
    for task in &snapshot.tasks {
        if let Some(pid) = task.init {
            inits.entry(task.id.clone()).or_insert(pid);
        }
    }
    inits
}

/// Containers by id, from processes, tasks and state directories.
fn containers(snapshot: &Snapshot, names: Vec<(String, String)>) -> Vec<Container> {
    let mut found: BTreeMap<&str, Container> = BTreeMap::new();
    let ids = snapshot.processes.iter().filter_map(|process| process.container.as_deref());
    let ids = ids.chain(snapshot.tasks.iter().map(|task| task.id.as_str()));
    for id in ids.chain(snapshot.runtime_states.iter().map(|state| state.id.as_str())) {
        found.entry(id).or_insert_with(|| Container { id: id.to_owned(), ..Container::default() });
    }
    for process in &snapshot.processes {
        if let Some(container) = process.container.as_deref().and_then(|id| found.get_mut(id)) {
            container.processes.push(process.pid);
        }
    }
    keepers(snapshot, &mut found);
    for task in &snapshot.tasks {
        if let Some(container) = found.get_mut(task.id.as_str()) {
            container.namespace = Some(task.namespace.clone());
        }
    }
    for (id, pid) in inits(snapshot) {
        if let Some(container) = found.get_mut(id.as_str()) {
            container.init = Some(pid);
        }
    }
    let mut ended = Vec::new();
    for (id, name) in names {
        // The names that engines know come after those of bundles, and are better.
        match found.get_mut(id.as_str()) {
            Some(container) => container.name = Some(name),
            None => ended.push(Container { id, name: Some(name), ..Container::default() }),
        }
    }
    let mut containers: Vec<Container> = found.into_values().chain(ended).collect();
    containers.sort_by(|a, b| a.id.cmp(&b.id));
    containers
}

/// Shims and conmons: the parent of a container's process, or else the first that has its id among its arguments.
///
/// A pod's shim keeps several containers and has the name of one; an exec of podman has a conmon of its own.
fn keepers(snapshot: &Snapshot, found: &mut BTreeMap<&str, Container>) {
    for process in &snapshot.processes {
        let Some(container) = process.container.as_deref().and_then(|id| found.get_mut(id)) else { continue };
        let parent = snapshot.process(process.ppid);
        let keeper = parent.filter(|it| role::is_keeper(it));
        if let (None, Some(keeper)) = (container.shim, keeper) {
            container.shim = Some(keeper.pid);
        }
    }
    for process in &snapshot.processes {
        if !role::is_keeper(process) {
            continue;
        }
        let by_name =
            process.option("-id").or_else(|| process.option("-c")).or_else(|| process.option("--cid"));
        if let Some(container) = by_name.and_then(|id| found.get_mut(id)) {
            container.shim.get_or_insert(process.pid);
            if container.namespace.is_none() {
                container.namespace = process.option("-namespace").map(str::to_owned);
            }
        }
    }
}

/// Refusals of one kind become one line with a number.
fn summed_up(unseen: Vec<Unseen>) -> Vec<Unseen> {
    let mut kinds: BTreeMap<String, Vec<Unseen>> = BTreeMap::new();
    let mut rest = Vec::new();
    for one in unseen {
        let file = one.what.rsplit('/').next().unwrap_or_default().to_owned();
        match one.why {
            Why::Denied if one.what.starts_with("/proc/") => kinds.entry(file).or_default().push(one),
            _ if rest.contains(&one) => {}
            _ => rest.push(one),
        }
    }
    for (file, list) in kinds {
        if list.len() <= FEW {
            rest.extend(list);
        } else {
            rest.push(Unseen {
                what: format!("/proc/PID/{file} of {} processes", list.len()),
                why: Why::Denied,
            });
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Fd, Membership, Task};

    fn fd(number: i32, inode: u64, flags: u32) -> Fd {
        Fd { number, target: FdTarget::Pipe { inode }, flags: Some(flags), offset: None }
    }

    fn process(pid: i32) -> Process {
        Process { pid, ns_pids: vec![pid], ..Process::default() }
    }

    #[test]
    fn a_pipe_has_its_writer_and_its_reader() {
        let writer = Process { fds: vec![fd(2, 77, 1)], ..process(11) };
        let reader = Process { fds: vec![fd(5, 77, 0), fd(6, 78, 2)], ..process(10) };
        let mut snapshot = Snapshot { processes: vec![writer, reader], ..Snapshot::default() };
        processes(&mut snapshot);
        let pipe = snapshot.pipe(77).unwrap();
        assert_eq!(pipe.writers, [End { pid: 11, fd: 2 }]);
        assert_eq!(pipe.readers, [End { pid: 10, fd: 5 }]);
        let both = snapshot.pipe(78).unwrap();
        assert_eq!((both.writers.len(), both.readers.len()), (1, 1));
    }

    #[test]
    fn a_container_without_an_id_in_its_path_is_found_by_its_init() {
        let group = || vec![Membership { hierarchy: "pids".to_owned(), path: "/default/web".to_owned() }];
        let init = Process { cgroups: group(), ns_pids: vec![5, 1], ..process(5) };
        let other = Process { cgroups: group(), ns_pids: vec![6, 2], ..process(6) };
        let task =
            Task { namespace: "default".to_owned(), id: "web".to_owned(), init: Some(5), ..Task::default() };
        let snapshot = Snapshot { processes: vec![init, other], tasks: vec![task], ..Snapshot::default() };
        let snapshot = everything(snapshot, vec![("web".to_owned(), "shop".to_owned())]);
        let container = &snapshot.containers[0];
        assert_eq!((container.processes.as_slice(), container.init), ([5, 6].as_slice(), Some(5)));
        assert_eq!(
            (container.name.as_deref(), container.namespace.as_deref()),
            (Some("shop"), Some("default"))
        );
    }

    #[test]
    fn a_process_in_a_container_is_no_shim_whatever_it_is_called() {
        let words = |line: &str| Some(line.split(' ').map(str::to_owned).collect());
        let shim = |pid| Process { args: words("containerd-shim-runc-v2 -id victim"), ..process(pid) };
        let inside = |pid, ppid, id: &str| Process { ppid, container: Some(id.to_owned()), ..process(pid) };
        let liar = Process { container: Some("liar".to_owned()), ..shim(30) };
        let processes =
            vec![shim(10), inside(11, 10, "victim"), inside(20, 19, "liar"), liar, inside(31, 30, "liar")];
        let shims = |processes: Vec<Process>| {
            let snapshot = everything(Snapshot { processes, ..Snapshot::default() }, Vec::new());
            snapshot.containers.iter().map(|it| (it.id.clone(), it.shim)).collect::<Vec<_>>()
        };
        let row = |id: &str, shim| (id.to_owned(), shim);
        assert_eq!(shims(processes.clone()), [row("liar", None), row("victim", Some(10))]);
        let lost = processes.into_iter().filter(|it| it.pid != 10).collect();
        assert_eq!(shims(lost), [row("liar", None), row("victim", None)]);
    }

    #[test]
    fn the_parent_of_a_container_is_its_keeper_before_one_that_has_its_id() {
        let words = |line: &str| Some(line.split(' ').map(str::to_owned).collect());
        let conmon = |pid| Process { args: words("conmon -c one"), ..process(pid) };
        let init = Process { ppid: 50, container: Some("one".to_owned()), ..process(51) };
        let processes = vec![conmon(40), conmon(50), init, conmon(60)];
        let snapshot = everything(Snapshot { processes, ..Snapshot::default() }, Vec::new());
        assert_eq!(snapshot.containers[0].shim, Some(50));
    }

    #[test]
    fn many_refusals_are_one_line() {
        let denied = |pid: i32| Unseen { what: format!("/proc/{pid}/fd"), why: Why::Denied };
        let unseen = summed_up((0..50).map(denied).collect());
        assert_eq!(unseen, [Unseen { what: "/proc/PID/fd of 50 processes".to_owned(), why: Why::Denied }]);
    }
}
