//! ST-01: the kernel's log says that a runtime was killed for memory in a group where it was alone.
//!
//! ```text
//!   Tasks state (memory values in pages):
//!   [  pid  ]   uid  tgid total_vm      rss ... oom_score_adj name
//!   [  19382]     0 19382   272429     2055 ...             0 runc:[2:INIT]
//!   oom-kill:constraint=CONSTRAINT_MEMCG,...,task_memcg=/docker/1e26...,task=runc:[2:INIT],pid=19382,uid=0
//! ```
//! Kernel: the last line is so since 5.0. Before, such a start is told by the lines of its runtime alone.

use std::collections::BTreeMap;

use crate::collect::process::container_id;
use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::rules::short;
use crate::snapshot::KernelLine;
use crate::view::View;

use super::{KILL, field, recent};

/// A start that was killed.
struct Killed<'a> {
    group: &'a str,
    line: &'a KernelLine,
}

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut killed: BTreeMap<&str, Vec<&KernelLine>> = BTreeMap::new();
    for start in starts(view) {
        killed.entry(start.group).or_default().push(start.line);
    }
    killed.into_iter().filter_map(|(group, lines)| finding(view, group, &lines)).collect()
}

fn starts<'a>(view: &View<'a>) -> Vec<Killed<'a>> {
    let mut names: Vec<&str> = Vec::new();
    let mut killed = Vec::new();
    for line in recent(view) {
        if line.text.starts_with("Tasks state") {
            names.clear();
        } else if is_row(&line.text) {
            names.extend(line.text.split_ascii_whitespace().last());
        } else if let Some(rest) = line.text.strip_prefix(KILL) {
            let alone = !names.is_empty() && names.drain(..).all(is_runtime);
            let group = field(rest, "task_memcg=");
            let task = rest.split(",task=").nth(1).and_then(|rest| rest.split(',').next());
            if let (Some(group), true) = (group, alone && task.is_some_and(is_runtime)) {
                killed.push(Killed { group, line });
            }
        }
    }
    killed
}

/// Whether a line is one of a task: it begins with a pid, of up to seven digits, in brackets.
fn is_row(text: &str) -> bool {
    let pid = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    pid.is_some_and(|(pid, _)| pid.trim().parse::<u32>().is_ok())
}

/// Names of runtimes before they become the container's program.
fn is_runtime(name: &str) -> bool {
    name.starts_with("runc:[") || matches!(name, "runc" | "crun" | "sluice" | "youki")
}

fn finding(view: &View<'_>, group: &str, lines: &[&KernelLine]) -> Option<Finding> {
    let id = container_id(group);
    let lives = view.snapshot.processes.iter().any(|process| {
        process.cgroups.iter().any(|member| member.path == group) || id.is_some() && process.container == id
    });
    if lives {
        return None;
    }
    let times = if lines.len() == 1 { String::from("once") } else { format!("{} times", lines.len()) };
    let subject = id.as_deref().map_or(group, |id| short(Some(id)));
    let title = format!("the memory limit of {group} killed its container while that started, {times}");
    let mut finding = Finding::new("memory_limit", subject, Severity::Warning, title)
        .class("ST-01")
        .container(id.as_deref())
        .blocker(None, "memory limit", format!("memory in {group}: less than a runtime needs to start"));
    for line in lines.iter().rev().take(4) {
        finding = finding.evidence("kernel log", &line.text);
    }
    Some(
        finding
            .remedy(
                Remedy::advise("raise", "raise the limit, and look at its unit: 1000 is bytes")
                    .costs("memory of the host"),
            )
            .remedy(Remedy::advise("runtime", "crun and sluice need less to start than runc")),
    )
}
