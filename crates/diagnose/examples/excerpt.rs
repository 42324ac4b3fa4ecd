//! Cuts a recorded snapshot down to a fixture: `excerpt IN OUT PREFIX GROUP WORD...`.
//!
//! What stays: processes whose container or arguments begin with one of the words, everything below them, and the
//! daemons below `PREFIX`; of the rest of the node only what these have open or are limited by. `PREFIX`, the folder in
//! which the stack was staged, is cut off every path, the control group `GROUP` is called `docker`, any other group
//! `/system.slice`, and process 1 is systemd.

use std::collections::BTreeSet;
use std::io::{Error, Result};
use std::path::Path;

use diagnose::Snapshot;
use diagnose::saved::{encode, load};
use diagnose::snapshot::{Process, Role, UnixSocket};
use diagnose::view::View;

/// Threads of a process that stay; a Go program's others wait for work.
const MOST_THREADS: usize = 10;

/// The file systems that stay: what an exec leaves behind lies there.
const OF_EXECS: &[&str] = &["/run", "/tmp"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, prefix, group, words @ ..] = arguments.as_slice() else {
        return Err(Error::other("usage: excerpt IN OUT PREFIX GROUP WORD..."));
    };
    let mut snapshot = load(Path::new(input)).map_err(Error::other)?;
    let kept = kept(&View::of(&snapshot), prefix, words);
    cut(&mut snapshot, &kept);
    kills(&mut snapshot, group);
    anonymous(&mut snapshot);
    let others = groups_of_others(&snapshot, group);
    let text = serde_json::to_string(&snapshot)?.replace(prefix, "").replace(group, "docker");
    let text = others.iter().fold(text, |text, path| text.replace(path, "/system.slice"));
    let renamed: Snapshot = serde_json::from_str(&text)?;
    #[expect(clippy::disallowed_methods, reason = "the file that whoever calls this names")]
    std::fs::write(output, encode(&renamed)?)
}

/// Pids of the processes that stay.
fn kept(view: &View<'_>, prefix: &str, words: &[String]) -> BTreeSet<i32> {
    let named = |process: &Process| {
        if process.pid == 1 {
            return false;
        }
        let is_daemon = matches!(view.role(process.pid), Role::Engine | Role::Containerd);
        let says = |text: &str| process.args.iter().flatten().any(|argument| argument.contains(text));
        is_daemon && says(prefix)
            || words.iter().any(|word| {
                let pid = word.parse() == Ok(process.pid);
                pid || says(word) || process.container.as_ref().is_some_and(|id| id.starts_with(word))
            })
    };
    let all = &view.snapshot.processes;
    let named: Vec<&Process> = all.iter().filter(|process| named(process)).collect();
    let families = named.iter().flat_map(|process| match view.role(process.pid) {
        Role::Engine | Role::Containerd => vec![*process],
        _ => view.family(process),
    });
    families.map(|process| process.pid).chain([1]).collect()
}

fn cut(snapshot: &mut Snapshot, kept: &BTreeSet<i32>) {
    snapshot.processes.retain(|process| kept.contains(&process.pid));
    for pipe in &mut snapshot.pipes {
        pipe.readers.retain(|end| kept.contains(&end.pid));
        pipe.writers.retain(|end| kept.contains(&end.pid));
    }
    snapshot.pipes.retain(|pipe| !pipe.readers.is_empty() || !pipe.writers.is_empty());
    sockets(snapshot, kept);
    let ids: BTreeSet<&str> =
        snapshot.processes.iter().filter_map(|process| process.container.as_deref()).collect();
    let words: BTreeSet<&str> = snapshot
        .processes
        .iter()
        .flat_map(|process| process.args.iter().flatten().map(String::as_str))
        .collect();
    let stays = |id: &str| ids.contains(id) || words.contains(id);
    snapshot.containers.retain(|it| stays(&it.id) || it.name.as_deref().is_some_and(stays));
    snapshot.tasks.retain(|task| stays(&task.id));
    snapshot.runtime_states.retain(|state| stays(&state.id));
    let memberships: Vec<_> = snapshot.processes.iter().flat_map(|process| &process.cgroups).collect();
    snapshot.cgroups.retain(|group| memberships.iter().any(|it| group.holds(&it.hierarchy, &it.path)));
    let open: BTreeSet<u64> = snapshot
        .pipes
        .iter()
        .map(|pipe| pipe.inode)
        .chain(snapshot.sockets.iter().map(|socket| socket.inode))
        .collect();
    for process in &mut snapshot.processes {
        process.fds.retain(|fd| fd.pipe().or_else(|| fd.socket()).is_some_and(|inode| open.contains(&inode)));
        process.threads.truncate(MOST_THREADS);
    }
}

/// Of the kernel's log only what it said when it killed for memory in the group, to the table of its processes.
fn kills(snapshot: &mut Snapshot, group: &str) {
    let is_kill = |text: &str| text.starts_with("oom-kill:") && text.contains(group);
    let last = snapshot.kernel_log.iter().rposition(|line| is_kill(&line.text));
    let mut lines = snapshot.kernel_log.drain(..last.map_or(0, |at| at + 1)).collect::<Vec<_>>();
    let first = lines.iter().rposition(|line| line.text.starts_with("Tasks state")).unwrap_or(lines.len());
    snapshot.kernel_log = lines.split_off(first);
}

/// Sockets between two processes that stay, or at which one of them listens.
fn sockets(snapshot: &mut Snapshot, kept: &BTreeSet<i32>) {
    for socket in &mut snapshot.sockets {
        socket.owners.retain(|pid| kept.contains(pid));
    }
    let owned: BTreeSet<u64> =
        snapshot.sockets.iter().filter(|it| !it.owners.is_empty()).map(|it| it.inode).collect();
    let stays = |it: &UnixSocket| match it.peer {
        Some(peer) => owned.contains(&peer),
        None => it.path.is_some(),
    };
    snapshot.sockets.retain(|it| owned.contains(&it.inode) && stays(it));
}

/// The groups from which the stack was started: they tell of the session of whoever staged it.
fn groups_of_others(snapshot: &Snapshot, group: &str) -> BTreeSet<String> {
    let all = snapshot.processes.iter().flat_map(|process| &process.cgroups);
    all.map(|it| it.path.clone()).filter(|path| path != "/" && !path.contains(group)).collect()
}

/// Without what says which machine it was, and without what no rule reads.
fn anonymous(snapshot: &mut Snapshot) {
    "node".clone_into(&mut snapshot.host.name);
    snapshot.host.boot_id.clear();
    snapshot.mounts.retain(|mount| mount.fuse_waiting > Some(0) || mount.options.contains("emergency_ro"));
    let mounts = &snapshot.mounts;
    let is_below = |path: &str| mounts.iter().any(|mount| path.starts_with(&mount.mount_point));
    let stays = |path: &str| OF_EXECS.contains(&path) || is_below(path);
    snapshot.host.file_systems.retain(|system| stays(&system.path));
    let kernel = snapshot.host.kernel.split('-').next().unwrap_or_default().to_owned();
    snapshot.host.kernel = kernel;
    snapshot.logs.clear();
    snapshot.units.clear();
    snapshot.configurations.clear();
    snapshot.unseen.retain(|it| it.what.starts_with("processes: "));
    for process in &mut snapshot.processes {
        if process.pid == 1 {
            "systemd".clone_into(&mut process.comm);
            process.args = Some(vec!["/sbin/init".to_owned()]);
            process.threads.truncate(1);
        }
        process.environment.clear();
        // Of a shim it is the directory of its task; of others, where somebody happened to stand.
        process.cwd.take_if(|cwd| !cwd.contains("/io.containerd."));
    }
}
