//! The last lines of the journal and of log files. Logs of containers are not read: their owners write them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::folder::Folder;
use super::piece::Piece;
use super::worker::Visit;
use crate::redact;
use crate::snapshot::{FdTarget, LogLine, Process, Role, role};

/// Log files of daemons and of the system.
const FILES: &[&str] = &[
    "var/log/messages",
    "var/log/syslog",
    "var/log/daemon.log",
    "var/log/docker.log",
    "var/log/docker",
    "var/log/containerd.log",
    "var/log/kubelet.log",
    "var/log/upstart/docker.log",
    "var/log/crio.log",
];

/// The unit that stands for the journal.
const JOURNAL: &str = "journal";

/// Most bytes from the end of a file, and most lines of the journal.
const TAIL: usize = 512 << 10;
const MOST_OF_JOURNAL: &str = "3000";

/// Longest line that is kept, in bytes.
const LONGEST: usize = 8 << 10;

/// Units of the journal that are asked for.
const UNITS: &[&str] = &["docker", "containerd", "kubelet", "crio", "cri-docker", "podman"];

/// The well-known places, and the journal of a live system.
pub(super) fn units(live: bool) -> Vec<String> {
    let journal = live.then_some(JOURNAL);
    FILES.iter().copied().chain(journal).map(str::to_owned).collect()
}

/// Regular files that daemons have as standard output or standard error.
pub(super) fn of_daemons(processes: &[Process]) -> Vec<String> {
    let is_daemon = |it: &&Process| {
        let role = role::by_name(it);
        matches!(role, Role::Engine | Role::Containerd | Role::Crio | Role::Kubelet)
            && !it.is_in_a_pid_namespace()
            && it.container.is_none()
    };
    let fds = processes.iter().filter(is_daemon).flat_map(|it| &it.fds);
    let mut paths: Vec<String> = fds
        .filter(|fd| matches!(fd.number, 1 | 2))
        .filter_map(|fd| match &fd.target {
            FdTarget::Path { path } if !path.starts_with("/dev/") => {
                Some(path.trim_start_matches('/').to_owned())
            }
            _ => None,
        })
        .filter(|path| !FILES.contains(&path.as_str()))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Reads one of them.
pub(super) fn read(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    if visit.unit == JOURNAL {
        visit.about("program");
        return journal(root).map(Piece::Log).into_iter().collect();
    }
    visit.about("file");
    let Ok(text) = root.tail(visit.unit, TAIL) else { return Vec::new() };
    let source = format!("/{}", visit.unit);
    let lines =
        text.lines().map(|line| LogLine { source: source.clone(), text: kept(line), ..LogLine::default() });
    vec![Piece::Log(lines.collect())]
}

/// A line without secrets and not longer than what is kept.
fn kept(line: &str) -> String {
    let end = (0..=LONGEST.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
    redact::text(&line[..end])
}

/// Asks `journalctl`, if there is a journal; the worker's deadline is its deadline.
fn journal(root: &Folder) -> Option<Vec<LogLine>> {
    let is_there = |path| root.folder(path).is_ok();
    if !is_there("var/log/journal") && !is_there("run/log/journal")
        || !Path::new("/usr/bin/journalctl").exists()
    {
        return None;
    }
    let mut command = Command::new("/usr/bin/journalctl");
    command.args(["--boot", "--no-pager", "--quiet", "--output=json", "--lines", MOST_OF_JOURNAL]);
    command.arg("--output-fields=MESSAGE,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER");
    command.args(UNITS.iter().map(|unit| format!("--unit={unit}")));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(journal_line).collect())
}

/// The fields of one entry that are asked for.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE")]
    message: serde_json::Value,
    #[serde(rename = "_SYSTEMD_UNIT")]
    unit: Option<String>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<String>,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    realtime_us: Option<String>,
}

/// One line of `journalctl --output=json`. A message that is not UTF-8 stands there as an array of bytes.
#[must_use]
pub fn journal_line(line: &str) -> Option<LogLine> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    let message = match entry.message {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    let at_ms = entry.realtime_us.and_then(|text| text.parse::<u64>().ok()).map(|us| us / 1000);
    let unit = entry.unit.or(entry.identifier);
    Some(LogLine { source: JOURNAL.to_owned(), unit, at_ms, text: kept(&message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_journal_is_a_line() {
        let line = r#"{"MESSAGE":"exec failed: EOF","_SYSTEMD_UNIT":"docker.service","__REALTIME_TIMESTAMP":"1763683200000001","__CURSOR":"x"}"#;
        let found = journal_line(line).unwrap();
        assert_eq!((found.at_ms, found.unit.as_deref()), (Some(1_763_683_200_000), Some("docker.service")));
        assert_eq!(journal_line(r#"{"MESSAGE":[104,105]}"#).unwrap().text, "hi");
        assert_eq!(journal_line(r#"{"MESSAGE":null}"#), None);
        assert_eq!(journal_line("nonsense"), None);
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(kept(&"é".repeat(LONGEST)).len(), LONGEST);
    }
}
