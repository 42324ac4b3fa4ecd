//! The log of the big counts: `docs/soak.md`.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// A section of the log, begun before the counting: the commit is the one that was tested.
#[derive(Debug)]
pub struct Section {
    title: String,
}

impl Section {
    /// Notes what is counted, when, and of which commit.
    #[must_use]
    pub fn begin(what: &str) -> Self {
        Section { title: format!("{what}: {}, commit {}", first_line("date", &["-u", "+%F"]), commit()) }
    }

    /// Adds a table of counts to the log, then the raw lines it was made of.
    ///
    /// # Panics
    /// When the log cannot be written.
    pub fn end(self, head: &[&str], rows: &[Vec<String>], raw: &[String]) {
        let mut text = format!("\n## {}\n\n", self.title);
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(head.iter().map(ToString::to_string).collect()));
        text.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
        rows.iter().for_each(|row| text.push_str(&line(row.clone())));
        writeln!(text, "\n```text\n{}\n```", raw.join("\n")).unwrap();
        eprintln!("{text}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/soak.md");
        // Several tests end their sections at a time.
        let mut log = OpenOptions::new().append(true).create(true).open(path).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    }
}

fn commit() -> String {
    // A section that another test has ended is no change.
    let besides_the_log = ["status", "--porcelain", "--", ":/", ":(top,exclude)docs/soak.md"];
    let changed = if first_line("git", &besides_the_log).is_empty() { "" } else { " with changes" };
    format!("{}{changed}", first_line("git", &["rev-parse", "--short", "HEAD"]))
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned()
}
