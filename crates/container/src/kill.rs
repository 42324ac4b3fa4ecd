//! `kill`: a signal to a container's init, or to everything in it.

use crate::config::NamespaceType;
use crate::record::{ProcessId, Record};
use crate::{ContainerId, Error, Status, Store, evidence, members, pause, status};
use cgroup::Cgroup;
use launch::Process;
use proc::Procfs;
use rustix::io::Errno;
use rustix::process::Signal;

/// Who gets the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Init.
    Init,
    /// Every process (`--all`).
    All,
}

/// A container can have more processes than the caller may have descriptors.
const MOST_PIDFDS: usize = 128;

/// Sends a signal by its number.
///
/// SIGKILL reaches every process of a container without a pid namespace of its own, and one that is paused: it is
/// thawed, else the signal would wait. Nobody's end is waited for: in an uninterruptible sleep it may be far.
///
/// # Errors
/// [`Error::NotRunning`] when init has ended and `scope` is not [`Scope::All`], [`Error::Signal`],
/// [`Error::UnknownSignal`].
pub fn kill(store: &Store, id: &ContainerId, signal: i32, scope: Scope) -> Result<(), Error> {
    deliver(&store.entry(id)?.read()?, signal, scope)
}

/// Sends a signal to every process of the container that has, or had, this init: the id may be another's by now.
///
/// # Errors
/// [`Error::NotRunning`] when the container of that id has another init; as [`kill`].
pub fn kill_all_of(store: &Store, id: &ContainerId, signal: i32, init: ProcessId) -> Result<(), Error> {
    let record = store.entry(id)?.read()?;
    if record.init != Some(init) {
        return Err(record.not_running());
    }
    deliver(&record, signal, Scope::All)
}

fn deliver(record: &Record, signal: i32, scope: Scope) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let observed = status::observe(&proc, record)?;
    let cgroup = Cgroup::new(record.cgroup.clone());
    let is_kill = signal == Signal::KILL.as_raw();
    match (&observed.init, scope) {
        (Some(init), _) if cgroup.paths().is_empty() => {
            return without_cgroup(&proc, record, init, (signal, scope));
        }
        (Some(_), _) if is_kill && (scope == Scope::All || !has_own_pids(record)) => {
            return kill_all(&proc, &cgroup);
        }
        (Some(init), Scope::Init) => to_init(record, init, signal)?,
        (None, Scope::Init) => return Err(record.not_running()),
        (_, Scope::All) => return to_all(&cgroup, signal),
    }
    if is_kill && observed.status == Status::Paused {
        return cgroup.thaw(pause::LIMIT).map_err(Error::Cgroup);
    }
    Ok(())
}

/// The verb is done when everybody has the signal; `delete` is who waits for their end.
fn kill_all(proc: &Procfs, cgroup: &Cgroup) -> Result<(), Error> {
    for pid in cgroup.signal_kill(pause::LIMIT).map_err(Error::Cgroup)? {
        if let ('D', place) = evidence::whereabouts(proc, pid) {
            log::warn!("process {pid} was killed and does not end yet: it is in state D, waits in {place}");
        }
    }
    Ok(())
}

/// What has neither a cgroup nor a pid namespace of its own is not known beyond its init.
fn without_cgroup(
    proc: &Procfs,
    record: &Record,
    init: &Process,
    (signal, scope): (i32, Scope),
) -> Result<(), Error> {
    let is_kill = signal == Signal::KILL.as_raw();
    if scope == Scope::Init || is_kill {
        if is_kill && !has_own_pids(record) {
            log::warn!(
                "container {} has neither cgroup nor pid namespace: only its init is killed",
                record.id
            );
        }
        return to_init(record, init, signal);
    }
    for pids in members::pids(proc, record, init, "signal all processes of")?.chunks(MOST_PIDFDS) {
        let held: Vec<Process> = pids.iter().filter_map(|pid| hold(*pid)).collect();
        let members = members::pids(proc, record, init, "signal all processes of")?;
        send_each(&held, &members, signal)?;
    }
    Ok(())
}

/// Whether the container's processes end with its init: it has a pid namespace made for it.
pub(crate) fn has_own_pids(record: &Record) -> bool {
    record
        .namespaces
        .iter()
        .any(|namespace| namespace.kind == NamespaceType::Pid && namespace.path().is_none())
}

fn to_all(cgroup: &Cgroup, signal: i32) -> Result<(), Error> {
    if !cgroup.exists() {
        return Ok(());
    }
    for pids in cgroup.all_pids().map_err(Error::Cgroup)?.chunks(MOST_PIDFDS) {
        let held: Vec<Process> = pids.iter().filter_map(|pid| hold(*pid)).collect();
        // Once more, now that the pidfds hold them: a pid may have been used again meanwhile.
        let members = cgroup.all_pids().map_err(Error::Cgroup)?;
        send_each(&held, &members, signal)?;
    }
    Ok(())
}

fn send_each(held: &[Process], members: &[i32], signal: i32) -> Result<(), Error> {
    for process in held.iter().filter(|process| members.binary_search(&process.pid).is_ok()) {
        // One that ended meanwhile is no reason to keep it from the others.
        send(process, signal)?;
    }
    Ok(())
}

fn to_init(record: &Record, init: &Process, signal: i32) -> Result<(), Error> {
    match send(init, signal)? {
        Told::Delivered => Ok(()),
        Told::Ended => Err(record.not_running()),
    }
}

/// What became of a signal.
enum Told {
    Delivered,
    /// The process had ended.
    Ended,
}

fn hold(pid: i32) -> Option<Process> {
    let known = rustix::process::Pid::from_raw(pid)?;
    let pidfd = rustix::process::pidfd_open(known, rustix::process::PidfdFlags::empty()).ok()?;
    Some(Process { pid, pidfd })
}

fn send(process: &Process, signal: i32) -> Result<Told, Error> {
    if signal == 0 {
        return Ok(Told::Delivered);
    }
    let known =
        sys::signal::from_number(signal).ok_or_else(|| Error::UnknownSignal { text: signal.to_string() })?;
    match rustix::process::pidfd_send_signal(&process.pidfd, known) {
        Ok(()) => Ok(Told::Delivered),
        Err(Errno::SRCH) => Ok(Told::Ended),
        Err(source) => Err(Error::Signal { signal, pid: process.pid, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};

    /// A container of which there is no more than a record, with this init.
    fn container(root: &std::path::Path, init: ProcessId) -> (Store, ContainerId) {
        let (store, id) = (Store::make(root).unwrap(), ContainerId::parse("web").unwrap());
        let boot_id = Procfs::host().unwrap().boot_id().unwrap().to_owned();
        let record = Record { init: Some(init), boot_id, ..crate::store::tests::record() };
        store.insert(&id, &record).unwrap();
        (store, id)
    }

    fn identity(child: &Child) -> ProcessId {
        let pid = i32::try_from(child.id()).unwrap();
        ProcessId { pid, start_time: Procfs::host().unwrap().stat(pid).unwrap().start_time }
    }

    #[test]
    fn a_kill_that_names_an_init_reaches_no_other_container_of_that_id() {
        let directory = tempfile::tempdir().unwrap();
        // It ends by itself, should the signal not come.
        let mut child = Command::new("sleep").arg("20").spawn().unwrap();
        let init = identity(&child);
        let (store, id) = container(directory.path(), init);
        let before = ProcessId { start_time: init.start_time - 1, ..init };
        let refused = kill_all_of(&store, &id, 9, before);
        let untouched = child.try_wait().unwrap().is_none();
        let done = kill_all_of(&store, &id, 9, init);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(refused.unwrap_err().to_string(), "container not running: web");
        assert!(untouched && done.is_ok(), "{done:?}");
    }
}
