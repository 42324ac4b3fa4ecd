//! From two looks to the reasons for a whole snapshot. Pure.
//!
//! A suspicion is no finding: it only says that looking closer is worth its price. It has a key, so that one which
//! turned out to be nothing is not looked into again and again.

use std::collections::BTreeSet;

use crate::collect::look::{Door, Look, Outline};

/// A runtime's command is done within this, unless something holds it up. Milliseconds.
const COMMAND_MS: u64 = 4_000;

/// One that waits for something in peace is told of after this, so it is looked at once more. Milliseconds.
const LONG_MS: u64 = 10_500;

/// A client that asks for longer than this may be waiting in vain, or follow a log. Milliseconds.
const CLIENT_MS: u64 = 10_000;

/// So many such clients are a queue.
const CLIENTS: usize = 3;

/// So many connections that nobody took are a door that nobody opens.
const QUEUE: u32 = 4;

/// Names of low-level runtimes, as the kernel has them.
const RUNTIMES: &[&str] = &["runc", "crun", "youki", "sluice", "docker-runc"];

/// Names of programs that ask.
const ASKING: &[&str] = &["docker", "ctr", "crictl", "nerdctl"];

/// Names of daemons that must not vanish.
const DAEMONS: &[&str] = &["dockerd", "containerd", "crio", "kubelet"];

/// A reason for looking closer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspicion {
    /// The same in every look at the same thing.
    pub key: String,
    /// The process it is about.
    pub pid: Option<i32>,
}

impl Suspicion {
    fn of(what: &str, process: &Outline) -> Self {
        Self { key: format!("{what} {} {}", process.pid, process.started_ms), pid: Some(process.pid) }
    }

    fn about(what: &str, place: &str) -> Self {
        Self { key: format!("{what} {place}"), pid: None }
    }
}

/// What is suspicious now, in the light of the look before; sorted.
#[must_use]
pub fn suspicions(before: &Look, now: &Look) -> Vec<Suspicion> {
    let mut found = Vec::new();
    processes(before, now, &mut found);
    lost(before, now, &mut found);
    places(before, now, &mut found);
    found.sort();
    found.dedup();
    found
}

fn processes(before: &Look, now: &Look, found: &mut Vec<Suspicion>) {
    let mut waiting: Vec<&Outline> = Vec::new();
    for process in &now.processes {
        let age = now.since_boot_ms.saturating_sub(process.started_ms);
        let is_stage = process.comm.starts_with("runc:[");
        if (is_stage || RUNTIMES.contains(&process.comm.as_str())) && age >= COMMAND_MS {
            found.push(Suspicion::of("runtime", process));
        }
        // The wrapper of a runtime has any name, but it is on the host, and a container's process is not.
        if process.inside == Some(false) && age >= COMMAND_MS {
            found.push(Suspicion::of("command", process));
        }
        if process.inside == Some(false) && age >= LONG_MS {
            found.push(Suspicion::of("long command", process));
        }
        if matches!(process.state, 'T' | 't') && (is_daemon(process) || process.is_keeper()) {
            found.push(Suspicion::of("stopped", process));
        }
        if process.state == 'D' && same(before, process).is_some_and(|it| it.state == 'D') {
            found.push(Suspicion::of("sleep", process));
        }
        if is_half_dead(process) && same(before, process).is_some_and(is_half_dead) {
            found.push(Suspicion::of("half dead", process));
        }
        if is_client(process) && age >= CLIENT_MS {
            waiting.push(process);
        }
    }
    if waiting.len() >= CLIENTS {
        found.push(Suspicion::about("clients", &(waiting.len() / CLIENTS).ilog2().to_string()));
    }
}

/// Whether its first thread has ended and others have not. So does every program with threads look while it ends.
fn is_half_dead(process: &Outline) -> bool {
    process.state == 'Z' && process.threads > 1
}

/// Daemons that are gone, and shims that are gone while their children live.
fn lost(before: &Look, now: &Look, found: &mut Vec<Suspicion>) {
    for process in before.processes.iter().filter(|process| same(now, process).is_none()) {
        let orphans = || before.processes.iter().any(|it| it.ppid == process.pid && same(now, it).is_some());
        if is_daemon(process) && !is_replaced(process, before, now) || process.is_keeper() && orphans() {
            found.push(Suspicion::of("lost", process));
        }
    }
}

/// Whether it was restarted and listens again: as many daemons of this name are there as before, no door is gone, and no
/// client that may have asked the one before still waits. One that listens and does no more lets a queue grow.
fn is_replaced(daemon: &Outline, before: &Look, now: &Look) -> bool {
    let count = |look: &Look| look.processes.iter().filter(|it| it.comm == daemon.comm).count();
    let open: BTreeSet<&str> = now.doors.iter().map(|door| door.path.as_str()).collect();
    let is_open = |door: &Door| open.contains(door.path.as_str());
    let waits = |it: &Outline| is_client(it) && same(now, it).is_some();
    count(now) >= count(before)
        && before.doors.iter().filter(|door| is_lasting(door)).all(is_open)
        && !before.processes.iter().any(waits)
}

fn is_client(process: &Outline) -> bool {
    ASKING.contains(&process.comm.as_str())
}

/// Compat: dockerd gives the socket for its network proxies another name at each start (libnetwork, `sandbox_externalkey_unix.go`).
fn is_lasting(door: &Door) -> bool {
    !door.path.contains("/libnetwork/")
}

fn places(before: &Look, now: &Look, found: &mut Vec<Suspicion>) {
    for level in &now.groups {
        let former = before.groups.iter().find(|it| it.directory == level.directory);
        if level.pids_full {
            found.push(Suspicion::about("pids", &level.directory));
        }
        if level.under_oom {
            found.push(Suspicion::about("memory", &level.directory));
        }
        if level.frozen && former.is_some_and(|it| it.frozen) {
            found.push(Suspicion::about("frozen", &level.directory));
        }
        if former.is_some_and(|it| it.refused < level.refused) {
            found.push(Suspicion::about("refused", &level.directory));
        }
    }
    // A daemon that is being started takes nothing for a moment.
    for path in shut(now).intersection(&shut(before)) {
        found.push(Suspicion::about("door", path));
    }
    for (path, size, modified) in &now.states {
        let former = before.states.iter().find(|it| it.0 == *path);
        if *size == 0 || former.is_some_and(|it| it.2 != *modified) {
            found.push(Suspicion::about("state", path));
        }
    }
}

/// Sockets before which connections wait.
fn shut(look: &Look) -> BTreeSet<&str> {
    look.doors.iter().filter(|door| door.queue >= QUEUE).map(|door| door.path.as_str()).collect()
}

fn is_daemon(process: &Outline) -> bool {
    DAEMONS.contains(&process.comm.as_str())
}

fn find(look: &Look, pid: i32) -> Option<&Outline> {
    look.processes.binary_search_by_key(&pid, |it| it.pid).ok().map(|at| &look.processes[at])
}

fn same<'a>(look: &'a Look, process: &Outline) -> Option<&'a Outline> {
    find(look, process.pid).filter(|it| it.started_ms == process.started_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::look::Level;

    fn process(pid: i32, ppid: i32, comm: &str, started_ms: u64) -> Outline {
        Outline { pid, ppid, comm: comm.to_owned(), state: 'S', threads: 1, started_ms, inside: None }
    }

    fn look(processes: Vec<Outline>) -> Look {
        Look { since_boot_ms: 100_000, processes, ..Look::default() }
    }

    fn keys(before: &Look, now: &Look) -> Vec<String> {
        suspicions(before, now).into_iter().map(|it| it.key).collect()
    }

    fn node() -> Vec<Outline> {
        vec![
            process(1, 0, "systemd", 0),
            process(2, 1, "containerd", 1_000),
            process(3, 1, "dockerd", 1_000),
            process(4, 1, "containerd-shim", 2_000),
            process(5, 4, "redis-server", 2_000),
        ]
    }

    #[test]
    fn a_healthy_node_is_not_suspicious() {
        let mut now = node();
        now.push(process(9, 4, "runc", 99_000));
        assert_eq!(keys(&look(node()), &look(now)), Vec::<String>::new());
    }

    #[test]
    fn a_runtime_that_takes_long_is() {
        let mut now = node();
        now.push(process(9, 4, "runc", 90_000));
        assert_eq!(keys(&look(node()), &look(now)), ["runtime 9 90000"]);
    }

    #[test]
    fn a_wrapper_below_a_shim_is_told_from_a_container() {
        let mut now = node();
        now[4].inside = Some(true);
        now.push(Outline { inside: Some(false), ..process(9, 4, "runc-flood", 90_000) });
        assert_eq!(keys(&look(node()), &look(now)), ["command 9 90000"]);
    }

    #[test]
    fn a_wrapper_that_stays_is_looked_at_once_more() {
        let mut wrapper = process(41, 20, "runc-wrapper", 60_000);
        wrapper.inside = Some(false);
        let mut processes = node();
        processes.push(wrapper);
        let at = |since_boot_ms| Look { since_boot_ms, ..look(processes.clone()) };
        assert_eq!(keys(&at(65_000), &at(65_000)), ["command 41 60000"]);
        assert_eq!(keys(&at(71_000), &at(71_000)), ["command 41 60000", "long command 41 60000"]);
    }

    #[test]
    fn a_daemon_that_is_stopped_is_and_a_program_in_a_container_is_not() {
        let stopped = |name: &str| {
            let mut processes = node();
            processes.iter_mut().filter(|it| it.comm == name).for_each(|it| it.state = 'T');
            keys(&look(node()), &look(processes)).len()
        };
        assert_eq!(["containerd", "containerd-shim", "redis-server"].map(stopped), [1, 1, 0]);
    }

    #[test]
    fn one_moment_of_uninterruptible_sleep_is_nothing() {
        let mut asleep = node();
        asleep[4].state = 'D';
        assert_eq!(keys(&look(node()), &look(asleep.clone())), Vec::<String>::new());
        assert_eq!(keys(&look(asleep.clone()), &look(asleep)), ["sleep 5 2000"]);
    }

    #[test]
    fn a_shim_that_leaves_its_children_is_missed() {
        let mut now = node();
        now.remove(3);
        now[3].ppid = 1;
        assert_eq!(keys(&look(node()), &look(now)), ["lost 4 2000"]);
        let mut ended = node();
        ended.truncate(3);
        assert_eq!(keys(&look(node()), &look(ended)), Vec::<String>::new());
    }

    #[test]
    fn a_process_that_is_ending_is_nothing() {
        let mut ending = node();
        ending.push(Outline { state: 'Z', threads: 5, ..process(9, 4, "runc", 99_000) });
        assert_eq!(keys(&look(node()), &look(ending.clone())), Vec::<String>::new());
        assert_eq!(keys(&look(ending.clone()), &look(ending)), ["half dead 9 99000"]);
    }

    #[test]
    fn a_daemon_that_was_restarted_is_missed_until_it_listens() {
        let door = |path: &str| Door { path: path.to_owned(), queue: 0 };
        let with = |processes: Vec<Outline>, doors| Look { doors, ..look(processes) };
        let both = || vec![door("/run/containerd/containerd.sock"), door("/run/docker.sock")];
        let before = with(node(), [both(), vec![door("/run/docker/libnetwork/5d0c.sock")]].concat());
        let mut restarted = node();
        restarted[2] = process(9, 1, "dockerd", 99_000);
        assert_eq!(keys(&before, &with(restarted.clone(), both())), Vec::<String>::new());
        let closed = with(restarted.clone(), vec![door("/run/containerd/containerd.sock")]);
        assert_eq!(keys(&before, &closed), ["lost 3 1000"], "nobody listens");
        let client = process(20, 1, "docker", 98_000);
        let waiting =
            Look { processes: [before.processes.clone(), vec![client.clone()]].concat(), ..before.clone() };
        restarted.push(client);
        assert_eq!(keys(&waiting, &with(restarted.clone(), both())), ["lost 3 1000"], "nobody answers");
        restarted.pop();
        restarted[2].comm = "containerd".to_owned();
        assert_eq!(keys(&before, &with(restarted, both())), ["lost 3 1000"], "another daemon");
    }

    #[test]
    fn a_queue_before_a_daemon_that_starts_is_nothing() {
        let queue =
            Look { doors: vec![Door { path: "/run/docker.sock".to_owned(), queue: 9 }], ..look(node()) };
        assert_eq!(keys(&look(node()), &queue), Vec::<String>::new());
        assert_eq!(keys(&queue, &queue.clone()), ["door /run/docker.sock"]);
        let served =
            Look { doors: vec![Door { path: "/run/docker.sock".to_owned(), queue: 3 }], ..look(node()) };
        assert_eq!(keys(&queue, &served), Vec::<String>::new());
    }

    #[test]
    fn limits_and_state_files() {
        let level = |refused| Level { directory: "/g".to_owned(), refused, ..Level::default() };
        let before = Look { groups: vec![level(3)], states: vec![("/s".to_owned(), 9, 1)], ..look(node()) };
        let same = before.clone();
        assert_eq!(keys(&before, &same), Vec::<String>::new());
        let now = Look {
            groups: vec![Level { pids_full: true, ..level(4) }],
            states: vec![("/s".to_owned(), 9, 2)],
            ..look(node())
        };
        assert_eq!(keys(&before, &now), ["pids /g", "refused /g", "state /s"]);
    }
}
