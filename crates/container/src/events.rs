//! `events`: what a container uses, and its out-of-memory kills as they happen.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cgroup::{Cgroup, OomEvent, OomEvents, Stats};
use launch::Process;
use launch::process::timespec;
use proc::Procfs;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use serde::Serialize;

use crate::{ContainerId, Error, Status, Store, status};

/// One event in the schema of runc.
///
/// Compat: runc, `types/events.go`.
#[derive(Debug, Serialize)]
pub struct Event {
    /// `stats` or `oom`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The container.
    pub id: String,
    /// The figures of `stats`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Stats>,
}

/// What the container uses now.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NoStats`], [`Error::NoCgroup`].
pub fn stats(store: &Store, id: &ContainerId) -> Result<Event, Error> {
    let watched = Watched::open(store, id)?;
    Ok(watched.stats())
}

/// Hands `stats` to `tell` every `interval`, and `oom` whenever the kernel kills for lack of memory; comes back when
/// the container has ended or `tell` breaks.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NoStats`], [`Error::NoCgroup`], [`Error::Step`].
pub fn watch(
    store: &Store,
    id: &ContainerId,
    interval: Duration,
    tell: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> Result<(), Error> {
    let watched = Watched::open(store, id)?;
    let mut oom = watched.oom_events();
    let mut next = Instant::now() + interval;
    loop {
        let event = match watched.wait(oom.as_ref(), next)? {
            Woken::Ended => return Ok(()),
            Woken::Oom => watched.oom(oom.as_mut()),
            Woken::Interval => {
                next = Instant::now() + interval;
                Some(watched.stats())
            }
        };
        if event.is_some_and(|event| tell(&event).is_break()) {
            return Ok(());
        }
    }
}

/// A live container.
struct Watched<'a> {
    id: &'a ContainerId,
    init: Process,
    cgroup: Cgroup,
}

/// Why a wait is over.
enum Woken {
    Ended,
    Oom,
    Interval,
}

impl<'a> Watched<'a> {
    fn open(store: &Store, id: &'a ContainerId) -> Result<Self, Error> {
        let proc = Procfs::host().map_err(Error::Proc)?;
        let record = store.entry(id)?.read()?;
        let observed = status::observe(&proc, &record)?;
        match observed.init {
            Some(_) if record.cgroup.is_empty() => Err(Error::NoCgroup { id: record.id, verb: "measure" }),
            Some(init) if observed.status != Status::Stopped => {
                Ok(Self { id, init, cgroup: Cgroup::new(record.cgroup) })
            }
            _ => Err(Error::NoStats { id: id.clone() }),
        }
    }

    fn stats(&self) -> Event {
        Event { kind: "stats", id: self.id.to_string(), data: Some(self.cgroup.stats()) }
    }

    /// A host without a memory controller has no such events; the figures are worth having all the same.
    fn oom_events(&self) -> Option<OomEvents> {
        let events = self.cgroup.oom_events();
        events.inspect_err(|error| log::warn!("no out-of-memory events: {}", crate::chain(error))).ok()
    }

    fn oom(&self, events: Option<&mut OomEvents>) -> Option<Event> {
        let killed = matches!(events?.take(), OomEvent::Killed { .. } | OomEvent::Waiting);
        killed.then(|| Event { kind: "oom", id: self.id.to_string(), data: None })
    }

    fn wait(&self, oom: Option<&OomEvents>, until: Instant) -> Result<Woken, Error> {
        let left = until.saturating_duration_since(Instant::now());
        let mut polled = vec![PollFd::new(&self.init.pidfd, PollFlags::IN)];
        polled.extend(oom.map(|oom| PollFd::from_borrowed_fd(oom.as_fd(), PollFlags::IN)));
        match rustix::event::poll(&mut polled, Some(&timespec(left))) {
            Ok(0) | Err(Errno::INTR) => return Ok(Woken::Interval),
            Ok(_) => {}
            Err(source) => return Err(Error::Step { step: "wait for events", source }),
        }
        // The kill that ended the container is told before its end.
        let is_oom = polled.get(1).is_some_and(|fd| !fd.revents().is_empty());
        let gone = is_oom && !self.cgroup.exists();
        Ok(if is_oom && !gone { Woken::Oom } else { Woken::Ended })
    }
}
