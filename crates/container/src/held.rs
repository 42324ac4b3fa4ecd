//! A container held open by a long-lived caller, who execs into it again and again: a shim, an engine.
//!
//! What no exec changes is opened and read once: the state directory, the record, init's pidfd, the ways into the
//! cgroups, the filter. What may change is looked at each time, through files that stay open: whether init lives,
//! whether the container is frozen, its limits and counters, and by one `stat` whether somebody else (`update`,
//! `delete`) has replaced the record since.
//!
//! **Invariant:** an exec through [`Held`] is refused, explained and protected as one through [`crate::exec::exec`];
//! only what both would read again is not read again.

use crate::exec::{self, ExecRequest, Kept, Running, Target};
use crate::store::{Entry, Seen, Store};
use crate::{ContainerId, Error, Status};
use launch::Process;
use proc::Procfs;
use rustix::fd::AsFd;
use std::time::Duration;

/// A container with everything open that its execs need.
#[derive(Debug)]
pub struct Held {
    proc: Procfs,
    entry: Entry,
    seen: Seen,
    init: Process,
    kept: Kept,
}

impl Held {
    /// Opens a container that an exec is possible in now, paused or not.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::CannotExec`] for a container in the wrong state; what cannot be opened or read.
    pub fn open(store: &Store, id: &ContainerId) -> Result<Self, Error> {
        let proc = Procfs::host().map_err(Error::Proc)?;
        let entry = store.entry(id)?;
        let seen = entry.see()?;
        let init = exec::live_init(&proc, &seen.record)?;
        let kept = Kept::open(&entry, &seen.record)?;
        Ok(Self { proc, entry, seen, init, kept })
    }

    /// Starts a process and comes back when it executed its program; `request.id` is not looked at.
    ///
    /// # Errors
    /// As [`crate::exec::exec`]. After [`Error::NotFound`] and [`Error::CannotExec`] for a stopped container, drop it.
    pub fn exec(&mut self, request: &ExecRequest) -> Result<Running, Error> {
        self.refresh()?;
        self.refuse_dead()?;
        let Self { proc, entry, seen, init, kept } = self;
        exec::begin(
            &Target { proc, entry, record: &seen.record, init, kept: Some(kept), stop: None },
            request,
        )
    }

    /// Reads the record again when another command has replaced it.
    fn refresh(&mut self) -> Result<(), Error> {
        if !self.entry.has_changed(&self.seen)? {
            return Ok(());
        }
        let seen = self.entry.see()?;
        let init = exec::live_init(&self.proc, &seen.record)?;
        let kept = Kept::open(&self.entry, &seen.record)?;
        (self.seen, self.init, self.kept) = (seen, init, kept);
        Ok(())
    }

    fn refuse_dead(&self) -> Result<(), Error> {
        let dead = launch::process::wait_dead(self.init.pidfd.as_fd(), Duration::ZERO)
            .map_err(|source| Error::Pidfd { pid: self.init.pid, source })?;
        if dead { Err(Error::CannotExec { status: Status::Stopped }) } else { Ok(()) }
    }
}
