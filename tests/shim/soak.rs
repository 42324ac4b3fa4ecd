//! Many execs at once while everything else happens to their container: none is lost, and nothing is left of them.
//!
//! `make soak` runs 10,000 over containerd and over dockerd each; the tests without a mark run a twentieth of them.
//! `SLUICE_SOAK_EXECS` is another count.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::Signal;
use testkit::command::Output;
use testkit::docker::Docker;
use testkit::hang::{eventually, eventually_some};
use testkit::soak::Section;
use testkit::{hierarchy, process};

use crate::ctr::{Ctr, bundle, end_shims, lab, ours, shim_of};

/// Execs of one soak.
const EXECS: usize = 10_000;

/// Execs of one soak in `make test`.
const FEW: usize = EXECS / 20;

/// How many run at a time.
const AT_ONCE: usize = 8;

/// How much more memory of its own a shim may have after them, in kibibytes: what the allocator keeps for as many threads
/// as ever worked at once. Half a kibibyte lost with each of 10,000 execs is more.
const GROWTH_KIB: u64 = 4096;

fn wanted(default: usize) -> usize {
    let given = std::env::var_os("SLUICE_SOAK_EXECS").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(default)
}

/// What a shim holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    zombies: usize,
    /// Memory of its own, in kibibytes.
    memory: u64,
}

/// What a soak came to.
#[derive(Debug)]
struct Report {
    execs: usize,
    right: usize,
    paused: usize,
    disturbances: usize,
    before: Held,
    after: Held,
    seconds: u64,
}

impl Report {
    const HEAD: [&str; 9] = [
        "execs",
        "right",
        "refused while paused",
        "lost or wrong",
        "rounds of disturbance",
        "descriptors",
        "threads",
        "memory of its own, KiB",
        "seconds",
    ];

    /// Writes it to the log. That nothing was lost was asserted before.
    fn log(self, section: Section) {
        let Self { execs, right, paused, disturbances, before, after, seconds } = self;
        let change = |before: String, after: String| format!("{before}, then {after}");
        let row = vec![
            execs.to_string(),
            right.to_string(),
            paused.to_string(),
            (execs - right - paused).to_string(),
            disturbances.to_string(),
            change(before.descriptors.to_string(), after.descriptors.to_string()),
            change(before.threads.to_string(), after.threads.to_string()),
            change(before.memory.to_string(), after.memory.to_string()),
            seconds.to_string(),
        ];
        let raw = format!("{execs} execs, {right} right, {paused} refused; {before:?}, afterwards {after:?}");
        section.end(&Self::HEAD, &[row], &[raw]);
    }
}

impl Held {
    fn by(pid: i32) -> Self {
        let count = |part: &str| fs::read_dir(format!("/proc/{pid}/{part}")).unwrap().count();
        let children = process::all().into_iter().filter(|child| is_dead_child(*child, pid));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            zombies: children.count(),
            memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

fn is_dead_child(pid: i32, parent: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    fields.starts_with(&format!("Z {parent} "))
}

/// How the execs went.
#[derive(Debug, Default)]
struct Tally {
    right: AtomicUsize,
    /// Refused because the container stood still at that moment.
    paused: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    fn take(&self, number: usize, output: &Output) {
        if output.status.code() == i32::try_from(status(number)).ok() {
            self.right.fetch_add(1, Ordering::Relaxed);
        } else if is_refusal(&format!("{}{}", output.stdout, output.stderr)) {
            self.paused.fetch_add(1, Ordering::Relaxed);
        } else {
            self.wrong.lock().unwrap().push(format!("{number}: {output}"));
        }
    }

    /// How many were right, and how many refused.
    fn assert(&self, count: usize) -> (usize, usize) {
        let (right, paused) = (self.right.load(Ordering::Relaxed), self.paused.load(Ordering::Relaxed));
        let wrong = self.wrong.lock().unwrap();
        eprintln!("{count} execs: {right} right, {paused} refused while paused, {} wrong", wrong.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(right + paused, count);
        assert!(right * 2 > count, "most of them were refused");
        (right, paused)
    }
}

/// dockerd answers 409 to a start that finds a container paused after the exec was made, and with "No such exec instance",
/// its word for whatever it cannot start, when the pause falls between its two looks at that.
fn is_refusal(said: &str) -> bool {
    ["paused", "received 409", "No such exec instance"].iter().any(|words| said.contains(words))
}

/// The exit status that an exec is asked for: none that a runtime or a client uses for its own failures.
fn status(number: usize) -> usize {
    number % 60 + 2
}

/// Runs `exec` with the numbers below `count`, and `disturb` again and again meanwhile. How many were right, how many
/// refused, and how often it was disturbed.
fn run(
    count: usize,
    exec: impl Fn(usize) -> Output + Sync,
    disturb: impl Fn() + Sync,
) -> (usize, usize, usize) {
    let (next, over, tally) = (AtomicUsize::new(0), AtomicBool::new(false), Tally::default());
    let disturbances = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let execs: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        tally.take(number, &exec(number));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                disturb();
                disturbances.fetch_add(1, Ordering::Relaxed);
            }
        });
        execs.into_iter().for_each(|exec| exec.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    let (right, paused) = tally.assert(count);
    (right, paused, disturbances.into_inner())
}

/// No disturbance, for the first execs: they bring the shim to what it keeps for later ones.
fn leave_alone() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}

/// How many operations a shim is busy with, by its own dump, which also knows of no exec any more.
fn operations(pid: i32, bundle: &Path) -> usize {
    let dump = bundle.join("sluice.dump");
    let _earlier = fs::remove_file(&dump);
    process::signal(pid, Signal::USR1);
    let text = eventually_some("a dump", || fs::read_to_string(&dump).ok());
    assert!(text.contains(" execs=0\n"), "{text}");
    text.lines().find_map(|line| line.strip_prefix("operations: ")).unwrap().parse().unwrap()
}

/// Comes back when a shim holds no more than before, but for groups of execs that are kept for later ones; workers end
/// when they had nothing to do for a while.
fn assert_flat(bundle: &Path, before: &Held) -> Held {
    let pid = shim_of(bundle);
    eventually(&format!("a shim that held {before:?} to hold no more"), || {
        let now = Held::by(pid);
        now.descriptors <= before.descriptors + AT_ONCE && now.threads <= before.threads && now.zombies == 0
    });
    // A wait that nobody ends would stay.
    assert!(operations(pid, bundle) <= 1, "{}", fs::read_to_string(bundle.join("sluice.dump")).unwrap());
    let after = Held::by(pid);
    eprintln!("{before:?}, afterwards {after:?}");
    assert!(after.memory <= before.memory + GROWTH_KIB, "{before:?}, afterwards {after:?}");
    after
}

/// Groups that execs were born in; as many are kept as ever were needed at once.
fn exec_groups(group: &str) -> Vec<PathBuf> {
    let found = hierarchy::existing(group).into_iter().flat_map(|directory| hierarchy::subtree(&directory));
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sluice-exec-"))
    };
    found.filter(named).collect()
}

fn over_containerd(execs: usize) -> Option<Report> {
    let (lab, shim) = (lab()?, ours()?);
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&["--memory-limit", "268435456"], "c");
    let exec = |number: usize| {
        let script = format!("exit {}", status(number));
        ctr.exec("c", &format!("e{number}"), &["/bin/sh", "-c", &script]).run()
    };
    run(8 * AT_ONCE, |number| exec(1_020_000 + number), leave_alone);
    let (before, begun) = (Held::by(shim_of(&ctr.bundle("c"))), Instant::now());
    let disturb = || {
        for arguments in [&["tasks", "metrics", "c"][..], &["tasks", "ps", "c"], &["containers", "info", "c"]]
        {
            ctr.cli(arguments).ok();
        }
        ctr.cli(&["tasks", "pause", "c"]).ok();
        ctr.cli(&["tasks", "resume", "c"]).ok();
    };
    let (right, paused, disturbances) = run(execs, exec, disturb);
    let seconds = begun.elapsed().as_secs();
    let after = assert_flat(&ctr.bundle("c"), &before);
    assert!(exec_groups(lab.group()).len() <= 2 * AT_ONCE, "{:?}", exec_groups(lab.group()));
    ctr.remove("c");
    ctr.end();
    Some(Report { execs, right, paused, disturbances, before, after, seconds })
}

fn over_dockerd(execs: usize) -> Option<Report> {
    let (lab, shim) = (lab()?, ours()?);
    let docker = Docker::start_with_shim(&lab, &shim);
    docker.sleeper("box", &["--memory", "256m", "--pids-limit", "200"]);
    let exec =
        |number: usize| docker.cli(&["exec", "box", "sh", "-c", &format!("exit {}", status(number))]).run();
    run(8 * AT_ONCE, exec, leave_alone);
    let id = docker.inspect("box")["Id"].as_str().unwrap().to_owned();
    let bundle = bundle(&lab, "moby", &id);
    let (before, begun) = (Held::by(shim_of(&bundle)), Instant::now());
    let disturb = || {
        docker.ok(&["update", "--pids-limit", "201", "box"]);
        docker.ok(&["stats", "--no-stream", "box"]);
        docker.ok(&["inspect", "box"]);
        docker.ok(&["pause", "box"]);
        docker.ok(&["unpause", "box"]);
        docker.ok(&["update", "--pids-limit", "200", "box"]);
    };
    let (right, paused, disturbances) = run(execs, exec, disturb);
    let seconds = begun.elapsed().as_secs();
    let after = assert_flat(&bundle, &before);
    docker.ok(&["rm", "-f", "box"]);
    end_shims(&lab);
    drop(docker);
    lab.assert_nothing_left();
    Some(Report { execs, right, paused, disturbances, before, after, seconds })
}

#[test]
fn execs_over_containerd_are_all_told_of() {
    let _report = over_containerd(wanted(FEW));
}

#[test]
fn execs_over_dockerd_are_all_told_of() {
    let _report = over_dockerd(wanted(FEW));
}

#[test]
#[ignore = "soak: 10,000 execs, minutes"]
fn soak_execs_over_containerd() {
    let section = Section::begin("Execs through the shim over containerd");
    if let Some(report) = over_containerd(wanted(EXECS)) {
        report.log(section);
    }
}

#[test]
#[ignore = "soak: 10,000 execs, minutes"]
fn soak_execs_over_dockerd() {
    let section = Section::begin("Execs through the shim over dockerd");
    if let Some(report) = over_dockerd(wanted(EXECS)) {
        report.log(section);
    }
}
