//! What every operation of this process waits for, and since when: on SIGUSR1, into a file.
//!
//! The file needs no reader and is put into its place in one step, so that a process whose log nobody reads, or one that
//! is asked twice, still tells. The threads are told of as the kernel sees them: what a worker is stuck in stands there.

use crate::replace::replace;
use proc::Procfs;
use rustix::io::Errno;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the file in the bundle.
pub const NAME: &str = "sluice.dump";

/// An operation under way.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Name of the call.
    pub name: String,
    /// The container.
    pub id: String,
    /// The exec; empty for the container itself.
    pub exec_id: String,
    /// What it waits for.
    pub stage: String,
    /// Since when it runs.
    pub since: Instant,
    /// Since when it waits for that.
    pub stage_since: Instant,
}

/// What a dump says.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// Operations, the oldest first.
    pub operations: Vec<Waiting>,
    /// Everything else: a heading and one line of text each.
    pub parts: Vec<(&'static str, String)>,
}

impl Dump {
    /// The text, with the threads of this process as the kernel sees them. May sleep in the kernel.
    #[must_use]
    pub fn render(&self, now: Instant) -> String {
        let mut text = format!("format 1\npid {}\n", std::process::id());
        for (heading, line) in &self.parts {
            let _ = writeln!(text, "{heading}: {line}");
        }
        let _ = writeln!(text, "operations: {}", self.operations.len());
        for operation in &self.operations {
            let Waiting { name, id, exec_id, stage, .. } = operation;
            let (age, waited) = (seconds(now, operation.since), seconds(now, operation.stage_since));
            let _ = writeln!(
                text,
                "  {name} container={id:?} exec={exec_id:?} age={age} waits-for={stage:?} since={waited}"
            );
        }
        if let Ok(proc) = Procfs::host() {
            text.push_str(&threads(&proc));
        }
        text
    }

    /// Puts the text into the bundle.
    ///
    /// # Errors
    /// What the kernel said; the file that was there stays.
    pub fn write(&self, bundle: &Path, now: Instant) -> Result<(), Errno> {
        replace(bundle, NAME, self.render(now).as_bytes())
    }
}

fn seconds(now: Instant, then: Instant) -> String {
    let age: Duration = now.saturating_duration_since(then);
    format!("{:.3}s", age.as_secs_f64())
}

/// Own threads may be looked at without a right, and without waiting for them.
fn threads(proc: &Procfs) -> String {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let threads = proc.threads(own);
    let mut text = format!("threads: {}\n", threads.len());
    for tid in threads {
        let read = |file: &str| {
            let text = proc.read(Path::new(&format!("self/task/{tid}/{file}"))).unwrap_or_default();
            text.trim().to_owned()
        };
        let state = proc::pid::Stat::parse(&read("stat")).map_or('?', |stat| stat.state);
        let (name, wchan, call) = (read("comm"), read("wchan"), read("syscall"));
        let call = call.split_ascii_whitespace().next().unwrap_or("?");
        let _ = writeln!(text, "  {tid} ({name}) state={state} wchan={wchan} system-call={call}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_who_waits_for_what_since_when() {
        let since = Instant::now();
        let dump = Dump {
            operations: vec![Waiting {
                name: "Pause".to_owned(),
                id: "c1".to_owned(),
                exec_id: String::new(),
                stage: "freeze the container".to_owned(),
                since,
                stage_since: since + Duration::from_secs(1),
            }],
            parts: vec![("events", "3 waiting".to_owned())],
        };
        let text = dump.render(since + Duration::from_millis(2500));
        let line =
            "  Pause container=\"c1\" exec=\"\" age=2.500s waits-for=\"freeze the container\" since=1.500s";
        assert!(text.lines().any(|found| found == line), "{text}");
        assert!(text.contains("\nevents: 3 waiting\n"), "{text}");
        let own = format!("  {} (", std::process::id());
        assert!(text.contains(&own), "no thread of this process: {text}");
    }

    #[test]
    fn it_is_in_the_bundle() {
        let bundle = tempfile::tempdir().unwrap();
        Dump::default().write(bundle.path(), Instant::now()).unwrap();
        let text = std::fs::read_to_string(bundle.path().join(NAME)).unwrap();
        assert!(text.starts_with("format 1\npid "), "{text}");
    }
}
