//! `state`: one container as its callers see it.

use crate::record::Record;
use crate::{ContainerId, Error, Status, Store, status};
use proc::Procfs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The answer of `state`, and with the owner's name an element of `list`.
///
/// Compat: runc, `types.go`; field order as there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    /// Version of the runtime specification.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Init's pid on the host; 0 when stopped.
    pub pid: i32,
    /// created, running, paused, stopped, creating.
    pub status: &'static str,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root file system.
    pub rootfs: PathBuf,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    /// Annotations of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In a list: name of the user who created it, or the uid. Empty in the answer of `state`, as with runc.
    pub owner: String,
}

/// Looks at a container. Takes no lock and waits for nobody.
///
/// # Errors
/// [`Error::NotFound`], or a state that cannot be read.
pub fn state(store: &Store, id: &ContainerId) -> Result<StateView, Error> {
    let proc = Procfs::host().map_err(Error::Proc)?;
    view(&proc, store.entry(id)?.read()?)
}

/// The view of a record.
///
/// # Errors
/// [`Error::Proc`], [`Error::Pidfd`].
pub(crate) fn view(proc: &Procfs, record: Record) -> Result<StateView, Error> {
    let observed = status::observe(proc, &record)?;
    let init = observed.init.as_ref().filter(|_| observed.status != Status::Stopped);
    Ok(StateView {
        // Compat: runc states the version it implements, not that of config.json.
        oci_version: OCI_VERSION.to_owned(),
        id: record.id,
        pid: init.map_or(0, |init| init.pid),
        status: observed.status.as_str(),
        bundle: record.bundle,
        rootfs: record.rootfs,
        created: record.created,
        annotations: record.annotations,
        owner: String::new(),
    })
}

/// The version of the runtime specification that is implemented.
pub const OCI_VERSION: &str = "1.2.0";

/// The name of a user of the host, or the uid.
pub(crate) fn owner(uid: u32) -> String {
    let text = std::fs::read("/etc/passwd").unwrap_or_default();
    let user = proc::passwd::by_uid(&String::from_utf8_lossy(&text), uid);
    user.map_or_else(|| format!("#{uid}"), |user| user.name)
}
