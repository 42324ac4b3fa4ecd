//! `events`: what a container uses, and its out-of-memory kills as they happen.

use crate::{ContainerId, Error, Store};
use cgroup::Cgroup;
use serde::Serialize;

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
    pub data: Option<cgroup::Stats>,
}

/// What the container uses now.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NoStats`] when its cgroup is gone, [`Error::Cgroup`].
pub fn stats(store: &Store, id: &ContainerId) -> Result<Event, Error> {
    let cgroup = live_cgroup(store, id)?;
    Ok(Event { kind: "stats", id: id.to_string(), data: Some(cgroup.stats()) })
}

/// An out-of-memory kill, as an event.
#[must_use]
pub fn oom(id: &ContainerId) -> Event {
    Event { kind: "oom", id: id.to_string(), data: None }
}

/// A source of out-of-memory events.
///
/// # Errors
/// As [`stats`]; [`Error::Cgroup`] without a memory controller.
pub fn watch(store: &Store, id: &ContainerId) -> Result<cgroup::OomEvents, Error> {
    live_cgroup(store, id)?.oom_events().map_err(Error::Cgroup)
}

fn live_cgroup(store: &Store, id: &ContainerId) -> Result<Cgroup, Error> {
    let cgroup = Cgroup::new(store.entry(id)?.read()?.cgroup);
    if cgroup.exists() { Ok(cgroup) } else { Err(Error::NoStats { id: id.clone() }) }
}
