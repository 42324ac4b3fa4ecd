//! The big counts, and the log that keeps them: `docs/soak.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use testkit::{Config, Lab, Runtime, partner};

/// Execs of one soak.
const EXECS: usize = 5000;

/// A section of the log, begun before the counting: the commit is the one that was tested.
pub(crate) struct Section {
    title: String,
}

impl Section {
    pub(crate) fn begin(what: &str) -> Self {
        Section { title: format!("{what}: {}, commit {}", first_line("date", &["-u", "+%F"]), commit()) }
    }

    /// Adds a table of counts to the log, then the raw lines it was made of.
    pub(crate) fn end(self, head: &[&str], rows: &[Vec<String>], raw: &[String]) {
        let mut text = format!("\n## {}\n\n", self.title);
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(head.iter().map(ToString::to_string).collect()));
        text.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
        rows.iter().for_each(|row| text.push_str(&line(row.clone())));
        writeln!(text, "\n```text\n{}\n```", raw.join("\n")).unwrap();
        eprintln!("{text}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/soak.md");
        let mut whole = std::fs::read_to_string(&path).unwrap_or_default();
        whole.push_str(&text);
        std::fs::write(path, whole).unwrap();
    }
}

fn commit() -> String {
    let changed = if first_line("git", &["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
    format!("{}{changed}", first_line("git", &["rev-parse", "--short", "HEAD"]))
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned()
}

#[test]
#[ignore = "soak: 5,000 execs against updates, minutes"]
fn soak_execs_against_updates() {
    let Some(binary) = Runtime::Sluice.find().filter(|_| partner::is_root()) else { return };
    let section = Section::begin("Execs against updates");
    let lab = Lab::new(Runtime::Sluice, binary);
    let c = lab.started(&Config::new().set("/linux/resources/pids", json!({"limit": 1000})));
    let (over, updates, states) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = std::time::Instant::now();
    let mut refused = Vec::new();
    let again = |count: &AtomicUsize, command: &dyn Fn() -> testkit::Output| {
        while !over.load(Ordering::Relaxed) {
            command().ok();
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for limit in ["900", "901"] {
            let (again, updates, c) = (&again, &updates, &c);
            scope.spawn(move || again(updates, &|| c.verb("update", &["--pids-limit", limit], &[]).run()));
        }
        scope.spawn(|| again(&states, &|| c.verb("state", &[], &[]).run()));
        for _ in 0..EXECS {
            let exec = c.exec(&["true"]);
            if !exec.status.success() {
                refused.push(exec.to_string());
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed).to_string();
    let row = vec![
        EXECS.to_string(),
        refused.len().to_string(),
        count(&updates),
        count(&states),
        begun.elapsed().as_secs().to_string(),
    ];
    let raw = format!(
        "{EXECS} execs, {} refused, {} updates, {} states",
        refused.len(),
        count(&updates),
        count(&states)
    );
    let head = ["execs", "of them refused", "updates meanwhile", "states meanwhile", "seconds"];
    section.end(&head, &[row], &[vec![raw], refused.clone()].concat());
    assert!(refused.is_empty());
    lab.assert_nothing_left();
}
