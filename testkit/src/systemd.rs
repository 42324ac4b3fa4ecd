//! The host's systemd: units that engines and runtimes have it make.
//!
//! **Invariant**: only a lab's own slice, and scopes named after containers in a lab's own storage, are stopped.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hang::eventually;
use crate::hierarchy;
use crate::lab::Lab;

/// What says why systemd keeps a unit.
const STATES: &str = "LoadState,ActiveState,SubState,Result,Job,ControlGroup,NeedDaemonReload";

/// Has systemd read its units again, by which it applies to their groups what it knows of them.
///
/// # Panics
/// When it refuses.
#[track_caller]
pub fn reload(lab: &Lab) {
    lab.program("systemctl").args(["daemon-reload"]).ok();
}

/// One property of a unit, such as `ActiveState`; a unit that is not there is `inactive`.
///
/// # Panics
/// When systemd does not answer.
#[must_use]
#[track_caller]
pub fn property(lab: &Lab, unit: &str, name: &str) -> String {
    let shown = lab.program("systemctl").args(["show", "--value", "--property", name, unit]).ok();
    shown.stdout.trim().to_owned()
}

/// Waits until a unit is gone: the scope of a container that was removed. What systemd says of it meanwhile is on
/// stderr, for the reader of a failure.
///
/// # Panics
/// When systemd still knows it after the hang guard, running or failed.
#[track_caller]
pub fn wait_gone(lab: &Lab, unit: &str) {
    let mut before = String::new();
    eventually(&format!("{unit} to be gone"), || {
        let shown = lab.program("systemctl").args(["show", "--property", STATES, unit]).ok();
        let now = shown.stdout.trim().replace('\n', " ");
        if now != before {
            eprintln!("{unit}: {now}");
            before = now;
        }
        before.contains("LoadState=not-found")
    });
}

/// Stops a unit and kills all that runs in it, for an init ignores SIGTERM. Never fails: it is for cleaning up.
pub(crate) fn stop(lab: &Lab, unit: &str) {
    let _not_loaded = lab.program("systemctl").args(["kill", "--signal=SIGKILL", unit]).run();
    let _not_loaded = lab.program("systemctl").args(["stop", unit]).run();
}

/// Stops the scopes of the containers whose directories, named by their ids, lie in `storage`, and slices of their own.
///
/// For engines left to their default slice, whose containers are in no group of the lab.
pub(crate) fn stop_scopes(lab: &Lab, storage: &Path) {
    let entries = fs::read_dir(storage).map_or_else(|_| Vec::new(), Iterator::collect);
    let ids = entries.into_iter().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ids: Vec<String> = ids.filter(|name| name.len() == 64).collect();
    for group in hierarchy::all().iter().flat_map(|hierarchy| hierarchy::subtree(&hierarchy.mount_point)) {
        let unit = unit_of(&group);
        if ids.iter().any(|id| unit.contains(id.as_str())) {
            let pod = group.parent().map(unit_of).filter(|slice| slice.contains("libpod_pod_"));
            stop(lab, &pod.unwrap_or(unit));
        }
    }
}

fn unit_of(group: &Path) -> String {
    group.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Groups that are still below a slice.
#[must_use]
pub(crate) fn below(slice: &str) -> Vec<PathBuf> {
    let groups = hierarchy::existing(&format!("/{slice}"));
    groups.iter().flat_map(|group| hierarchy::subtree(group).split_off(1)).collect()
}
