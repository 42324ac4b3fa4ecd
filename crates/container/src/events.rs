//! `events`: what a container uses, and its out-of-memory kills as they happen.

use cgroup::{Cgroup, Stats};
use serde::Serialize;

use crate::{ContainerId, Error, Store};

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
/// [`Error::NotFound`], [`Error::NotRunning`] when its cgroup is gone.
pub fn stats(store: &Store, id: &ContainerId) -> Result<Event, Error> {
    let cgroup = Cgroup::new(store.entry(id)?.read()?.cgroup);
    if !cgroup.exists() {
        return Err(Error::NotRunning);
    }
    Ok(stats_event(id, &cgroup))
}

fn stats_event(id: &ContainerId, cgroup: &Cgroup) -> Event {
    Event { kind: "stats", id: id.to_string(), data: Some(cgroup.stats()) }
}
