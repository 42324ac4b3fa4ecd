//! `delete`: a container is gone, with everything that it had on the host.

use crate::create::Known;
use crate::record::{Phase, ProcessId, Record};
use crate::status::Observed;
use crate::store::{Entry, Seen};
use crate::{ContainerId, Error, Status, Store, error, hooks, kill, placement, status};
use cgroup::Cgroup;
use proc::Procfs;
use rustix::fd::AsFd;
use rustix::process::Signal;
use std::time::{Duration, Instant};

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

/// How long another command may keep the container.
const BUSY: Duration = Duration::from_secs(2);

/// Deletes a container: processes, cgroups, state, then the poststop hooks.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotStopped`] and [`Error::Busy`] without force; [`Error::Leftover`] names what outlived
/// the deletion, and the state stays so that it can be tried again.
pub fn delete(store: &Store, id: &ContainerId, force: Force) -> Result<(), Error> {
    let everyone = |_: &Record| Ok(());
    delete_if(store, id, force, &everyone)
}

/// Deletes by force the container that has, or had, this init: the id may be another's by now.
///
/// # Errors
/// [`Error::NotRunning`] when the container of that id has another init; as [`delete`].
pub fn delete_of(store: &Store, id: &ContainerId, init: ProcessId) -> Result<(), Error> {
    let its_own = |record: &Record| match record.init {
        Some(found) if found != init => Err(record.not_running()),
        _ => Ok(()),
    };
    delete_if(store, id, Force::Yes, &its_own)
}

/// Deletes a container unless `may` refuses what its record says.
fn delete_if(
    store: &Store,
    id: &ContainerId,
    force: Force,
    may: &dyn Fn(&Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    sweep(store, &proc);
    let deleted = store.entry(id).and_then(|entry| {
        let seen = see(&entry, force)?;
        seen.as_ref().map_or(Ok(()), |seen| may(&seen.record))?;
        delete_entry(store, &proc, &entry, (seen, force))
    });
    unless_absent(deleted, force)
}

/// As [`delete`], for a caller who knows the container.
///
/// # Errors
/// As [`delete`].
pub(crate) fn delete_seen(store: &Store, known: &Known, force: Force) -> Result<(), Error> {
    let Known { proc, entry, seen } = known;
    sweep(store, proc);
    unless_absent(delete_entry(store, proc, entry, (Some(seen.clone()), force)), force)
}

fn unless_absent(deleted: Result<(), Error>, force: Force) -> Result<(), Error> {
    match deleted {
        Err(Error::NotFound { .. }) if force == Force::Yes => Ok(()),
        other => other,
    }
}

/// Removes what killed commands left in the state root, and ends the hooks of a delete that was killed.
pub(crate) fn sweep(store: &Store, proc: &Procfs) {
    store.sweep(|record| end_hook(proc, record));
}

fn delete_entry(
    store: &Store,
    proc: &Procfs,
    entry: &Entry,
    (mut seen, force): (Option<Seen>, Force),
) -> Result<(), Error> {
    see_again(entry, &mut seen, force)?;
    end_processes(proc, entry, &mut seen, force)?;
    let _lock = match entry.lock(BUSY) {
        Err(error @ Error::Busy { .. }) if force == Force::Yes => {
            log::warn!("{}; it is deleted all the same", error::chain(&error));
            None
        }
        other => Some(other?),
    };
    if !entry.is_current() {
        return Err(Error::NotFound { id: entry.id().clone() });
    }
    // Once more: the creator may have gone further, another command may have had the container until now.
    see_again(entry, &mut seen, force)?;
    let Some(Seen { record, .. }) = &seen else {
        return store.retire(entry).map(|temporary| store.discard(&temporary));
    };
    let observed = deletable(proc, record, force)?;
    remove(proc, entry, record, observed)?;
    let temporary = store.retire(entry)?;
    run_poststop(proc, entry, record);
    store.discard(&temporary);
    Ok(())
}

/// Ends the container's processes, before the lock, so that a command that waits for one of them lets go of the
/// container.
fn end_processes(proc: &Procfs, entry: &Entry, seen: &mut Option<Seen>, force: Force) -> Result<(), Error> {
    let Some(Seen { record, .. }) = &seen else { return Ok(()) };
    let mut observed = deletable(proc, record, force)?;
    if observed.status == Status::Creating {
        end_creator(proc, record);
        // Once more: until its end the creator may have made an init or a hook.
        see_again(entry, seen, force)?;
        let Some(Seen { record, .. }) = &seen else { return Ok(()) };
        observed = deletable(proc, record, force)?;
    }
    let Some(Seen { record, .. }) = &seen else { return Ok(()) };
    end_hook(proc, record);
    observed.init.iter().for_each(end_init);
    Ok(())
}

fn deletable(proc: &Procfs, record: &Record, force: Force) -> Result<Observed, Error> {
    let observed = status::observe(proc, record)?;
    // Compat: runc deletes a created container without force.
    let may_go = matches!(observed.status, Status::Stopped | Status::Created);
    if may_go || force == Force::Yes {
        return Ok(observed);
    }
    let id = ContainerId::parse(&record.id)?;
    Err(Error::NotStopped { id, status: observed.status })
}

/// Ends the processes and removes the cgroups.
fn remove(proc: &Procfs, entry: &Entry, record: &Record, observed: Observed) -> Result<(), Error> {
    let mut left = Vec::new();
    end_hook(proc, record);
    observed.init.iter().for_each(end_init);
    remove_cgroup(record, whose(proc, record, &observed), &mut left);
    if let Some(init) = observed.init {
        let dead = launch::process::wait_dead(init.pidfd.as_fd(), LIMIT);
        if dead != Ok(true) {
            left.push(format!("init {} was killed but has not ended", init.pid));
        }
    }
    if left.is_empty() && is_of_this_boot(proc, record) {
        placement::forget(record);
    }
    if left.is_empty() { Ok(()) } else { Err(Error::Leftover { id: entry.id().clone(), left }) }
}

/// As [`read`], to be looked at again later.
fn see(entry: &Entry, force: Force) -> Result<Option<Seen>, Error> {
    let stamp = entry.stamp().ok();
    Ok(read(entry, force)?.map(|record| Seen { record, stamp }))
}

/// Reads again what somebody has replaced since. What both files have lost since is known all the same.
fn see_again(entry: &Entry, seen: &mut Option<Seen>, force: Force) -> Result<(), Error> {
    let known = seen.as_ref().and_then(|seen| seen.stamp);
    if known.is_none() || entry.stamp().ok() != known {
        let now = see(entry, force)?;
        *seen = now.or(seen.take());
    }
    Ok(())
}

/// The record, or its copy when it is damaged and force is used; `None` when both are lost.
fn read(entry: &Entry, force: Force) -> Result<Option<Record>, Error> {
    let error = match entry.read() {
        Ok(record) => return Ok(Some(record)),
        Err(error @ Error::DamagedState { .. }) if force == Force::Yes => error,
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

/// A frozen init dies only when its cgroup is thawed, which comes later, so nothing is awaited long here.
fn end_init(init: &launch::Process) {
    let _ = rustix::process::pidfd_send_signal(&init.pidfd, Signal::KILL);
    let _ = launch::process::wait_dead(init.pidfd.as_fd(), Duration::from_millis(50));
}

/// Whose the processes in a container's cgroup are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Members {
    /// The container's.
    Own,
    /// Another container's with the same `cgroupsPath`, for all that is known; they are left alone.
    Foreign,
}

/// With its init all processes of a container's own pid namespace ended, and nothing outlives a boot.
fn whose(proc: &Procfs, record: &Record, observed: &Observed) -> Members {
    let may_live = observed.init.is_some() || !kill::has_own_pids(record) || record.phase == Phase::Creating;
    if is_of_this_boot(proc, record) && may_live { Members::Own } else { Members::Foreign }
}

fn is_of_this_boot(proc: &Procfs, record: &Record) -> bool {
    status::boot_id(proc).is_ok_and(|boot_id| boot_id == record.boot_id)
}

/// Kills and removes until both succeed: an exec's child may be born, or join, after the last look.
fn remove_cgroup(record: &Record, members: Members, left: &mut Vec<String>) {
    const ROUND: Duration = Duration::from_millis(500);
    let cgroup = Cgroup::new(record.cgroup.clone());
    let begun = Instant::now();
    while cgroup.exists() {
        let killed = if members == Members::Own { cgroup.kill(LIMIT) } else { Ok(()) };
        match killed.and_then(|()| cgroup.remove(ROUND)) {
            Ok(()) => return,
            Err(cgroup::Error::Deadline { .. }) if members == Members::Own && begun.elapsed() < LIMIT => {}
            Err(cause) => return left.push(error::chain(&cause)),
        }
    }
}

/// A runtime killed while a hook ran leaves the hook's process group.
fn end_hook(proc: &Procfs, record: &Record) {
    let Some(hook) = &record.hook else { return };
    if is_of_this_boot(proc, record)
        && group_lives(proc, hook.leader)
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

/// Whether a process group that this leader made has a member. The kernel gives a pid to nobody while it names a group,
/// so a process with that pid and another start time means that the group is gone.
fn group_lives(proc: &Procfs, leader: ProcessId) -> bool {
    if proc.stat(leader.pid).is_ok_and(|stat| stat.start_time != leader.start_time) {
        return false;
    }
    proc.pids()
        .into_iter()
        .filter_map(|pid| proc.stat(pid).ok())
        .any(|stat| stat.pgrp == leader.pid && stat.start_time >= leader.start_time && !stat.is_dead())
}

/// A `create` that still runs would go on making things.
fn end_creator(proc: &Procfs, record: &Record) {
    if let Ok(Some(creator)) = status::find(proc, record.creator) {
        let _ = rustix::process::pidfd_send_signal(&creator.pidfd, Signal::KILL);
        let _ = launch::process::wait_dead(creator.pidfd.as_fd(), LIMIT);
    }
}

/// Compat: runtime-spec, runtime.md: a failed poststop hook is logged, the others run.
pub(crate) fn run_poststop(proc: &Procfs, entry: &Entry, record: &Record) {
    if record.hooks.poststop.is_empty() {
        return;
    }
    let state = hooks::state(record, Status::Stopped, 0);
    let heritage = hooks::Heritage::Runtime(&record.bundle);
    let mut ledger = hooks::OutOfSight { entry, record: record.clone() };
    for hook in &record.hooks.poststop {
        let hooks = std::slice::from_ref(hook);
        let list = hooks::List { name: "poststop", hooks, state: &state, heritage };
        if let Err(cause) = hooks::run(Some(proc), &list, &mut ledger) {
            log::warn!("{}", error::chain(&cause));
        }
    }
}
