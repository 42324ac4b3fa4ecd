//! `delete`: a container is gone, with everything that it had on the host.

use crate::record::{ProcessId, Record};
use crate::store::Entry;
use crate::{ContainerId, Error, Status, Store, error, hooks, status};
use cgroup::Cgroup;
use proc::Procfs;
use rustix::fd::AsFd;
use rustix::process::Signal;
use std::time::Duration;

/// Whether a live container is killed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Only a stopped (or created and abandoned) container is deleted.
    No,
    /// SIGKILL first; an absent container is no error, a damaged state no obstacle.
    Yes,
}

/// How long the kernel may take for one step.
const LIMIT: Duration = Duration::from_secs(10);

/// Deletes a container: processes, cgroups, state, then the poststop hooks.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::NotStopped`] without force; [`Error::Leftover`] names what outlived the deletion,
/// and the state stays so that it can be tried again.
pub fn delete(store: &Store, id: &ContainerId, force: Force) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    let entry = match store.entry(id) {
        Err(Error::NotFound { .. }) if force == Force::Yes => return Ok(()),
        other => other?,
    };
    let record = match read(&entry, force)? {
        Some(record) => record,
        None => return store.remove(id),
    };
    let observed = status::observe(&proc, &record)?;
    // Compat: runc deletes a created container without force.
    let may_go = matches!(observed.status, Status::Stopped | Status::Created);
    if !may_go && force == Force::No {
        return Err(Error::NotStopped { id: id.clone(), status: observed.status });
    }
    let mut left = Vec::new();
    end_hook(&proc, &record);
    end_creator(&proc, &record, observed.status);
    if let Some(init) = &observed.init {
        end_init(init, &mut left);
    }
    remove_cgroup(&record, &mut left);
    if !left.is_empty() {
        return Err(Error::Leftover { id: id.clone(), left });
    }
    store.remove(id)?;
    run_poststop(&proc, &record);
    Ok(())
}

/// The record, or its copy when it is damaged and force is used; `None` when both are lost.
fn read(entry: &Entry, force: Force) -> Result<Option<Record>, Error> {
    let error = match entry.read() {
        Ok(record) => return Ok(Some(record)),
        Err(error @ Error::DamagedState { .. }) if force == Force::Yes => error,
        Err(Error::NotFound { .. }) if force == Force::Yes => return Ok(None),
        Err(error) => return Err(error),
    };
    match entry.read_rescue() {
        Ok(record) => {
            log::warn!("{}; using the copy that create made", error::chain(&error));
            Ok(Some(record))
        }
        Err(_) => {
            log::error!(
                "{}; its copy is lost too: only the state directory is removed",
                error::chain(&error)
            );
            Ok(None)
        }
    }
}

fn end_init(init: &launch::Process, left: &mut Vec<String>) {
    let _ = rustix::process::pidfd_send_signal(&init.pidfd, Signal::KILL);
    // A frozen init dies when its cgroup is thawed, which happens next; a short wait is enough here.
    let _ = launch::process::wait_dead(init.pidfd.as_fd(), Duration::from_millis(50));
    let _ = left;
}

fn remove_cgroup(record: &Record, left: &mut Vec<String>) {
    let cgroup = Cgroup::new(record.cgroup.clone());
    let removed =
        if cgroup.exists() { cgroup.kill(LIMIT).and_then(|()| cgroup.remove(LIMIT)) } else { Ok(()) };
    if let Err(cause) = removed {
        left.push(error::chain(&cause));
    }
}

/// A runtime killed while a hook ran leaves the hook's process group.
fn end_hook(proc: &Procfs, record: &Record) {
    let Some(hook) = &record.hook else { return };
    if lives(proc, hook.leader)
        && let Some(group) = rustix::process::Pid::from_raw(hook.leader.pid)
    {
        log::warn!(
            "hook {} of a killed runtime still runs; its process group {} is killed",
            hook.name,
            hook.leader.pid
        );
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// A `create` that still runs would go on making things.
fn end_creator(proc: &Procfs, record: &Record, status: Status) {
    if status != Status::Creating {
        return;
    }
    if let Ok(Some(creator)) = status::find(proc, record.creator) {
        let _ = rustix::process::pidfd_send_signal(&creator.pidfd, Signal::KILL);
        let _ = launch::process::wait_dead(creator.pidfd.as_fd(), LIMIT);
    }
}

fn lives(proc: &Procfs, id: ProcessId) -> bool {
    status::find(proc, id).is_ok_and(|process| process.is_some())
}

/// Compat: runtime-spec, runtime.md: a failed poststop hook is logged, the others run.
fn run_poststop(proc: &Procfs, record: &Record) {
    let state = hooks::state(record, Status::Stopped, 0);
    for hook in &record.hooks.poststop {
        let list = hooks::List { name: "poststop", hooks: std::slice::from_ref(hook), state: &state };
        if let Err(cause) = hooks::run(Some(proc), &list, &mut hooks::InContainer) {
            log::warn!("{}", error::chain(&cause));
        }
    }
}
