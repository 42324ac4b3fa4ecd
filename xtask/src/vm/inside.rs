//! `xtask vm-inside FOLDER`: the runner in the guest. A process per test, a few at a time.
//!
//! systemd starts it when the system is up, and powers off when it ends.

mod child;
mod queue;

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::vm::event::{Event, Outcome, PORT};
use crate::vm::plan::{self, Plan, Planned};

use child::Surroundings;
use queue::Queue;

/// How often the host hears that the runner lives.
const BEAT: Duration = Duration::from_secs(5);

/// How long udev may take to make the port's file: the system can be up before its driver is.
const PORT_LIMIT: Duration = Duration::from_mins(2);

/// Runs the plan of the folder given and tells the host; what keeps it from that is told on the console.
///
/// # Errors
/// When the plan or the port is missing.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    run_plan(arguments).inspect_err(|failure| {
        let console = File::options().write(true).open("/dev/console");
        let _no_console =
            console.and_then(|mut console| writeln!(console, "vm-inside: {failure}: {failure:?}"));
    })
}

fn run_plan(arguments: &[String]) -> Result<ExitCode, Failure> {
    let folder = arguments.first().map(PathBuf::from);
    let folder = folder.ok_or_else(|| Failure::Usage("which folder has the plan?".to_owned()))?;
    let path = folder.join(plan::FILE);
    let plan: Plan = serde_json::from_slice(&crate::workspace::read_bytes(&path)?)
        .map_err(|source| Failure::Answer { program: "the host", source })?;
    let port = Port::open()?;
    keep_controllers(Path::new("/sys/fs/cgroup"));
    port.send(&Event::Hello { kernel: release(), tests: plan.tests.len() });
    let tally = run_all(&plan, &folder, &port);
    port.send(&Event::Summary { passed: tally.passed, failed: tally.failed });
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes a group that hands controllers down: without one systemd takes them from the root whenever the last of its own
/// units needs them no more, also while a test hands them down.
fn keep_controllers(root: &Path) {
    let anchor = root.join("sluice-anchor");
    let _there_already = std::fs::create_dir(&anchor);
    for controller in ["cpuset", "cpu", "io", "memory", "pids"] {
        for group in [root, &anchor] {
            let file = File::options().write(true).open(group.join("cgroup.subtree_control"));
            let _not_here = file.and_then(|mut file| write!(file, "+{controller}"));
        }
    }
}

/// What became of how many.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed | Outcome::Hung => self.failed += 1,
            Outcome::Again => {}
        }
    }
}

/// Starts the workers, and speaks while they work.
fn run_all(plan: &Plan, folder: &Path, port: &Port) -> Tally {
    let surroundings = Surroundings::new(folder, plan.patience);
    let queue = Queue::new(&plan.tests);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| work(&queue, &surroundings, port, &tally));
        }
        while !queue.wait_until_done(BEAT) {
            port.send(&Event::Alive);
        }
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One worker: takes tests until none is left.
fn work(queue: &Queue<'_>, surroundings: &Surroundings, port: &Port, tally: &Mutex<Tally>) {
    while let Some(planned) = queue.take() {
        let outcome = tried(planned, surroundings, port);
        tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).count(outcome);
        queue.done(planned);
    }
}

/// Runs a test as often as it may be tried, and tells the host of each time.
fn tried(planned: &Planned, surroundings: &Surroundings, port: &Port) -> Outcome {
    let mut left = planned.tries;
    loop {
        left = left.saturating_sub(1);
        port.send(&Event::Started { name: planned.name.clone() });
        let run = child::run(planned, surroundings);
        let outcome = match run.outcome {
            Outcome::Failed | Outcome::Hung if left > 0 => Outcome::Again,
            outcome => outcome,
        };
        let ms = u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX);
        port.send(&Event::Ended { name: planned.name.clone(), outcome, ms, output: run.output });
        if outcome != Outcome::Again {
            return outcome;
        }
    }
}

/// The way to the host.
struct Port {
    file: Mutex<File>,
}

impl Port {
    fn open() -> Result<Self, Failure> {
        let path = Path::new("/dev/virtio-ports").join(PORT);
        let begun = Instant::now();
        loop {
            match File::options().write(true).open(&path) {
                Ok(file) => return Ok(Self { file: Mutex::new(file) }),
                Err(source) if source.kind() != ErrorKind::NotFound || begun.elapsed() > PORT_LIMIT => {
                    return Err(Failure::File { operation: "open", path, source });
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Sends one event. When the host is gone there is nobody to tell; it misses the summary then.
    fn send(&self, event: &Event) {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _host_gone = file.write_all(format!("{}\n", event.line()).as_bytes());
    }
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
