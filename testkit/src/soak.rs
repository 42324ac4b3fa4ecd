//! The log of the big counts: `docs/soak.md`.

use std::fmt::Write as _;
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
