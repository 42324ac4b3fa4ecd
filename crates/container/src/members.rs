//! Who is in a container that has no cgroup of its own.

use crate::record::Record;
use crate::{Error, kill};
use launch::Process;
use proc::Procfs;
use rustix::fd::AsFd;
use std::collections::BTreeSet;

/// The processes of the pid namespace that init made, and everything that descends from them: a namespace nested in it
/// has another name. Sorted.
///
/// # Errors
/// [`Error::NoCgroup`] for `verb` when there is no such namespace: then nothing tells the processes apart.
pub(crate) fn pids(
    proc: &Procfs,
    record: &Record,
    init: &Process,
    verb: &'static str,
) -> Result<Vec<i32>, Error> {
    if !kill::has_own_pids(record) {
        return Err(Error::NoCgroup { id: record.id.clone(), verb });
    }
    let namespace = namespace(proc, init.pid);
    let stats: Vec<_> = proc.pids().into_iter().filter_map(|pid| proc.stat(pid).ok()).collect();
    let lives = |stat: &&proc::pid::Stat| !stat.is_dead();
    let mut members = BTreeSet::from([init.pid]);
    if namespace.is_some() {
        let inside = stats.iter().filter(|stat| self::namespace(proc, stat.pid) == namespace);
        members.extend(inside.filter(lives).map(|stat| stat.pid));
    }
    loop {
        let before = members.len();
        let descends = |stat: &&proc::pid::Stat| members.contains(&stat.ppid) && lives(stat);
        let more: Vec<i32> = stats.iter().filter(descends).map(|stat| stat.pid).collect();
        members.extend(more);
        if members.len() == before {
            return Ok(members.into_iter().collect());
        }
    }
}

/// Such as `pid:[4026531836]`; none of a process that may not be looked at.
fn namespace(proc: &Procfs, pid: i32) -> Option<Vec<u8>> {
    let name = rustix::fs::readlinkat(proc.as_fd(), format!("{pid}/ns/pid"), Vec::new()).ok()?;
    Some(name.into_bytes())
}
