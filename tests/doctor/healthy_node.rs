//! A healthy busy node: a hundred containers (fewer on a slow machine), twenty execs a second, both daemons restarted
//! again and again. There is nothing to find, neither for a diagnosis nor for a watch.
//!
//! `make soak` keeps it busy for ten minutes and minds every finding of the host, after an idle while and one with execs
//! alone, for what a watch costs; the test without a mark does half a minute beside other tests, so it minds what is
//! said about its own containers and daemons.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::docker::{Docker, IMAGE};
use testkit::docker_api::DockerApi;
use testkit::soak::Section;
use testkit::{Doctor, Lab, Running, Runtime, case, hang, partner};

/// Containers of the node; fewer on a slow machine, where making them alone would take a quarter of an hour.
static CONTAINERS: LazyLock<usize> = LazyLock::new(|| 100 / hang::patience() as usize);

/// Execs a second, by so many callers beside each other.
const EXECS_A_SECOND: u64 = 20;
const CALLERS: u64 = 5;

/// From the end of one restart of a daemon to the next.
const RESTARTS: Duration = Duration::from_secs(8);

/// From the end of one diagnosis to the next.
const DIAGNOSES: Duration = Duration::from_millis(500);

/// Fewer say little; a slow machine works longer.
const ENOUGH: usize = 8;

/// Whose findings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Minded {
    WholeHost,
    OwnNode,
}

/// What becomes of the daemons during the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Daemons {
    Stay,
    AreRestarted,
}

/// A node in work, and what happened on it.
struct Node<'a> {
    lab: &'a Lab,
    ids: Vec<String>,
    minded: Minded,
    over: AtomicBool,
    execs: AtomicUsize,
    /// Execs that the restart of a daemon refused or cut short.
    cut: AtomicUsize,
    restarts: AtomicUsize,
    diagnoses: AtomicUsize,
    alarms: Mutex<Vec<String>>,
    /// Findings of the host before there was a node, such as a kill in the kernel's log.
    before: Vec<Value>,
}

#[test]
fn a_busy_node_gives_no_alarm() {
    on_node(Minded::OwnNode, |node, docker| {
        let watch = watch(node);
        node.work(docker, Duration::from_secs(30), Daemons::AreRestarted);
        node.hear(&watch);
        node.judge();
    });
}

#[test]
#[ignore = "soak: eighteen minutes of a node, ten of them with restarts"]
fn soak_a_busy_node_gives_no_alarm() {
    let section = Section::begin("A healthy busy node under the doctor's eyes");
    on_node(Minded::WholeHost, |node, docker| {
        let watch = watch(node);
        // As long as from one snapshot without a reason to the next.
        let idle = processor_time(&watch, || std::thread::sleep(Duration::from_mins(5)));
        let execs = processor_time(&watch, || node.work(docker, Duration::from_mins(3), Daemons::Stay));
        assert_eq!(node.cut.load(Ordering::Relaxed), 0, "nothing was restarted yet");
        let restarts =
            processor_time(&watch, || node.work(docker, Duration::from_mins(10), Daemons::AreRestarted));
        node.hear(&watch);
        node.judge();
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed).to_string();
        let mut row = [&node.execs, &node.cut, &node.restarts, &node.diagnoses].map(count).to_vec();
        row.push("0".to_owned());
        row.extend([idle, execs, restarts].map(|share| format!("{share:.2} %")));
        let raw = format!("{} containers: {}", *CONTAINERS, row.join(", "));
        let counts = ["execs", "cut by a restart", "restarts", "diagnoses", "alarms"];
        let head = [&counts[..], &["watch, idle", "watch, execs alone", "watch, restarts"]].concat();
        section.end(&head, &[row], &[raw]);
    });
}

fn on_node(minded: Minded, body: impl FnOnce(&Node<'_>, &mut Docker<'_>)) {
    case::run(Runtime::Runc, |lab| {
        if Doctor::find(lab).is_none() || partner::find("dockerd").is_none() {
            return;
        }
        let mut docker = Docker::with(lab, &settings());
        let begun = Instant::now();
        let before = Doctor::find(lab).unwrap().look()["findings"].as_array().unwrap().clone();
        let node = Node { before, ..Node::start(lab, &docker.api(), minded) };
        lab.step(&format!("{} containers run after {:.0} s", *CONTAINERS, begun.elapsed().as_secs_f64()));
        body(&node, &mut docker);
        by_callers(&node.ids, |id| docker.api().remove(id).unwrap());
    });
}

fn settings() -> Value {
    json!({"live-restore": true})
}

/// Carries something out for each of `items`, by several callers beside each other.
fn by_callers<T: Sync>(items: &[T], call: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    call(item);
                }
            });
        }
    });
}

impl<'a> Node<'a> {
    fn start(lab: &'a Lab, api: &DockerApi, minded: Minded) -> Self {
        let ids = Mutex::new(Vec::new());
        let settings =
            json!({"Image": IMAGE, "Cmd": ["sleep", "1000000"], "HostConfig": {"NetworkMode": "none"}});
        by_callers(&vec![(); *CONTAINERS], |()| {
            let id = api.run(&settings).unwrap();
            ids.lock().unwrap().push(id);
        });
        Self {
            lab,
            ids: ids.into_inner().unwrap(),
            minded,
            over: AtomicBool::new(false),
            execs: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            restarts: AtomicUsize::new(0),
            diagnoses: AtomicUsize::new(0),
            alarms: Mutex::new(Vec::new()),
            before: Vec::new(),
        }
    }

    fn work(&self, docker: &mut Docker<'_>, length: Duration, daemons: Daemons) {
        let api = docker.api();
        self.over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let api = &api;
                scope.spawn(move || self.execs(api, usize::try_from(caller).unwrap()));
            }
            scope.spawn(|| self.diagnoses());
            let begun = Instant::now();
            while begun.elapsed() < length || self.diagnoses.load(Ordering::Relaxed) < ENOUGH {
                if daemons == Daemons::AreRestarted {
                    restart(docker, self.restarts.fetch_add(1, Ordering::Relaxed));
                }
                std::thread::sleep(RESTARTS);
            }
            self.over.store(true, Ordering::Relaxed);
        });
    }

    /// One caller: an exec in each container in turn, at a pace.
    fn execs(&self, api: &DockerApi, first: usize) {
        let period = Duration::from_millis(1000 * CALLERS / EXECS_A_SECOND);
        let programs: [&[&str]; 2] = [&["true"], &["sh", "-c", "sleep 0.1; echo healthy"]];
        let begun = Instant::now();
        for (turn, id) in (0_u32..).zip(self.ids.iter().cycle().skip(first)) {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            if !matches!(api.exec(id, programs[turn as usize % programs.len()]), Ok(Some(0))) {
                self.cut.fetch_add(1, Ordering::Relaxed);
            }
            self.execs.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep((period * (turn + 1)).saturating_sub(begun.elapsed()));
        }
    }

    fn diagnoses(&self) {
        let doctor = Doctor::find(self.lab).unwrap();
        while !self.over.load(Ordering::Relaxed) {
            let diagnosis = doctor.look();
            diagnosis["findings"].as_array().unwrap().iter().for_each(|finding| self.mind(finding));
            self.diagnoses.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(DIAGNOSES);
        }
    }

    /// What a watch has told.
    fn hear(&self, watch: &Running) {
        assert!(!watch.has_ended(), "{}", watch.stderr());
        for line in watch.stdout().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            if event["event"] == "onset" {
                self.mind(&event["finding"]);
            }
        }
    }

    /// Keeps a finding that should not be there.
    fn mind(&self, finding: &Value) {
        let text = finding.to_string();
        let names_us = self.ids.iter().any(|id| text.contains(id.as_str()));
        let is_old = self.before.iter().any(|before| before["id"] == finding["id"]);
        let is_alarm = finding["severity"] != "notice" && !is_old;
        if names_us || is_alarm && (self.minded == Minded::WholeHost || self.is_ours(finding)) {
            self.alarms.lock().unwrap().push(format!("{finding:#}"));
        }
    }

    /// Whether the blocker, or what the finding is about, is one of the node's processes.
    fn is_ours(&self, finding: &Value) -> bool {
        let own = self.lab.processes();
        let subject = finding["id"].as_str().and_then(|id| id.rsplit('/').next()?.parse().ok());
        let blocker = finding["blocker"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        [subject, blocker].into_iter().flatten().any(|pid: i32| own.contains(&pid))
    }

    /// Nothing was found on a node that was busy.
    fn judge(&self) {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let (execs, cut) = (count(&self.execs), count(&self.cut));
        let (restarts, diagnoses) = (count(&self.restarts), count(&self.diagnoses));
        self.lab
            .step(&format!("{execs} execs, {cut} of them cut, {restarts} restarts, {diagnoses} diagnoses"));
        assert!(cut < execs && restarts > 1, "the node was not busy");
        let alarms = self.alarms.lock().unwrap();
        assert!(alarms.is_empty(), "{} alarms:\n{}", alarms.len(), alarms.join("\n"));
    }
}

/// One restart: of dockerd and of containerd in turn. Containers go on.
fn restart(docker: &mut Docker<'_>, turn: usize) {
    if turn.is_multiple_of(2) {
        docker.stop_daemon(Signal::TERM);
        docker.start_daemon(&settings());
    } else {
        docker.containerd.stop();
        docker.containerd.start_again();
    }
}

fn watch(node: &Node<'_>) -> Running {
    let folder = node.lab.path("watch");
    Doctor::find(node.lab).unwrap().cli(&["watch", "--state"]).args([folder]).spawn()
}

/// Processor time of a process and of the children it has waited for while something happens, in percent of one processor.
fn processor_time(process: &Running, meanwhile: impl FnOnce()) -> f64 {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(4);
        fields.map(|field| field.parse::<u32>().unwrap()).sum::<u32>()
    };
    let (before, begun) = (ticks(), Instant::now());
    meanwhile();
    // A tick is 10 ms.
    f64::from(ticks() - before) / begun.elapsed().as_secs_f64()
}
