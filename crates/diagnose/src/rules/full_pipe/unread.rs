//! LO-01: a container's program that cannot write, because whoever should read its output stands still.
//!
//! A shim that cannot pass the output on reads no more of it; so the one that stands still is looked for behind it.

use crate::finding::{Finding, Link, Severity};
use crate::graph::build;
use crate::remedy::{Action, Remedy};
use crate::rules::short;
use crate::rules::stopped_daemon::{Halt, LATE};
use crate::snapshot::{Cgroup, End, Pipe, Process, Role};
use crate::view::View;

/// Why somebody does not go on.
enum Stop<'a> {
    Halt(Halt),
    Freezer(&'a Cgroup),
    Kernel,
}

/// A reader on the way of the output, and the pipe that it should read.
type Step<'a> = (&'a Process, &'a Pipe);

/// A finding, unless somebody reads or will in a moment.
pub(super) fn finding<'a>(
    view: &View<'a>,
    writer: &'a Process,
    (pipe, end): (&'a Pipe, End),
) -> Option<Finding> {
    let container = view.container_of(writer);
    let way = way(view, pipe, container)?;
    let (reader, _) = *way.last()?;
    let stop = stop(view, reader)?;
    let label = view.label(reader);
    let title = format!("{} is blocked in writing its output: {label} {}", view.label(writer), stop.says());
    let is_daemon = matches!(view.role(reader.pid), Role::Engine | Role::Containerd | Role::Crio);
    let severity = if is_daemon { Severity::Critical } else { Severity::Warning };
    let mut finding =
        Finding::new("full_pipe", &format!("{}/{}", short(container), writer.pid), severity, title)
            .class("LO-01")
            .container(container)
            .blocker(Some(reader.pid), &view.name(reader), stop.waits_for())
            .chain(chain(view, writer, (&way, &stop)))
            .evidence(format!("/proc/{}/fd/{}", writer.pid, end.fd), "sleeps in write(2) on this descriptor");
    for (reader, pipe) in &way {
        let place = pipe.path.clone().unwrap_or_else(|| format!("pipe:[{}]", pipe.inode));
        finding =
            finding.evidence(place, format!("{}, to be read by {}", super::fill(pipe), view.label(reader)));
    }
    let state = format!("{label}, state {}", reader.state);
    Some(finding.evidence(format!("/proc/{}/stat", reader.pid), state).remedy(remedy(view, reader, &stop)))
}

/// From the pipe to whoever stands still: its readers do, or its one reader passes on what nobody takes.
fn way<'a>(view: &View<'a>, pipe: &'a Pipe, container: Option<&str>) -> Option<Vec<Step<'a>>> {
    let readers = readers(view, pipe);
    if let Some(first) = readers.first().filter(|_| readers.iter().all(|it| stop(view, it).is_some())) {
        return Some(vec![(first, pipe)]);
    }
    let [shim] = readers[..] else { return None };
    if !matches!(view.role(shim.pid), Role::Shim | Role::Conmon) {
        return None;
    }
    let is_its = |it: &&Pipe| it.path.as_deref().zip(container).is_some_and(|(path, id)| path.contains(id));
    let fed = view
        .snapshot
        .pipes
        .iter()
        .filter(is_its)
        .filter(|it| it.writers.iter().any(|end| end.pid == shim.pid));
    let stuck = fed.filter(|it| it.bytes.is_some() && super::is_full(it));
    let mut ends = stuck.filter_map(|next| {
        let readers: Vec<&Process> =
            self::readers(view, next).into_iter().filter(|it| it.pid != shim.pid).collect();
        let first = readers.first().filter(|_| readers.iter().all(|it| is_stopped(view, it)))?;
        Some((*first, next))
    });
    Some(vec![(shim, pipe), ends.next()?])
}

/// Processes with the read end, each once.
fn readers<'a>(view: &View<'a>, pipe: &Pipe) -> Vec<&'a Process> {
    let mut pids: Vec<i32> = pipe.readers.iter().map(|end| end.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(|pid| view.snapshot.process(pid)).collect()
}

/// Why a process does not go on; nothing for one that is merely slow.
fn stop<'a>(view: &View<'a>, process: &Process) -> Option<Stop<'a>> {
    let halt = Halt::by_state(process.state).map(Stop::Halt);
    let in_kernel = || (process.state == 'D').then_some(Stop::Kernel);
    halt.or_else(|| build::frozen_by(view, process).map(Stop::Freezer)).or_else(in_kernel)
}

/// Whether it stands still until somebody lets it go on: a busy daemon sleeps in the kernel for moments, and stops for
/// moments when it is traced.
fn is_stopped(view: &View<'_>, process: &Process) -> bool {
    process.state == 'T' || build::frozen_by(view, process).is_some()
}

impl Stop<'_> {
    fn says(&self) -> &'static str {
        match self {
            Self::Halt(Halt::Signal) => "is stopped and does not read",
            Self::Halt(Halt::Tracer) => "is held by a tracer and does not read",
            Self::Freezer(_) => "is frozen and does not read",
            Self::Kernel => "sleeps in the kernel and does not read",
        }
    }

    fn waits_for(&self) -> String {
        match self {
            Self::Halt(halt) => halt.waits_for().to_owned(),
            Self::Freezer(group) => format!("the freezer {} to thaw", group.directory),
            Self::Kernel => String::from("the kernel, in uninterruptible sleep"),
        }
    }
}

fn chain(view: &View<'_>, writer: &Process, (way, stop): (&[Step<'_>], &Stop<'_>)) -> Vec<Link> {
    let label = |process: &Process| view.label(process);
    let mut chain = Vec::new();
    let mut who = label(writer);
    for (reader, _) in way {
        chain.push(Link { who, waits_for: format!("write(2): {} does not read", label(reader)) });
        who = label(reader);
    }
    chain.push(Link { who, waits_for: stop.waits_for() });
    chain
}

fn remedy(view: &View<'_>, reader: &Process, stop: &Stop<'_>) -> Remedy {
    match stop {
        Stop::Halt(halt) => halt.remedy(view, reader),
        Stop::Freezer(group) => {
            Remedy::act("thaw", "thaw the group", Action::Thaw { group: group.directory.clone() })
                .costs("what was paused runs again")
                .may_follow(LATE)
        }
        Stop::Kernel => {
            Remedy::advise("server", "bring back what it waits for: a disk, a file server").may_follow(LATE)
        }
    }
}
