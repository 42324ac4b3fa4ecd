//! Each rule with the real trouble, and with something that only looks like it.
//!
//! `fixtures/rules/NAME.snapshot` was recorded with `sluice-doctor snapshot --save` while the trouble was staged with
//! Debian 12's dockerd 20.10, containerd 1.6 and runc 1.1 on cgroup v1, or on v2 with systemd (`*.v2`), and cut down
//! with `examples/excerpt.rs`. `fips` and `known_bad` are of a guest booted with `fips=1`, in whose package database a
//! package without files has the name and the version of a build that is long gone; such builds also come as a
//! listing, as people print it: `NAME.txt`.
//!
//! Two troubles have no recording. A process that a v1 freezer forgot (EX-11): whoever freezes and whoever falls asleep
//! look at the group under one lock (`freezer_lock` in kernel/freezer.c), and whoever joins is looked at again under
//! another (`freezer_mutex`), so that there is no order of steps that stages it. On Linux 6.18 neither 4,000 processes
//! that joined a group which was frozen and thawed all the time were left behind, nor 1,300 execs of runc 1.1 beside
//! `runc pause` and `runc resume`. A recorded frozen one is changed to what was reported of those. A host without
//! room for tasks: its limits are those of everybody else on the machine, so a recorded one is changed too.

use std::collections::BTreeSet;
use std::path::Path;

use diagnose::Snapshot;
use diagnose::diagnose::diagnose;
use diagnose::finding::{Finding, Severity};
use diagnose::rules::RULES;
use diagnose::snapshot::cgroup::FreezerState;
use diagnose::snapshot::process::Namespaces;
use diagnose::snapshot::socket::SocketState;
use diagnose::snapshot::{Configuration, Container, KernelLine, Mount, Process, UnixSocket, Why};
use diagnose::view::View;

/// A recorded node, or a listing.
type Seen = fn() -> Snapshot;

/// The trouble, and how it is to be named.
struct Positive {
    rule: &'static str,
    seen: Seen,
    class: &'static str,
    blocker: &'static str,
}

/// What looks like the trouble of a rule, and why it is none.
struct NearMiss {
    rule: &'static str,
    seen: Seen,
    because: &'static str,
}

macro_rules! snapshot {
    ($name:literal) => {
        || {
            let bytes = include_bytes!(concat!("../fixtures/rules/", $name, ".snapshot"));
            diagnose::saved::decode(bytes, Path::new($name)).unwrap()
        }
    };
}

macro_rules! listing {
    ($name:literal) => {
        || diagnose::listing::import([include_str!(concat!("../fixtures/", $name, ".txt"))])
    };
}

const fn positive(rule: &'static str, seen: Seen, class: &'static str, blocker: &'static str) -> Positive {
    Positive { rule, seen, class, blocker }
}

const fn near(rule: &'static str, seen: Seen, because: &'static str) -> NearMiss {
    NearMiss { rule, seen, because }
}

const POSITIVES: &[Positive] = &[
    positive("blocked_restart", snapshot!("blocked_restart"), "IN-07", "head"),
    positive("broken_disk", snapshot!("broken_disk"), "", "/dev/loop0"),
    positive("containerd_gone", snapshot!("containerd_gone"), "IN-02", "containerd"),
    positive("d_state_helper", snapshot!("d_state_helper"), "DE-01", "runc-logging"),
    positive("d_state_helper", snapshot!("d_state_helper.killed"), "DE-01", "sh"),
    positive("engine_gone", snapshot!("engine_gone"), "LO-01", "dockerd"),
    positive("engine_gone", snapshot!("engine_gone.exec"), "EX-29", "dockerd"),
    positive("engine_gone", snapshot!("engine_gone.other"), "EX-29", "dockerd"),
    positive("exec_storm", snapshot!("exec_storm"), "EX-42", "processors"),
    positive("fips", snapshot!("fips"), "EX-39", "FIPS mode"),
    positive("fips", listing!("rules/fips"), "EX-39", "FIPS mode"),
    positive("frozen_exec", snapshot!("frozen_exec"), "EX-10", "runc:[2:INIT]"),
    positive("full_pipe", snapshot!("full_pipe"), "EX-03", "head"),
    positive("full_pipe", snapshot!("full_pipe.stopped"), "LO-01", "dockerd"),
    positive("held_stdout", snapshot!("held_stdout"), "EX-26", "sleep"),
    positive("host_limits", snapshot!("host_limits.fork"), "EX-04", "fork"),
    positive("host_limits", snapshot!("host_limits"), "EX-18", "kernel.keys.maxkeys"),
    positive("host_limits", snapshot!("host_limits"), "EX-24", "inodes"),
    positive("host_limits", snapshot!("host_limits"), "NO-03", "RLIMIT_NOFILE"),
    positive("host_limits", snapshot!("host_limits"), "ST-11", "fs.inotify.max_user_instances"),
    positive("idle_shim", snapshot!("idle_shim"), "DE-06", "containerd-shim-runc-v2"),
    positive("idle_shim", snapshot!("idle_shim.stuck"), "IN-06", "containerd-shim-runc-v2"),
    positive("known_bad", snapshot!("known_bad"), "EX-23", ""),
    positive("known_bad", listing!("report-000"), "EX-39", ""),
    positive("lost_exec_client", snapshot!("lost_exec_client"), "IN-05", "dockerd"),
    positive("lost_shim", snapshot!("lost_shim"), "IN-05", "sleep"),
    positive("memory_limit", snapshot!("memory_limit"), "EX-45", "memory limit"),
    positive("memory_limit", snapshot!("memory_limit.parent"), "EX-45", "memory limit"),
    positive("memory_limit", snapshot!("memory_limit.start.v2"), "ST-01", "memory limit"),
    positive("oom_killer_off", snapshot!("oom_killer_off"), "EX-50", "runc:[2:INIT]"),
    positive("pids_limit", snapshot!("pids_limit"), "EX-04", "pids.max"),
    positive("pids_limit", snapshot!("pids_limit.service.v2"), "EX-04", "pids.max"),
    positive("probes_pile_up", snapshot!("held_stdout"), "EX-27", "sleep"),
    positive("probes_pile_up", snapshot!("probes_pile_up.zombies"), "EX-28", "sleep"),
    positive("slow_plugin", snapshot!("slow_plugin"), "", "sleep"),
    positive("slow_runtime", snapshot!("slow_runtime"), "", "sleep"),
    positive("slow_runtime", snapshot!("slow_runtime.podman"), "", "sleep"),
    positive("stopped_client", snapshot!("stopped_client"), "LO-01", "docker"),
    positive("stopped_daemon", snapshot!("stopped_daemon"), "IN-02", "containerd"),
    positive("stopped_daemon", snapshot!("full_pipe.stopped"), "IN-02", "dockerd"),
    positive("stale_runc_init", snapshot!("stale_runc_init"), "ST-12", "runc:[2:INIT]"),
    positive("torn_state", snapshot!("torn_state"), "EX-01", STATE),
    positive("unnoticed_end", unnoticed_for_long, "DE-09", "dockerd"),
    positive("waiting_clients", snapshot!("waiting_clients"), "IN-03", "head"),
];

/// The file that is torn.
const STATE: &str = "/run/docker/runtime-runc/moby/11219a4fd08a14728015f25037b3dc91bf4a10b95641b2b5251e7988329ff676/state.json";

const NEAR_MISSES: &[NearMiss] = &[
    near("blocked_restart", snapshot!("blocked_restart.near"), "the engine itself is stopped by a signal"),
    near("broken_disk", mounted_read_only, "whoever mounted it wants it so"),
    near("broken_disk", overlay_without_upper, "nobody can write to it by its nature"),
    near("broken_disk", remounted_read_only, "an admin wants it so, and a bind of it does not say that"),
    near(
        "d_state_helper",
        snapshot!("d_state_helper.near"),
        "the container's own program sleeps, and nobody has killed it",
    ),
    near("engine_gone", snapshot!("full_pipe.near"), "dockerd is there"),
    near("containerd_gone", snapshot!("engine_gone"), "it is dockerd that is gone"),
    near("exec_storm", snapshot!("exec_storm.near"), "the execs have started and run in the foreground"),
    near("fips", snapshot!("fips.near"), "FIPS mode, and Debian's docker.io"),
    near("fips", listing!("rules/fips.near"), "this build is older than the defect"),
    near("frozen_exec", snapshot!("frozen_exec.near"), "a paused container without an exec"),
    near(
        "full_pipe",
        snapshot!("full_pipe.near"),
        "`yes | sleep` in a container: the reader may read any time",
    ),
    near("held_stdout", snapshot!("held_stdout.near"), "nobody reads the held pipe any more"),
    near("host_limits", snapshot!("host_limits.near"), "half of each limit is taken"),
    near("idle_shim", snapshot!("idle_shim.near"), "the task has ended and nobody has deleted it yet"),
    near("known_bad", snapshot!("full_pipe.near"), "versions of Debian 12"),
    near("lost_exec_client", snapshot!("lost_exec_client.near"), "the exec's container lives"),
    near("lost_shim", snapshot!("stale_runc_init.near"), "made by runc alone: there never was a shim"),
    near("memory_limit", snapshot!("memory_limit.near"), "the page cache fills the group; nobody was killed"),
    near("oom_killer_off", snapshot!("oom_killer_off.near"), "the killer is off, and there is memory"),
    near("pids_limit", snapshot!("pids_limit.near"), "21 of 40 places are taken"),
    near("probes_pile_up", snapshot!("probes_pile_up.near"), "workers that init itself started one by one"),
    near("slow_plugin", young_plugin, "an address takes some seconds"),
    near("slow_runtime", snapshot!("slow_plugin"), "it is a network plugin that podman waits for"),
    near("slow_runtime", snapshot!("slow_runtime.near"), "the exec has just begun"),
    near("slow_runtime", snapshot!("full_pipe"), "a full pipe keeps it"),
    near("slow_runtime", snapshot!("frozen_exec"), "the freezer keeps it"),
    near("slow_runtime", snapshot!("d_state_helper"), "the kernel keeps it"),
    near("slow_runtime", snapshot!("exec_storm"), "many, and none of them for long"),
    near(
        "stopped_client",
        snapshot!("stopped_client.near"),
        "a stopped client to which nobody sends anything",
    ),
    near("stopped_daemon", snapshot!("slow_runtime.near"), "a container's program is stopped, no daemon"),
    near("stale_runc_init", snapshot!("stale_runc_init.near"), "created some seconds ago, to be started"),
    near("torn_state", snapshot!("d_state_helper"), "its state is whole"),
    near("unnoticed_end", snapshot!("unnoticed_end.near"), "the container takes its time to end"),
    near("waiting_clients", snapshot!("waiting_clients.near"), "`docker stats` stays until it is ended"),
];

/// A file system like that of `broken_disk`, mounted read-only on purpose.
fn mounted_read_only() -> Snapshot {
    let mut snapshot = snapshot!("broken_disk")();
    for mount in &mut snapshot.mounts {
        mount.options = mount.options.replace("rw,", "ro,").replace("emergency_ro", "ro");
    }
    snapshot
}

/// An overlay of nothing but lower folders in place of the file system of `broken_disk`.
fn overlay_without_upper() -> Snapshot {
    let mut snapshot = with_options("rw,relatime,ro,lowerdir=/a:/b,errors=remount-ro");
    let mount = &mut snapshot.mounts[0];
    (mount.fs_type, mount.source, mount.device) = ("overlay".into(), "overlay".into(), "0:51".into());
    snapshot
}

/// The file system of `broken_disk` with a bind of which the origin was remounted read-only, after an error long ago.
fn remounted_read_only() -> Snapshot {
    let mut snapshot = with_options("rw,relatime,ro,errors=remount-ro");
    let mut origin = snapshot.mounts[0].clone();
    (origin.mount_point, origin.options) = ("/origin".into(), "ro,relatime,ro,errors=remount-ro".into());
    snapshot.mounts.insert(0, origin);
    snapshot.kernel_log = vec![
        kernel_line(2, "EXT4-fs error (device loop0): trigger_test_error:129: comm bash: 1"),
        kernel_line(6, "EXT4-fs (loop0): re-mounted. Opts: (null)"),
    ];
    snapshot
}

/// The node of `broken_disk`, whose file system has these options.
fn with_options(options: &str) -> Snapshot {
    let mut snapshot = snapshot!("broken_disk")();
    snapshot.mounts[0].options = options.into();
    snapshot
}

fn kernel_line(level: u8, text: &str) -> KernelLine {
    KernelLine { at_us: 1, level, text: text.into() }
}

/// The plugin of `slow_plugin` before it has waited for long.
fn young_plugin() -> Snapshot {
    let mut snapshot = snapshot!("slow_plugin")();
    let plugin = pid_of(&snapshot, "bridge");
    age(&mut snapshot, plugin, 29);
    snapshot
}

/// The `docker stop -t 1` of `unnoticed_end`, recorded after thirteen seconds, some minutes later.
fn unnoticed_for_long() -> Snapshot {
    let mut snapshot = snapshot!("unnoticed_end")();
    let client = pid_of(&snapshot, "docker");
    age(&mut snapshot, client, 200);
    snapshot
}

fn pid_of(snapshot: &Snapshot, comm: &str) -> i32 {
    snapshot.processes.iter().find(|process| process.comm == comm).map_or(0, |process| process.pid)
}

fn process_mut<'a>(snapshot: &'a mut Snapshot, comm: &str) -> Option<&'a mut Process> {
    snapshot.processes.iter_mut().find(|process| process.comm == comm)
}

fn found(snapshot: &Snapshot, rule: &str) -> Vec<Finding> {
    let view = View::of(snapshot);
    RULES.iter().filter(|known| known.name == rule).flat_map(|known| (known.check)(&view)).collect()
}

/// One finding, and its blocker's name.
fn one(snapshot: &Snapshot, rule: &str) -> (Finding, String) {
    let mut findings = found(snapshot, rule);
    assert_eq!(findings.len(), 1, "{rule}: {findings:#?}");
    let finding = findings.remove(0);
    let name = finding.blocker.as_ref().map(|blocker| blocker.name.clone()).unwrap_or_default();
    (finding, name)
}

#[test]
fn no_recording_says_on_which_machine_it_was_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rules");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|it| it == "snapshot")) {
        let snapshot = diagnose::saved::load(&path).unwrap();
        let name = path.display();
        assert_eq!(snapshot.host.name, "node", "{name}");
        for process in &snapshot.processes {
            assert!(process.pid != 1 || process.comm == "systemd", "{name}: {process:?}");
            let is_plain = |it: &str| it == "/" || it.starts_with("/docker") || it == "/system.slice";
            assert!(process.cgroups.iter().all(|it| is_plain(&it.path)), "{name}: {:?}", process.cgroups);
        }
    }
}

#[test]
fn every_rule_has_a_positive_and_a_near_miss() {
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    let positives: BTreeSet<&str> = POSITIVES.iter().map(|case| case.rule).collect();
    let near_misses: BTreeSet<&str> = NEAR_MISSES.iter().map(|case| case.rule).collect();
    assert_eq!(positives, all);
    assert_eq!(near_misses, all);
}

#[test]
fn each_trouble_is_named_with_its_class_and_its_blocker() {
    for case in POSITIVES {
        let findings = found(&(case.seen)(), case.rule);
        let named = |finding: &&Finding| {
            let blocker = finding.blocker.as_ref().map_or("", |blocker| &blocker.name);
            finding.class.as_deref().unwrap_or_default() == case.class && blocker == case.blocker
        };
        assert_eq!(findings.iter().filter(named).count(), 1, "{} {}: {findings:#?}", case.rule, case.class);
    }
}

#[test]
fn what_only_looks_like_the_trouble_is_none() {
    for case in NEAR_MISSES {
        let seen = (case.seen)();
        assert!(!seen.processes.is_empty() || !seen.packages.is_empty(), "{}: nothing was seen", case.rule);
        assert_eq!(found(&seen, case.rule), [], "{}: {}", case.rule, case.because);
    }
}

#[test]
fn what_was_recorded_stays_the_same_when_it_is_kept_again() {
    for case in POSITIVES {
        let seen = (case.seen)();
        let again = diagnose::saved::decode(&diagnose::saved::encode(&seen).unwrap(), Path::new(case.rule));
        assert_eq!(found(&again.unwrap(), case.rule), found(&seen, case.rule), "{}", case.rule);
    }
}

#[test]
fn a_full_pipe_needs_a_reader_that_waits_for_the_writer() {
    let mut snapshot = snapshot!("full_pipe")();
    let room = snapshot.pipes.iter_mut().find(|pipe| pipe.bytes > Some(60_000)).unwrap();
    room.bytes = Some(1000);
    assert_eq!(found(&snapshot, "full_pipe"), Vec::new(), "a pipe with room");
    let full = snapshot.pipes.iter_mut().find(|pipe| pipe.bytes == Some(1000)).unwrap();
    full.bytes = full.capacity;
    let engine = snapshot.processes.iter().find(|process| process.comm == "dockerd").unwrap().pid;
    full.readers.iter_mut().for_each(|end| end.pid = engine);
    assert_eq!(found(&snapshot, "full_pipe"), Vec::new(), "a reader that waits for nobody");
}

#[test]
fn a_reader_behind_a_shim_has_to_stand_still() {
    let mut snapshot = snapshot!("full_pipe.stopped")();
    let (finding, _) = one(&snapshot, "full_pipe");
    assert_eq!(finding.remedies[0].name, "continue");
    let engine = finding.blocker.unwrap().pid.unwrap();
    let dockerd = snapshot.processes.iter_mut().find(|it| it.pid == engine).unwrap();
    assert_eq!(std::mem::replace(&mut dockerd.state, 'S'), 'T');
    assert_eq!(found(&snapshot, "full_pipe"), Vec::new(), "a flood that dockerd takes as fast as it can");
}

#[test]
fn a_start_is_not_killed_where_somebody_else_was() {
    let (mut log, mut later) = (snapshot!("memory_limit.start.v2")(), snapshot!("memory_limit.start.v2")());
    let row = log.kernel_log.iter().position(|line| line.text.ends_with("runc:[2:INIT]")).unwrap();
    let mut other = log.kernel_log[row].clone();
    other.text = other.text.replace("runc:[2:INIT]", "redis");
    log.kernel_log.insert(row, other);
    assert_eq!(found(&log, "memory_limit"), Vec::new(), "an exec's helper in a container that runs");
    later.taken.since_boot_ms += 3_600_000;
    assert_eq!(found(&later, "memory_limit"), Vec::new(), "an hour ago");
}

#[test]
fn a_process_that_the_freezer_forgot_is_no_paused_one() {
    let mut snapshot = snapshot!("frozen_exec")();
    let (frozen, _) = one(&snapshot, "frozen_exec");
    let helper = frozen.blocker.unwrap().pid.unwrap();
    for freezer in snapshot.cgroups.iter_mut().filter_map(|group| group.freezer.as_mut()) {
        (freezer.state, freezer.by_itself) = (FreezerState::Thawed, false);
    }
    let process = snapshot.processes.iter_mut().find(|it| it.pid == helper).unwrap();
    process.state = 'D';
    process.threads[0].state = 'D';
    process.threads[0].wchan = Some("__refrigerator".into());
    age(&mut snapshot, helper, 5);
    assert_eq!(found(&snapshot, "frozen_exec"), Vec::new(), "a thaw that is on its way");
    age(&mut snapshot, helper, 60);
    let (finding, blocker) = one(&snapshot, "frozen_exec");
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("EX-11"), "runc:[2:INIT]"));
    assert_eq!(found(&snapshot, "d_state_helper"), Vec::new(), "told once");
}

#[test]
fn a_queue_needs_clients_that_ask_about_the_same_container() {
    let mut snapshot = snapshot!("waiting_clients")();
    for process in snapshot.processes.iter_mut().filter(|process| process.comm == "docker") {
        process.args = Some(vec!["docker".into(), "inspect".into(), "another".into()]);
    }
    assert_eq!(found(&snapshot, "waiting_clients"), Vec::new());
}

#[test]
fn slow_answers_of_an_overloaded_node_are_no_queue() {
    let mut snapshot = snapshot!("waiting_clients")();
    let blocker = one(&snapshot, "waiting_clients").0.blocker.unwrap().pid.unwrap();
    let clients: Vec<i32> =
        snapshot.processes.iter().filter(|it| it.comm == "docker").map(|it| it.pid).collect();
    clients.iter().for_each(|pid| age(&mut snapshot, *pid, 4));
    age(&mut snapshot, blocker, 3);
    assert_eq!(found(&snapshot, "waiting_clients"), Vec::new(), "they came before the runtime's process did");
    age(&mut snapshot, blocker, 5);
    assert_eq!(found(&snapshot, "waiting_clients").len(), 1, "it was there before them");
    age(&mut snapshot, blocker, 3);
    clients.iter().for_each(|pid| age(&mut snapshot, *pid, 15));
    assert_eq!(found(&snapshot, "waiting_clients").len(), 1, "no overload takes that long");
}

/// A node on which dockerd runs and has no connection; the pids of dockerd and containerd.
fn disconnected() -> (Snapshot, i32, i32) {
    let mut snapshot = snapshot!("full_pipe.near")();
    assert_eq!(found(&snapshot, "engine_gone"), Vec::new(), "dockerd is there");
    let pid = |comm: &str| snapshot.processes.iter().find(|it| it.comm == comm).map_or(0, |it| it.pid);
    let (engine, containerd) = (pid("dockerd"), pid("containerd"));
    assert!(engine > 0 && containerd > 0, "both are recorded");
    snapshot.sockets.retain(|socket| !socket.owners.contains(&engine));
    age(&mut snapshot, engine, 600);
    age(&mut snapshot, containerd, 600);
    (snapshot, engine, containerd)
}

/// Lets a process have started so long ago.
fn age(snapshot: &mut Snapshot, pid: i32, seconds: u64) {
    snapshot.taken.since_boot_ms = snapshot.taken.since_boot_ms.max(3_600_000);
    let started_ms = snapshot.taken.since_boot_ms - seconds * 1000;
    let start_time = started_ms * snapshot.taken.ticks_per_second / 1000;
    let processes = snapshot.processes.iter_mut().filter(|process| process.pid == pid);
    processes.for_each(|process| process.start_time = start_time);
}

#[test]
fn an_engine_on_its_way_is_not_missing() {
    let (mut started, engine, _) = disconnected();
    age(&mut started, engine, 20);
    assert_eq!(found(&started, "engine_gone"), Vec::new(), "dockerd is being started");
    let (mut anew, _, containerd) = disconnected();
    age(&mut anew, containerd, 20);
    assert_eq!(found(&anew, "engine_gone"), Vec::new(), "containerd was started anew, dockerd will connect");
}

#[test]
fn an_engine_that_never_connects_is_missing_and_is_named() {
    let (hangs, engine, _) = disconnected();
    let (finding, blocker) = one(&hangs, "engine_gone");
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("LO-01"), "dockerd"));
    assert_eq!(finding.blocker.unwrap().pid, Some(engine));
    let (mut gone, _, _) = disconnected();
    gone.processes.retain(|process| process.pid != engine);
    let (finding, blocker) = one(&gone, "engine_gone");
    assert_eq!((finding.blocker.unwrap().pid, blocker.as_str()), (None, "dockerd"));
}

#[test]
fn a_dockerd_of_another_containerd_is_not_on_its_way_to_this_one() {
    const HERE: &str = "/run/containerd/containerd.sock";
    let file = |path: &str| ("/srv/daemon.json", format!("{{\"containerd\": \"{path}\"}}"));
    let told: &[(&[&str], (&str, String), bool)] = &[
        (&["--containerd=/run/other.sock"], file(HERE), false),
        (&["--containerd", "/run/docker/containerd/containerd.sock"], file(HERE), false),
        (&["--containerd=/var/run/containerd/containerd.sock"], file("/run/other.sock"), true),
        (&["--containerd=unix:///run/containerd/containerd.sock"], file(HERE), true),
        (&["--config-file=/srv/daemon.json"], file("/run/other.sock"), false),
        (&["--config-file=/srv/daemon.json"], file(HERE), true),
        (&["--config-file=/srv/daemon.json"], ("/srv/daemon.json", "{ not json".to_owned()), true),
        (&["--config-file=/srv/unread.json"], file("/run/other.sock"), true),
        (&[], ("/etc/docker/daemon.json", file("/run/other.sock").1), false),
        (&[], ("/etc/docker/daemon.json", "{}".to_owned()), true),
        (&["--exec-root=/srv/exec"], file("/run/other.sock"), true),
    ];
    for (options, (path, text), is_on_its_way) in told {
        for seconds in [20, 600] {
            let (mut snapshot, engine, _) = disconnected();
            age(&mut snapshot, engine, seconds);
            tell(&mut snapshot, engine, options);
            snapshot.configurations = vec![Configuration { path: (*path).to_owned(), text: text.clone() }];
            let missing = found(&snapshot, "engine_gone");
            let named: Vec<_> = missing.iter().map(|it| it.blocker.as_ref().unwrap().pid).collect();
            let expected = match (is_on_its_way, seconds) {
                (true, 20) => vec![],
                (true, _) => vec![Some(engine)],
                (false, _) => vec![None],
            };
            assert_eq!(named, expected, "{options:?} {text} {seconds}");
        }
    }
}

#[test]
fn a_dockerd_of_this_containerd_is_on_its_way_where_another_is_not() {
    let mut snapshot = snapshot!("engine_gone.other")();
    assert_eq!(one(&snapshot, "engine_gone").0.blocker.unwrap().pid, None);
    let other = snapshot.processes.iter().find(|it| it.comm == "dockerd").unwrap().pid;
    let containerd = snapshot.processes.iter().find(|it| it.comm == "containerd").unwrap().pid;
    let mut listens = snapshot.sockets.iter().filter(|it| it.owners == [containerd]);
    let address = listens.find_map(|it| it.path.clone().filter(|path| path.ends_with("sock"))).unwrap();
    tell(&mut snapshot, other, &["--containerd", &address]);
    assert_eq!(found(&snapshot, "engine_gone"), Vec::new());
}

#[test]
fn a_containerd_of_its_own_lies_below_the_exec_root_of_a_dockerd() {
    for (root, is_on_its_way) in [("/run/docker", true), ("/var/run/docker/", true), ("/srv/exec", false)] {
        let (mut snapshot, engine, _) = disconnected();
        age(&mut snapshot, engine, 20);
        tell(&mut snapshot, engine, &["--exec-root", root]);
        let path = "/run/docker/containerd/containerd.sock";
        for socket in &mut snapshot.sockets {
            if socket.path.as_ref().is_some_and(|it| it.ends_with("/containerd.sock")) {
                socket.path = Some(path.to_owned());
            }
        }
        let shims = snapshot.processes.iter_mut().filter_map(|it| it.args.as_mut());
        let addresses = shims.flatten().filter(|it| it.ends_with("/containerd.sock"));
        addresses.for_each(|it| *it = path.to_owned());
        assert_eq!(found(&snapshot, "engine_gone").is_empty(), is_on_its_way, "{root}");
    }
}

#[test]
fn a_dockerd_of_another_user_is_on_its_way_elsewhere() {
    let (mut snapshot, engine, _) = disconnected();
    age(&mut snapshot, engine, 20);
    snapshot.processes.iter_mut().filter(|it| it.pid == engine).for_each(|it| it.uid = Some(1000));
    assert_eq!(one(&snapshot, "engine_gone").0.blocker.unwrap().pid, None);
}

/// Gives a dockerd these options and no others.
fn tell(snapshot: &mut Snapshot, engine: i32, options: &[&str]) {
    let args = ["dockerd"].iter().chain(options).map(|&word| word.to_owned()).collect();
    snapshot
        .processes
        .iter_mut()
        .filter(|it| it.pid == engine)
        .for_each(|it| it.args = Some(Vec::clone(&args)));
}

#[test]
fn the_service_of_podman_is_no_missing_engine() {
    for seconds in [20, 600] {
        let (mut snapshot, engine, _) = disconnected();
        let service = snapshot.processes.iter_mut().find(|process| process.pid == engine).unwrap();
        service.comm = "podman".into();
        service.exe = Some("/usr/bin/podman".into());
        service.args = Some(["podman", "system", "service", "--time=0"].map(str::to_owned).to_vec());
        age(&mut snapshot, engine, seconds);
        let (finding, blocker) = one(&snapshot, "engine_gone");
        assert_eq!((finding.blocker.unwrap().pid, blocker.as_str()), (None, "dockerd"), "{seconds}");
    }
}

#[test]
fn what_one_look_cannot_tell_is_not_confirmed_by_it() {
    for seen in [snapshot!("engine_gone.exec"), snapshot!("d_state_helper"), snapshot!("lost_exec_client")] {
        let diagnosis = diagnose(&seen());
        let findings = &diagnosis.findings;
        assert_eq!(findings.iter().filter(|it| !it.confirmed).count(), 1, "{findings:#?}");
        assert_eq!(diagnosis.exit_code(), 1, "nobody is woken for it yet");
    }
    let mut kept = snapshot!("engine_gone.exec")();
    kept.taken.found_before = diagnose(&kept).findings.iter().map(|it| it.id.clone()).collect();
    let sure = diagnose(&kept);
    assert!(sure.findings.iter().all(|it| it.confirmed), "the looks before it are known");
    assert_eq!(sure.exit_code(), 2);
}

#[test]
fn a_container_that_was_given_another_parent_has_lost_its_shim_for_certain() {
    let mut snapshot = snapshot!("lost_shim")();
    let pid = one(&snapshot, "lost_shim").0.blocker.unwrap().pid.unwrap();
    age(&mut snapshot, pid, 60);
    assert!(one(&snapshot, "lost_shim").0.confirmed);
    age(&mut snapshot, pid, 1);
    assert!(!one(&snapshot, "lost_shim").0.confirmed, "it is being started");
    age(&mut snapshot, pid, 60);
    snapshot.processes.iter_mut().filter(|it| it.pid == pid).for_each(|it| it.ppid = 999_999);
    assert!(!one(&snapshot, "lost_shim").0.confirmed, "the shim ended while the snapshot was taken");
}

#[test]
fn a_client_from_before_the_container_was_started_anew_waits_for_certain() {
    let mut snapshot = snapshot!("lost_exec_client.near")();
    let executes = |words: &Vec<String>| words.iter().any(|word| word == "exec");
    let mut clients = snapshot.processes.iter().filter(|it| it.comm == "docker");
    let client = clients.find(|it| it.args.as_ref().is_some_and(executes)).unwrap().pid;
    let inits: Vec<i32> = snapshot.containers.iter().filter_map(|it| it.init).collect();
    age(&mut snapshot, client, 600);
    for (seconds, is_certain) in [(5, false), (60, true)] {
        inits.iter().for_each(|pid| age(&mut snapshot, *pid, seconds));
        assert_eq!(
            one(&snapshot, "lost_exec_client").0.confirmed,
            is_certain,
            "{seconds} s after the restart"
        );
    }
}

#[test]
fn the_arguments_of_an_exec_name_no_other_container() {
    let mut snapshot = snapshot!("lost_exec_client")();
    let other = Container { id: "h0h0".into(), name: Some("h0".into()), ..Container::default() };
    snapshot.containers.push(other);
    let client = snapshot.processes.iter_mut().find(|it| it.comm == "docker").unwrap();
    client.args.as_mut().unwrap().push("h0".into());
    let container = one(&snapshot, "lost_exec_client").0.container.unwrap();
    assert_eq!(container, snapshot.containers[0].id);
}

#[test]
fn held_output_needs_an_exec_that_has_ended() {
    let mut snapshot = snapshot!("held_stdout")();
    let (held, _) = one(&snapshot, "held_stdout");
    let pid = held.blocker.unwrap().pid.unwrap();
    // With its session's leader alive, the exec has not ended.
    let session = snapshot.process(pid).unwrap().session;
    let mut leader = snapshot.process(pid).unwrap().clone();
    (leader.pid, leader.fds) = (session, Vec::new());
    snapshot.processes.push(leader);
    snapshot.processes.sort_by_key(|process| process.pid);
    assert_eq!(found(&snapshot, "held_stdout"), Vec::new());
}

#[test]
fn a_limit_of_processes_needs_to_be_reached() {
    let mut snapshot = snapshot!("pids_limit")();
    let (finding, _) = one(&snapshot, "pids_limit");
    assert!(finding.title.contains("20 of 20"), "{}", finding.title);
    for pids in snapshot.cgroups.iter_mut().filter_map(|group| group.pids.as_mut()) {
        pids.max = pids.max.map(|_| 1000);
    }
    assert_eq!(found(&snapshot, "pids_limit"), Vec::new());
}

#[test]
fn the_service_of_the_daemons_may_be_full_without_a_container_in_it() {
    let (finding, _) = one(&snapshot!("pids_limit.service.v2")(), "pids_limit");
    assert!(finding.title.contains("20 of 20") && finding.container.is_none(), "{finding:#?}");
    let refused = |text: &str| text.starts_with("max 2:");
    assert!(finding.evidence.iter().any(|it| refused(&it.text)), "{finding:#?}");
    let mut snapshot = snapshot!("pids_limit.service.v2")();
    snapshot.processes.retain(|process| !process.comm.starts_with("containerd"));
    assert_eq!(found(&snapshot, "pids_limit"), Vec::new(), "a group that starts no containers");
}

#[test]
fn a_host_without_room_for_threads_is_told_by_the_lower_limit() {
    let mut snapshot = snapshot!("host_limits.near")();
    let count = snapshot.host.tasks.count.unwrap();
    for (room, severity) in [(3, Some(Severity::Warning)), (5, Some(Severity::Notice)), (50, None)] {
        snapshot.host.tasks.threads_max = Some(count + room);
        let findings = found(&snapshot, "host_limits");
        assert_eq!(findings.first().map(|it| it.severity), severity, "{findings:#?}");
        assert!(findings.iter().all(|it| it.id == "host_limits/kernel.threads-max"), "{findings:#?}");
    }
}

#[test]
fn a_doctor_that_may_start_nothing_says_so() {
    let mut snapshot = snapshot!("host_limits.fork")();
    assert_eq!(one(&snapshot, "host_limits").0.class.as_deref(), Some("EX-04"));
    snapshot.unseen[0].why = Why::TooMuch { taken: 0 };
    assert_eq!(found(&snapshot, "host_limits"), Vec::new());
}

/// The text of the evidence from there; nothing when there is none.
fn evidence<'a>(finding: &'a Finding, from: &str) -> &'a str {
    let found = finding.evidence.iter().find(|it| it.from.ends_with(from));
    found.map_or("", |it| it.text.as_str())
}

#[test]
fn a_storm_says_what_it_costs_when_that_can_be_known() {
    let mut snapshot = snapshot!("exec_storm")();
    let (finding, _) = one(&snapshot, "exec_storm");
    assert_eq!(evidence(&finding, "processor time"), "", "not a tick was counted yet");
    snapshot.taken.duration_ms = 1000;
    let execs: Vec<i32> = execs(&snapshot).map(|it| it.pid).collect();
    for pid in &execs {
        age(&mut snapshot, *pid, 1);
    }
    // One that is stuck makes nothing of what the others use.
    age(&mut snapshot, execs[0], 20);
    snapshot.processes.iter_mut().filter(|it| execs[1..].contains(&it.pid)).for_each(|it| it.cpu_ticks = 20);
    let (later, _) = one(&snapshot, "exec_storm");
    let percent = 10 * (execs.len() - 1);
    let expected = format!("at least {percent} % of one processor, since each was started");
    assert_eq!(evidence(&later, "processor time"), expected);
}

/// The runtimes with the verb exec.
fn execs(snapshot: &Snapshot) -> impl Iterator<Item = &Process> {
    snapshot.processes.iter().filter(|it| it.args.iter().flatten().any(|word| word == "exec"))
}

#[test]
fn a_wrapper_and_its_runtime_are_one_exec() {
    let mut snapshot = snapshot!("exec_storm")();
    let runtimes: Vec<Process> = execs(&snapshot).cloned().collect();
    let wrapped = runtimes.iter().map(|it| Process { pid: it.pid + 100_000, ppid: it.pid, ..it.clone() });
    snapshot.processes.extend(wrapped);
    snapshot.put_in_order();
    let title = one(&snapshot, "exec_storm").0.title;
    assert!(title.starts_with(&format!("{} execs", runtimes.len())), "{title}");
    let started = runtimes.iter().map(|it| Process {
        pid: it.pid + 200_000,
        ppid: it.pid + 100_000,
        ns_pids: vec![it.pid + 200_000, 7],
        comm: "true".to_owned(),
        exe: Some("/bin/true".to_owned()),
        args: Some(vec!["/bin/true".to_owned()]),
        ..Process::default()
    });
    snapshot.processes.extend(started);
    snapshot.put_in_order();
    assert_eq!(found(&snapshot, "exec_storm"), Vec::new(), "each exec has started its process");
}

#[test]
fn leftovers_say_when_the_limit_of_processes_is_reached() {
    let mut snapshot = snapshot!("held_stdout")();
    let container = one(&snapshot, "probes_pile_up").0.container.unwrap();
    let own = |path: &str| path.ends_with(&container);
    for pids in snapshot.cgroups.iter_mut().filter(|it| own(&it.path)).filter_map(|it| it.pids.as_mut()) {
        (pids.current, pids.max) = (Some(40), Some(100));
    }
    let (finding, _) = one(&snapshot, "probes_pile_up");
    let text = evidence(&finding, "/pids.max");
    assert!(text.starts_with("40 of 100 are taken; full in "), "{text}");
    assert!(evidence(&finding, "memory").ends_with(" KiB resident together"));
}

#[test]
fn workers_that_were_started_one_by_one_long_ago_are_no_leftovers() {
    let mut snapshot = snapshot!("held_stdout")();
    assert_eq!(one(&snapshot, "probes_pile_up").0.class.as_deref(), Some("EX-27"));
    snapshot.taken.since_boot_ms += 600_000;
    assert_eq!(found(&snapshot, "probes_pile_up"), Vec::new(), "no more have come");
}

/// The recorded zombies as if three execs alone had left them, each all of its own at once.
fn zombies_of_three_execs(each: i32) -> Snapshot {
    let mut snapshot = snapshot!("probes_pile_up.zombies")();
    let is_zombie = |it: &Process| it.state == 'Z';
    let zombie = snapshot.processes.iter().find(|it| is_zombie(it)).cloned().unwrap_or_default();
    snapshot.processes.retain(|it| !is_zombie(it) && it.ppid != zombie.ppid);
    let now = snapshot.taken.since_boot_ms * snapshot.taken.ticks_per_second / 1000;
    for exec in 0..3_i32 {
        let start_time = now - 100 * (60 + u64::from(exec.unsigned_abs()) * 7);
        let left = (0..each).map(|number| 50_000 + exec * each + number);
        let session = 40_000 + exec;
        snapshot.processes.extend(left.map(|pid| Process { pid, session, start_time, ..zombie.clone() }));
    }
    snapshot.put_in_order();
    snapshot
}

#[test]
fn many_zombies_of_a_few_execs_are_found_under_the_init_that_does_not_reap() {
    let snapshot = zombies_of_three_execs(40);
    let (finding, blocker) = one(&snapshot, "probes_pile_up");
    let parent = snapshot.processes.iter().find(|it| it.state == 'Z').unwrap().ppid;
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("EX-28"), "sleep"));
    assert_eq!(finding.blocker.as_ref().unwrap().pid, Some(parent));
    assert_eq!(finding.title, format!("120 zombies that sleep ({parent}) does not reap"));
    assert!(!finding.confirmed, "one look may fall into the end of many children");
    assert!(evidence(&finding, "processes").starts_with("120 of `sleep`; the oldest was started "));
    assert!(finding.remedies[0].what.contains("docker run --init"), "{finding:#?}");
}

#[test]
fn a_few_zombies_and_young_ones_are_no_pile() {
    assert_eq!(found(&zombies_of_three_execs(6), "probes_pile_up"), Vec::new(), "18 of them");
    let mut young = zombies_of_three_execs(40);
    let now = young.taken.since_boot_ms * young.taken.ticks_per_second / 1000;
    young.processes.iter_mut().filter(|it| it.state == 'Z').for_each(|it| it.start_time = now - 500);
    assert_eq!(found(&young, "probes_pile_up"), Vec::new(), "five seconds old");
    let mut stopped = zombies_of_three_execs(40);
    let parent = stopped.processes.iter().find(|it| it.state == 'Z').unwrap().ppid;
    stopped.processes.iter_mut().filter(|it| it.pid == parent).for_each(|it| it.state = 'T');
    assert_eq!(found(&stopped, "probes_pile_up"), Vec::new(), "it reaps when it goes on");
}

#[test]
fn zombies_of_a_program_that_is_not_init_are_its_own() {
    let mut snapshot = zombies_of_three_execs(40);
    let init = snapshot.processes.iter().find(|it| it.state == 'Z').unwrap().ppid;
    let init = snapshot.process(init).unwrap().clone();
    let program = Process { pid: 60_000, ppid: init.pid, comm: "master".into(), ..init };
    snapshot.processes.push(program);
    snapshot.processes.iter_mut().filter(|it| it.state == 'Z').for_each(|it| it.ppid = 60_000);
    snapshot.put_in_order();
    let (finding, blocker) = one(&snapshot, "probes_pile_up");
    assert_eq!((blocker.as_str(), finding.remedies[0].name.as_str()), ("master", "repair"));
}

#[test]
fn who_waits_for_memory_of_a_group_that_was_not_seen_is_sent_to_no_file_server() {
    let mut snapshot = snapshot!("oom_killer_off")();
    snapshot.cgroups.clear();
    snapshot.taken.since_boot_ms += 60_000;
    let findings = found(&snapshot, "d_state_helper");
    assert!(!findings.is_empty());
    assert!(findings.iter().all(|it| it.remedies[0].name == "memory"), "{findings:#?}");
    let mut elsewhere = snapshot!("d_state_helper")();
    let remedy = |seen: &Snapshot| one(seen, "d_state_helper").0.remedies.remove(0).name;
    assert_eq!(remedy(&elsewhere), "unfreeze");
    elsewhere.processes.iter_mut().for_each(|it| it.threads.iter_mut().for_each(|it| it.stack.clear()));
    assert_eq!(remedy(&elsewhere), "server");
}

#[test]
fn a_long_command_leaves_room_for_what_is_said_about_it() {
    let mut snapshot = snapshot!("held_stdout")();
    let inside = snapshot.processes.iter_mut().filter(|it| it.container.is_some());
    inside.filter_map(|it| it.args.as_mut()).for_each(|args| args.push("x".repeat(1000)));
    let title = one(&snapshot, "probes_pile_up").0.title;
    assert!(title.contains("`, one every "), "{title}");
}

#[test]
fn every_critical_blocker_is_drawn_with_the_chain_that_leads_to_it() {
    for case in POSITIVES {
        let diagnosis = diagnose(&(case.seen)());
        let graph = &diagnosis.graph;
        let critical = diagnosis.findings.iter().filter(|it| it.severity == Severity::Critical);
        for (finding, pid) in critical.filter_map(|it| Some((it, it.blocker.as_ref()?.pid?))) {
            let key = format!("pid:{pid}");
            assert!(diagnosis.blockers.contains(&key), "{finding:#?}");
            let drawn = graph.of_blocker(&key);
            let is_drawn = |who: &str| drawn.nodes.iter().any(|node| node.label == who);
            assert!(finding.chain.iter().all(|link| is_drawn(&link.who)), "{finding:#?} {drawn:#?}");
            assert!(drawn.waits(&key).next().is_some(), "{finding:#?} {drawn:#?}");
        }
    }
}

#[test]
fn an_engine_that_was_stopped_is_not_drawn_as_one_who_waits_for_containerd() {
    let diagnosis = diagnose(&snapshot!("full_pipe.stopped")());
    let label = |key: &str| diagnosis.graph.find(key).map_or(key, |node| &node.label).to_owned();
    let edges: Vec<String> =
        diagnosis.graph.edges.iter().map(|it| format!("{} > {}", label(&it.from), label(&it.to))).collect();
    assert_eq!(
        edges,
        [
            "yes (9063) > containerd-shim-runc-v2 (9043)",
            "containerd-shim-runc-v2 (9043) > dockerd (8966)",
            "dockerd (8966) > SIGCONT: it was stopped by a signal",
        ]
    );
}

#[test]
fn a_client_is_drawn_with_what_it_asks_for() {
    let mut snapshot = snapshot!("waiting_clients")();
    snapshot.containers[0].name = Some("web".into());
    let diagnosis = diagnose(&snapshot);
    let clients = diagnosis.graph.nodes.iter().filter(|it| it.label.starts_with("docker ("));
    let details: Vec<&str> = clients.map(|it| it.detail.as_str()).collect();
    assert!(
        !details.is_empty() && details.iter().all(|it| it.starts_with("inspect web, state S")),
        "{details:?}"
    );
}

#[test]
fn a_finding_has_the_name_of_its_container_when_that_is_not_its_id() {
    let names = |snapshot: &Snapshot| {
        let findings = diagnose(snapshot).findings;
        findings.into_iter().map(|it| it.container_name.unwrap_or_default()).collect::<Vec<_>>()
    };
    let mut snapshot = snapshot!("waiting_clients")();
    assert_eq!(names(&snapshot), ["", ""], "its name is its id");
    snapshot.containers[0].name = Some("we\nb".into());
    assert_eq!(names(&snapshot), ["we\u{fffd}b"; 2]);
}

#[test]
fn a_diagnosis_has_what_its_rules_found() {
    let findings = diagnose(&snapshot!("waiting_clients")()).findings;
    let rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["full_pipe", "waiting_clients"]);
}

#[test]
fn an_empty_node_is_healthy() {
    assert_eq!(diagnose(&Snapshot::default()).findings, Vec::new());
}

#[test]
fn a_containerd_in_a_container_is_not_the_one_that_the_shims_of_the_host_miss() {
    let mut snapshot = snapshot!("containerd_gone")();
    let (shim, ours, address) = snapshot
        .processes
        .iter()
        .find_map(|it| Some((it.pid, it.namespaces.pid?, it.option("-address")?.to_owned())))
        .unwrap();
    let inner = Process {
        pid: shim + 1_000_000,
        namespaces: Namespaces { pid: Some(ours + 1), ..Namespaces::default() },
        ..Process::default()
    };
    let path = Some(address);
    let owners = vec![inner.pid];
    snapshot.sockets.push(UnixSocket {
        inode: u64::MAX,
        path,
        state: SocketState::Listening,
        owners,
        ..UnixSocket::default()
    });
    snapshot.processes.push(inner);
    one(&snapshot, "containerd_gone");
    snapshot.processes.last_mut().unwrap().namespaces.pid = Some(ours);
    assert_eq!(diagnose(&snapshot).findings.iter().find(|it| it.rule == "containerd_gone"), None);
}

#[test]
fn a_socket_that_was_left_behind_tells_a_sudden_end() {
    let mut containerd = snapshot!("containerd_gone")();
    let (finding, _) = one(&containerd, "containerd_gone");
    assert!(!finding.confirmed && !finding.is_abrupt);
    let shim = containerd.processes.iter().find_map(|it| it.option("-address")).unwrap().to_owned();
    containerd.left_sockets = vec![shim.clone()];
    let (finding, _) = one(&containerd, "containerd_gone");
    assert!(!finding.confirmed && finding.is_abrupt, "{finding:#?}");
    assert!(finding.evidence.iter().any(|it| it.from == shim), "{finding:#?}");

    let mut engine = snapshot!("engine_gone")();
    let root = engine.tasks.iter().find_map(|task| task.exec_root()).unwrap().to_owned();
    engine.left_sockets = vec![String::from("/elsewhere/metrics.sock")];
    assert!(!one(&engine, "engine_gone").0.is_abrupt, "of another dockerd");
    engine.left_sockets.push(format!("{root}/metrics.sock"));
    assert!(one(&engine, "engine_gone").0.is_abrupt);
    // What dockerd calls its exec-root unless it is told another.
    for task in &mut engine.tasks {
        task.runtime_root = task.runtime_root.as_ref().map(|it| it.replace(&root, "/var/run/docker"));
    }
    engine.left_sockets = vec![String::from("/run/docker/metrics.sock")];
    assert!(one(&engine, "engine_gone").0.is_abrupt);
}

#[test]
fn who_waits_for_the_end_of_a_container_waits_for_its_stopped_client() {
    let mut snapshot = snapshot!("stopped_client")();
    let (finding, _) = one(&snapshot, "stopped_client");
    assert_eq!((finding.severity, finding.remedies[0].name.as_str()), (Severity::Warning, "continue"));
    let stopped = snapshot.processes.iter().find(|it| it.comm == "docker").unwrap();
    let args = ["docker", "stop", "proj-db-1"].map(String::from).to_vec();
    let stop = Process { pid: stopped.pid + 1, state: 'S', args: Some(args), ..stopped.clone() };
    let at = snapshot.processes.partition_point(|it| it.pid < stop.pid);
    snapshot.processes.insert(at, stop);
    assert_eq!(one(&snapshot, "stopped_client").0.severity, Severity::Warning, "the container is ending");
    snapshot.containers.iter_mut().for_each(|container| container.processes.clear());
    let (finding, _) = one(&snapshot, "stopped_client");
    assert_eq!((finding.severity, finding.confirmed), (Severity::Critical, false), "it may be told just now");
    assert_eq!(finding.chain.len(), 3, "{:#?}", finding.chain);
    let client = snapshot.processes.iter_mut().find(|it| it.state == 'T').unwrap();
    (client.state, client.threads[0].state) = ('S', 'S');
    assert_eq!(found(&snapshot, "stopped_client"), Vec::new(), "a slow reader");
}

#[test]
fn a_client_that_was_stopped_holds_nobody_up_while_there_is_room_for_another_write() {
    let mut snapshot = snapshot!("stopped_client")();
    let full = snapshot.sockets.iter().position(|it| it.send_queue > Some(200_000) && it.peer.is_some());
    let full = full.unwrap();
    snapshot.sockets[full].send_queue = Some(212_991);
    assert_eq!(found(&snapshot, "stopped_client"), Vec::new());
    snapshot.sockets[full].send_queue = Some(212_992);
    one(&snapshot, "stopped_client");
}

#[test]
fn a_kill_below_a_full_group_is_told_while_the_kernels_log_names_its_limit() {
    let mut snapshot = snapshot!("memory_limit.parent")();
    let kills = |snapshot: &Snapshot| {
        let logged = |it: &&KernelLine| it.text.contains("oom_memcg=/docker,");
        snapshot.kernel_log.iter().filter(logged).count()
    };
    let (finding, _) = one(&snapshot, "memory_limit");
    assert!(
        finding.title.contains(&format!("/memory/docker, {} killed", kills(&snapshot))),
        "{}",
        finding.title
    );
    let since_boot_ms = snapshot.taken.since_boot_ms;
    snapshot.taken.since_boot_ms += 600_000;
    assert_eq!(found(&snapshot, "memory_limit"), Vec::new(), "long ago: a page cache may fill it today");
    snapshot.taken.since_boot_ms = since_boot_ms;
    for line in &mut snapshot.kernel_log {
        line.text = line.text.replace("oom_memcg=/docker,", "oom_memcg=/docker/f17d,");
    }
    assert_eq!(found(&snapshot, "memory_limit"), Vec::new(), "the limit of the one below");
}

#[test]
fn a_process_that_is_ending_is_told_once_for_its_container_and_not_when_it_is_paused() {
    let mut snapshot = snapshot!("d_state_helper.killed")();
    let (finding, _) = one(&snapshot, "d_state_helper");
    assert_eq!(finding.remedies[0].name, "unfreeze");
    assert!(finding.title.contains("is ending, and sleeps"), "{}", finding.title);
    let (killed, pid) = (finding.blocker.unwrap().pid.unwrap(), 40_000);
    let other = Process { pid, ..snapshot.process(killed).unwrap().clone() };
    snapshot.processes.push(other);
    assert_eq!(found(&snapshot, "d_state_helper").len(), 1);
    let mut unknown = snapshot.clone();
    unknown.processes.iter_mut().for_each(|process| process.container = None);
    unknown.containers.clear();
    assert_eq!(found(&unknown, "d_state_helper").len(), 2, "perhaps of two containers");
    let mut paused = snapshot.clone();
    for freezer in paused.cgroups.iter_mut().filter_map(|group| group.freezer.as_mut()) {
        (freezer.state, freezer.by_itself) = (FreezerState::Frozen, true);
    }
    assert_eq!(found(&paused, "d_state_helper"), Vec::new(), "paused");
    for process in &mut snapshot.processes {
        process.signals_pending = 1 << 14;
    }
    assert_eq!(found(&snapshot, "d_state_helper"), Vec::new(), "asked to end with SIGTERM");
}

/// The severity of the one process that is ending.
fn severity_of_ending(snapshot: &Snapshot) -> Severity {
    one(snapshot, "d_state_helper").0.severity
}

#[test]
fn a_process_that_is_ending_is_stuck_when_the_kernel_or_a_client_says_so() {
    let recorded = snapshot!("d_state_helper.killed")();
    let killed = one(&recorded, "d_state_helper").0.blocker.unwrap().pid.unwrap();
    assert_eq!(severity_of_ending(&recorded), Severity::Notice, "perhaps a slow disk");
    let mut log = recorded.clone();
    let text = format!("INFO: task sh:{killed} blocked for more than 120 seconds.");
    log.kernel_log = vec![kernel_line(3, &text)];
    assert_eq!(severity_of_ending(&log), Severity::Notice, "of another process, long ago");
    log.kernel_log[0].at_us = log.taken.since_boot_ms * 1000;
    assert_eq!(severity_of_ending(&log), Severity::Critical);

    let mut fuse = recorded.clone();
    fuse.mounts = vec![Mount { fs_type: "fuse.sshfs".into(), fuse_waiting: Some(1), ..Mount::default() }];
    assert_eq!(severity_of_ending(&fuse), Severity::Notice, "it does not wait for that one");
    let thread = &mut fuse.processes.iter_mut().find(|it| it.pid == killed).unwrap().threads[0];
    thread.wchan = Some("request_wait_answer".into());
    assert_eq!(severity_of_ending(&fuse), Severity::Critical);
    fuse.mounts[0].fuse_waiting = Some(0);
    assert_eq!(severity_of_ending(&fuse), Severity::Notice, "it has just been answered");
}

#[test]
fn a_client_that_ends_a_container_gives_it_the_time_that_it_was_told() {
    let cases = [
        ("docker kill vol1", 31, Severity::Critical),
        ("docker rm -f vol1", 31, Severity::Critical),
        ("docker stop vol1", 41, Severity::Critical),
        ("docker stop vol1", 39, Severity::Notice),
        ("docker stop -t60 vol1", 80, Severity::Notice),
        ("docker stop -t 60 vol1", 80, Severity::Notice),
        ("docker stop --time=60 vol1", 100, Severity::Critical),
        ("docker stop -t -1 vol1", 600, Severity::Notice),
        ("docker kill other", 31, Severity::Notice),
        ("docker logs vol1", 31, Severity::Notice),
    ];
    for (line, seconds, severity) in cases {
        let mut snapshot = snapshot!("d_state_helper.killed")();
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let client =
            Process { pid: 40_000, ppid: 1, comm: "docker".into(), args: Some(args), ..Process::default() };
        snapshot.processes.push(client);
        let killed = one(&snapshot, "d_state_helper").0.blocker.unwrap().pid.unwrap();
        age(&mut snapshot, killed, 1000);
        age(&mut snapshot, 40_000, seconds);
        assert_eq!(severity_of_ending(&snapshot), severity, "{line}, {seconds} s");
    }
}

#[test]
fn a_freeze_holds_up_writers_and_not_whoever_waits_for_another_lock_of_that_kind() {
    let writer = "percpu_rwsem_wait __percpu_down_read.constprop.0 vfs_write ksys_write do_syscall_64";
    let mover = "percpu_rwsem_wait percpu_down_write cgroup_attach_lock cgroup_procs_write_start \
                 __cgroup_procs_write cgroup_procs_write kernfs_fop_write_iter vfs_write ksys_write do_syscall_64";
    let flusher =
        "percpu_rwsem_wait __percpu_down_read ext4_writepages do_writepages vfs_fsync_range vfs_write";
    let similar = "percpu_rwsem_wait vfs_writev do_syscall_64";
    for (stack, remedy) in [(writer, "unfreeze"), (mover, "server"), (flusher, "server"), (similar, "server")]
    {
        let mut snapshot = snapshot!("d_state_helper.killed")();
        let killed = one(&snapshot, "d_state_helper").0.blocker.unwrap().pid.unwrap();
        let thread = &mut snapshot.processes.iter_mut().find(|it| it.pid == killed).unwrap().threads[0];
        thread.stack = stack.split_whitespace().map(str::to_owned).collect();
        assert_eq!(one(&snapshot, "d_state_helper").0.remedies[0].name, remedy, "{stack}");
    }
}

#[test]
fn podman_calls_a_runtime_for_milliseconds() {
    let mut snapshot = snapshot!("slow_runtime.podman")();
    let (finding, _) = one(&snapshot, "slow_runtime");
    let who: Vec<&str> = finding.chain.iter().map(|link| link.who.as_str()).collect();
    assert!(who[0].starts_with("podman (") && who[1].starts_with("hang-any ("), "{who:?}");
    let runtime = snapshot.processes.iter().find(|it| it.comm == "hang-any").unwrap().pid;
    age(&mut snapshot, runtime, 3);
    assert_eq!(found(&snapshot, "slow_runtime"), Vec::new());
}

#[test]
fn a_start_of_podman_may_wait_until_its_application_is_ready() {
    let mut snapshot = snapshot!("slow_runtime.podman")();
    let runtime = pid_of(&snapshot, "hang-any");
    let severity_and_remedies = |snapshot: &Snapshot| {
        let (finding, _) = one(snapshot, "slow_runtime");
        let names: Vec<String> = finding.remedies.into_iter().map(|remedy| remedy.name).collect();
        (finding.severity, names.join(" "))
    };
    age(&mut snapshot, runtime, 119);
    assert_eq!(severity_and_remedies(&snapshot), (Severity::Warning, "ready kill".into()));
    age(&mut snapshot, runtime, 120);
    assert_eq!(severity_and_remedies(&snapshot), (Severity::Critical, "ready kill".into()));
    age(&mut snapshot, runtime, 11);
    process_mut(&mut snapshot, "hang-any").unwrap().args.as_mut().unwrap()[2] = "delete".into();
    assert_eq!(severity_and_remedies(&snapshot), (Severity::Critical, "kill".into()));
}

#[test]
fn a_plug_in_of_docker_is_not_killed_as_a_runtime() {
    for exe in ["/usr/bin/docker", "/usr/bin/kubectl", "/usr/bin/dockerd"] {
        let mut snapshot = snapshot!("slow_runtime.podman")();
        process_mut(&mut snapshot, "podman").unwrap().exe = Some(exe.into());
        assert_eq!(found(&snapshot, "slow_runtime"), Vec::new(), "{exe}");
    }
}

#[test]
fn a_broken_file_system_is_told_once_with_what_the_kernel_said_of_it() {
    let mut snapshot = snapshot!("broken_disk")();
    assert!(snapshot.host.file_systems.len() > 1, "two places of one daemon");
    snapshot.kernel_log = vec![
        kernel_line(6, "EXT4-fs (loop0): mounted filesystem r/w with ordered data mode"),
        kernel_line(2, "EXT4-fs error (device loop0): trigger_test_error:129: comm bash: 1"),
        kernel_line(2, "EXT4-fs error (device loop01): another disk"),
        kernel_line(2, "EXT4-fs error (device vda): dx_probe:822: comm loop0: another disk"),
    ];
    let evidence = one(&snapshot, "broken_disk").0.evidence;
    let log: Vec<&str> =
        evidence.iter().filter(|it| it.from == "kernel log").map(|it| it.text.as_str()).collect();
    assert_eq!(log, ["EXT4-fs error (device loop0): trigger_test_error:129: comm bash: 1"]);
    let mut inner = snapshot.mounts[0].clone();
    (inner.mount_point, inner.device, inner.options) = ("/loopm/state".into(), "0:99".into(), "rw,rw".into());
    snapshot.mounts.push(inner);
    snapshot.host.file_systems.retain(|it| it.path == "/loopm/state");
    assert_eq!(found(&snapshot, "broken_disk"), Vec::new(), "a whole one is mounted over it");
}

#[test]
fn a_file_system_that_is_merely_read_only_needs_an_error_or_a_promise_of_the_kernel() {
    let error = kernel_line(2, "EXT4-fs error (device loop0): trigger_test_error:129: comm bash: 1");
    let mut silent = with_options("rw,relatime,ro");
    assert_eq!(found(&silent, "broken_disk"), Vec::new(), "nobody says why");
    let mut told = silent.clone();
    told.kernel_log = vec![error.clone()];
    assert_eq!(one(&told, "broken_disk").0.severity, Severity::Warning);
    told.mounts[0].source = "/dev/mapper/loop0".into();
    assert_eq!(found(&told, "broken_disk"), Vec::new(), "its name in the log is not known");
    silent.kernel_log = vec![kernel_line(6, "EXT4-fs (loop0): mounted filesystem r/w"), error];
    for source in ["loop0", "none", "/dev/loop"] {
        silent.mounts[0].source = source.into();
        assert_eq!(found(&silent, "broken_disk"), Vec::new(), "{source}");
    }
    let mut promise = with_options("rw,relatime,ro,errors=remount-ro");
    assert_eq!(found(&promise, "broken_disk").len(), 1);
    promise.mounts[0].fs_type = "erofs".into();
    assert_eq!(found(&promise, "broken_disk"), Vec::new());
}

#[test]
fn an_end_is_noticed_when_the_engine_had_time_to_and_no_client_holds_it_up() {
    let recorded = unnoticed_for_long();
    let client = recorded.processes.iter().find(|it| it.comm == "docker").unwrap();
    let mut two = recorded.clone();
    let stop = two.processes.iter_mut().find(|it| it.pid == client.pid).unwrap();
    stop.args = Some(["docker", "stop", "slog", "web"].map(String::from).to_vec());
    assert_eq!(found(&two, "unnoticed_end").len(), 1, "the other one is not known here");
    let web = Container { id: "e".repeat(64), name: Some("web".into()), ..Container::default() };
    two.containers.push(web);
    assert_eq!(found(&two, "unnoticed_end"), Vec::new(), "the other one may still be ending");

    let mut held = recorded.clone();
    let args = ["docker", "attach", "slog"].map(String::from).to_vec();
    let mut attached = Process { pid: client.pid + 1, state: 'T', args: Some(args), ..client.clone() };
    attached.threads.iter_mut().for_each(|thread| thread.state = 'T');
    held.processes.push(attached);
    held.put_in_order();
    assert_eq!(found(&held, "unnoticed_end"), Vec::new(), "its stopped client is the cause");
}

#[test]
fn an_end_has_to_be_noticed_some_time_after_the_container_had_to_end() {
    let told = |words: &[&str], seconds| {
        let mut snapshot = unnoticed_for_long();
        let client = pid_of(&snapshot, "docker");
        let words = ["docker"].iter().chain(words).chain(&["slog"]);
        process_mut(&mut snapshot, "docker").unwrap().args =
            Some(words.map(|&word| word.to_owned()).collect());
        age(&mut snapshot, client, seconds);
        found(&snapshot, "unnoticed_end").pop().map(|finding| finding.severity)
    };
    for (words, grace) in [
        (["stop"].as_slice(), 10),
        (&["stop", "-t", "60"], 60),
        (&["stop", "-t60"], 60),
        (&["container", "stop", "--time=60"], 60),
        (&["stop", "--timeout", "60"], 60),
        (&["kill"], 0),
    ] {
        let severities = [29, 30, 119, 120].map(|seconds| told(words, grace + seconds));
        let expected = [None, Some(Severity::Warning), Some(Severity::Warning), Some(Severity::Critical)];
        assert_eq!(severities, expected, "{words:?}");
    }
    assert_eq!(told(&["stop", "-t", "-1"], 3000), None, "it may have ended just now");
    assert_eq!(told(&["stop", "-t", "18446744073709551615"], 3000), None, "the same");
    assert_eq!(told(&["wait"], 3000), None, "it may have ended just now");
}

#[test]
fn who_waits_longest_for_an_end_tells_it() {
    let mut snapshot = unnoticed_for_long();
    let long = process_mut(&mut snapshot, "docker").unwrap().clone();
    for (pid, seconds) in [(long.pid - 1, 40), (long.pid + 1, 50)] {
        snapshot.processes.push(Process { pid, ..long.clone() });
        age(&mut snapshot, pid, seconds);
    }
    snapshot.put_in_order();
    assert_eq!(one(&snapshot, "unnoticed_end").0.severity, Severity::Critical);
}

#[test]
fn only_dockerd_is_told_to_be_dockerd() {
    for (program, args) in
        [("podman", "podman system service"), ("crio", "crio"), ("containerd", "containerd")]
    {
        let mut snapshot = unnoticed_for_long();
        let daemon = process_mut(&mut snapshot, "dockerd").unwrap();
        daemon.exe = Some(format!("/usr/bin/{program}"));
        daemon.args = Some(args.split(' ').map(str::to_owned).collect());
        assert_eq!(found(&snapshot, "unnoticed_end"), Vec::new(), "{program}");
    }
}

#[test]
fn a_plugin_is_known_by_where_it_comes_from_and_by_who_called_it() {
    let seen = |change: fn(&mut Process, &mut Process)| {
        let mut snapshot = snapshot!("slow_plugin")();
        let (mut caller, mut plugin) = (
            process_mut(&mut snapshot, "podman").unwrap().clone(),
            process_mut(&mut snapshot, "bridge").unwrap().clone(),
        );
        change(&mut caller, &mut plugin);
        (*process_mut(&mut snapshot, "podman").unwrap(), *process_mut(&mut snapshot, "bridge").unwrap()) =
            (caller, plugin);
        found(&snapshot, "slow_plugin").len()
    };
    assert_eq!(seen(|_, _| ()), 1);
    assert_eq!(seen(|_, plugin| plugin.exe = Some("/opt/cni/bin/bridge".into())), 1);
    assert_eq!(seen(|_, plugin| plugin.exe = Some("/usr/bin/vi".into())), 0, "it is given the path alone");
    assert_eq!(seen(|_, plugin| plugin.exe = None), 0, "nothing tells what it is");
    assert_eq!(seen(|_, plugin| plugin.container = Some("c".into())), 0, "in a container");
    assert_eq!(seen(|caller, _| caller.exe = Some("/usr/bin/cri-dockerd".into())), 1);
    assert_eq!(seen(|caller, _| caller.exe = Some("/usr/bin/kubelet".into())), 1);
    assert_eq!(seen(|caller, _| caller.exe = Some("/usr/bin/kubectl".into())), 0, "it calls none");
}

#[test]
fn calls_of_one_plugin_are_one_finding_about_the_oldest() {
    let mut snapshot = snapshot!("slow_plugin")();
    let (first, _) = one(&snapshot, "slow_plugin");
    let plugin = process_mut(&mut snapshot, "bridge").unwrap().clone();
    let second = Process { pid: 21_000, ..plugin.clone() };
    snapshot.processes.push(second);
    snapshot.put_in_order();
    age(&mut snapshot, 21_000, 40);
    age(&mut snapshot, plugin.pid, 149);
    let (both, blocker) = one(&snapshot, "slow_plugin");
    assert_eq!((&both.id, both.severity, blocker.as_str()), (&first.id, Severity::Warning, "sleep"));
    assert!(both.evidence.iter().any(|it| it.text == "2 such calls"), "{both:#?}");
    age(&mut snapshot, plugin.pid, 150);
    assert_eq!(one(&snapshot, "slow_plugin").0.severity, Severity::Critical);
    age(&mut snapshot, plugin.pid, 3);
    assert_eq!(one(&snapshot, "slow_plugin").0.id, first.id, "another call of it");
}

#[test]
fn a_network_plugin_may_take_some_seconds_and_one_that_works_may_take_longer() {
    let recorded = snapshot!("slow_plugin")();
    let (finding, _) = one(&recorded, "slow_plugin");
    let who: Vec<&str> = finding.chain.iter().map(|link| link.who.as_str()).collect();
    assert!(who[0].starts_with("podman (") && who[1].starts_with("bridge ("), "{who:?}");
    let plugin = pid_of(&recorded, "bridge");
    let mut at_work = recorded.clone();
    at_work.processes.iter_mut().filter(|it| it.ppid == plugin).for_each(|it| it.state = 'R');
    assert_eq!(found(&at_work, "slow_plugin"), Vec::new(), "it runs");
}
