//! A full pipe whose reader does not read.
//!
//! *What it sees*: a thread that sleeps in `write(2)` on a pipe, and who has the read end. If the writer is a runtime
//! or its helper, started by a shim, and the shim is the only reader, the two wait for each other for ever (EX-03). If
//! the writer is the container's program, whoever should read stands still, and the program with it (LO-01): a reader
//! that was stopped or frozen, or, behind a shim whose fifo is full as well, dockerd.
//!
//! *Why it happens*: a stock shim reads an exec's standard error only after `runc exec` has ended. A helper that dies
//! leaves a crash dump larger than the pipe, cannot finish to write it, and so `runc exec` does not end. The shim holds
//! the exec's lock meanwhile, containerd waits for the shim, dockerd for containerd with a container's lock held, and
//! every inspect queues up behind that.
//!
//! *How to confirm*: `/proc/PID/wchan` says `pipe_write`, `/proc/PID/syscall` names the descriptor, and `lsof` shows
//! the same pipe in the shim.
//!
//! *What to do*: read the pipe. The bytes are the dump that names the real cause, so they are kept. If that does not
//! help, end the one process that the shim waits for. Let a reader that was stopped go on.
//!
//! *What that costs*: the caller of the exec does not get these bytes. Whatever queued up is answered at once, hours
//! late perhaps; a kubelet may act on it and evict.
//!
//! Source: failure classes EX-03 and LO-01; field measurements with containerd 1.6 to 2.3, where 66,000 bytes are enough.

mod unread;

use crate::finding::{Finding, Severity};
use crate::graph::build;
use crate::remedy::{Action, Identity, Remedy};
use crate::rules::short;
use crate::snapshot::{End, Pipe, Process, Role};
use crate::view::View;

/// How long a process must have been there before a full pipe is more than a slow moment, milliseconds.
///
/// A healthy stream is full again and again, but its reader is somebody who reads; a shim that does not read yet is
/// normal while the runtime starts, some hundred milliseconds.
const PATIENCE_MS: u64 = 500;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for process in &view.snapshot.processes {
        let role = view.role(process.pid);
        if !matches!(role, Role::Runtime | Role::RuntimeInit | Role::InContainer) {
            continue;
        }
        let stuck = process.threads.iter().find_map(|thread| view.writing_to(process, thread));
        if let Some((pipe, end)) =
            stuck.filter(|(pipe, _)| is_full(pipe) && view.snapshot.age_ms(process) >= PATIENCE_MS)
        {
            findings.extend(match role {
                Role::InContainer => unread::finding(view, process, (pipe, end)),
                _ => finding(view, process, (pipe, end)),
            });
        }
    }
    findings
}

/// A write of up to a page waits although some bytes are free; an unknown fill is taken for full, since the writer sleeps.
fn is_full(pipe: &Pipe) -> bool {
    match (pipe.bytes, pipe.capacity) {
        (Some(bytes), Some(capacity)) => bytes.saturating_add(PAGE) >= capacity,
        _ => true,
    }
}

const PAGE: u64 = 4096;

fn finding(view: &View<'_>, writer: &Process, (pipe, end): (&Pipe, End)) -> Option<Finding> {
    let readers: Vec<&Process> =
        pipe.readers.iter().filter_map(|end| view.snapshot.process(end.pid)).collect();
    let reader = readers.iter().map(|reader| view.label(reader)).collect::<Vec<_>>().join(", ");
    let reader = if reader.is_empty() { String::from("nobody that can be seen") } else { reader };
    if !readers.iter().all(|reader| waits_for(view, reader, writer)) {
        return None;
    }
    let container = view.container_of(writer);
    let title = format!(
        "{} cannot write its error output: {reader} reads it only after that has ended",
        view.label(writer)
    );
    let mut graph = container.map(|id| build::around_container(view, id)).unwrap_or_default();
    if graph.find(&build::process_key(writer.pid)).is_none() {
        graph = build::below(view, writer);
    }
    let fill = fill(pipe);
    let subject = format!("{}/{}", short(container), writer.pid);
    let finding = Finding::new("full_pipe", &subject, Severity::Critical, title)
        .class("EX-03")
        .container(container)
        .blocker(
            Some(writer.pid),
            &view.name(writer),
            format!("write(2) to descriptor {}: pipe:[{}], {fill}, read end: {reader}", end.fd, pipe.inode),
        )
        .chain(graph.chain_to(&build::process_key(writer.pid)));
    Some(with_remedies(
        with_evidence(finding, view, writer, pipe),
        (view.started_by_shim(writer), keeper(view, view.started_by_shim(writer))),
        (writer, end, pipe),
    ))
}

/// Whether a reader stands above the writer: it waits for the writer's end before it reads.
fn waits_for(view: &View<'_>, reader: &Process, writer: &Process) -> bool {
    let mut at = writer.ppid;
    while let Some(parent) = view.snapshot.process(at) {
        if parent.pid == reader.pid {
            return true;
        }
        at = parent.ppid;
    }
    false
}

fn fill(pipe: &Pipe) -> String {
    match (pipe.bytes, pipe.capacity) {
        (Some(bytes), Some(capacity)) => format!("{bytes} of {capacity} bytes"),
        _ => String::from("fill unknown"),
    }
}

fn with_evidence(mut finding: Finding, view: &View<'_>, writer: &Process, pipe: &Pipe) -> Finding {
    for thread in &writer.threads {
        if view.writing_to(writer, thread).is_some() {
            let from = format!("/proc/{}/task/{}", writer.pid, thread.tid);
            let call = thread.call.as_ref().map(|call| {
                format!("{} on descriptor {}", call.name.as_deref().unwrap_or("?"), call.fd.unwrap_or(-1))
            });
            let place =
                thread.wchan.as_ref().map_or_else(String::new, |place| format!(", sleeps in {place}"));
            finding = finding.evidence(from, format!("{}{place}", call.unwrap_or_default()));
        }
    }
    finding = finding.evidence(format!("pipe:[{}]", pipe.inode), fill(pipe));
    for end in &pipe.readers {
        let who = view.snapshot.process(end.pid).map(|reader| view.label(reader)).unwrap_or_default();
        finding = finding.evidence(format!("/proc/{}/fd/{}", end.pid, end.fd), format!("read end, of {who}"));
    }
    finding
}

/// What people call the one that has started a runtime.
fn keeper(view: &View<'_>, runtime: &Process) -> &'static str {
    if view.role(runtime.ppid) == Role::Conmon { "conmon" } else { "shim" }
}

fn with_remedies(
    finding: Finding,
    (top, keeper): (&Process, &str),
    (writer, end, pipe): (&Process, End, &Pipe),
) -> Finding {
    let identity = Identity { pid: writer.pid, start_time: writer.start_time };
    let top_identity = Identity { pid: top.pid, start_time: top.start_time };
    let drain = Action::DrainPipe { writer: identity, fd: end.fd, inode: pipe.inode };
    finding
        .remedy(
            Remedy::act(
                "drain",
                "read the pipe until its writer goes on; the bytes are kept in a file",
                drain,
            )
            .costs("whoever called the exec does not get these bytes")
            .may_follow(
                "whatever queued up is answered at once, late; a kubelet may act on late results and evict",
            ),
        )
        .remedy(
            Remedy::act(
                "kill",
                format!("end {} with SIGKILL, for which the {keeper} waits", top.pid),
                Action::Kill { process: top_identity },
            )
            .costs(format!("this exec fails; what it wanted to say stays in the pipe, for the {keeper}"))
            .may_follow("the same as after draining"),
        )
        .remedy(
            Remedy::advise("upgrade", format!("use a {keeper} that reads the pipe while the runtime runs"))
                .costs(format!("what runs keeps its old {keeper} until it is started again")),
        )
}
