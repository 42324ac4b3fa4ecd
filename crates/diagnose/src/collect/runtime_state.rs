//! State directories of low-level runtimes and task directories of containerd.

mod state_file;
mod task;

use std::collections::BTreeSet;
use std::time::Duration;

use super::folder::Folder;
use super::piece::Piece;
use super::places::Places;
use super::worker::Visit;
use crate::snapshot::runtime_state::RuntimeKind;
use crate::snapshot::{Process, RuntimeState, StateFile, Task};

pub use state_file::parse;
pub(super) use task::{read as read_task, units as task_units};

/// Where runtimes keep their state unless they are told otherwise.
const ROOTS: &[&str] = &[
    "run/runc",
    "run/crun",
    "run/sluice",
    "run/youki",
    "run/containerd/runc/k8s.io",
    "run/containerd/runc/default",
    "run/containerd/runc/moby",
];

/// Where they keep it below dockerd's exec-root.
///
/// Compat: dockerd 20.10 and newer tell runc the first, whatever the runtime is called in their configuration.
const BELOW_EXEC_ROOT: &[&str] = &[
    "runtime-runc/moby",
    "runtime-crun/moby",
    "runtime-runc/plugins.moby",
    "runc",
    "libcontainerd/containerd/runc",
];

/// Most bytes of a state file.
const LARGEST: usize = 4 << 20;

/// A file that is torn is read that often, and so long apart: an update in place takes less.
const READS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// The roots that do not depend on what runs: the well-known ones, and those below dockerd's exec-roots.
pub(super) fn lasting_roots(places: &Places) -> BTreeSet<String> {
    let docker = places
        .exec_roots
        .iter()
        .flat_map(|exec| BELOW_EXEC_ROOT.iter().map(move |it| format!("{exec}/{it}")));
    ROOTS.iter().map(|&root| root.to_owned()).chain(docker).collect()
}

/// The roots: the lasting ones, and those that running shims and runtimes were given. Paths below `/`.
pub(super) fn roots(processes: &[Process], places: &Places) -> BTreeSet<String> {
    let host = processes.iter().filter(|process| !process.is_in_a_pid_namespace());
    let given = host.filter_map(|process| process.option("--root"));
    lasting_roots(places).into_iter().chain(given.map(|root| root.trim_matches('/').to_owned())).collect()
}

/// The roots that tasks name and `roots` does not have: of runtimes that were told one and do not run now.
pub(super) fn roots_of_tasks(tasks: &[Task], roots: &BTreeSet<String>) -> BTreeSet<String> {
    let named =
        tasks.iter().filter_map(|task| Some(task.runtime_root.as_deref()?.trim_matches('/').to_owned()));
    named.filter(|root| !roots.contains(root)).collect()
}

/// Reads the containers of one root; the unit is the root.
pub(super) fn read_root(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    let entries = root.folder(visit.unit).and_then(|folder| folder.entries()).unwrap_or_default();
    let folders = entries.iter().filter(|it| it.is_folder && is_state(root, visit.unit, &it.name));
    folders.filter_map(|it| read(root, visit.unit, &it.name)).map(|it| Piece::State(Box::new(it))).collect()
}

/// The state file of a container.
const FILES: [&str; 2] = ["state.json", "status"];

/// Path, size and modification of every state file in `roots`; nothing is opened but directories, and nothing is asked
/// of a file whose dates `known` has by its folder and name.
pub(super) fn dates(
    root: &Folder,
    roots: &BTreeSet<String>,
    known: impl Fn(&str, &str) -> Option<(u64, u64)>,
) -> Vec<(String, u64, u64)> {
    let mut found = Vec::new();
    for parent in roots {
        let entries = root.folder(parent).and_then(|folder| folder.entries()).unwrap_or_default();
        for entry in entries.iter().filter(|it| it.is_folder) {
            let folder = format!("/{parent}/{}", entry.name);
            let date = |file| {
                let path = format!("{folder}/{file}");
                let (size, modified) = known(&folder, file).or_else(|| root.dates(&path[1..]).ok())?;
                Some((path, size, modified))
            };
            found.extend(FILES.into_iter().find_map(date));
        }
    }
    found
}

/// Whether a folder of a root belongs to a container: it has a state file, or lies where nothing else does.
fn is_state(root: &Folder, parent: &str, name: &str) -> bool {
    let has = |file: &str| root.dates(&format!("{parent}/{name}/{file}")).is_ok();
    let is_docker =
        || BELOW_EXEC_ROOT.iter().any(|it| parent.strip_suffix(it).is_some_and(|it| it.ends_with('/')));
    has("state.json") || has("status") || has("exec.fifo") || ROOTS.contains(&parent) || is_docker()
}

/// Reads the state of one container; `None` when it went away.
fn read(root: &Folder, parent: &str, id: &str) -> Option<RuntimeState> {
    let folder = format!("{parent}/{id}");
    let entries = root.folder(&folder).and_then(|folder| folder.entries()).ok()?;
    let has = |name: &str| entries.iter().any(|it| it.name == name);
    let (name, kind) = if has("status") && !has("state.json") {
        ("status", RuntimeKind::Crun)
    } else {
        ("state.json", RuntimeKind::Runc)
    };
    let path = format!("{folder}/{name}");
    let mut state = RuntimeState {
        root: format!("/{parent}"),
        id: id.to_owned(),
        kind,
        path: format!("/{path}"),
        ..RuntimeState::default()
    };
    let is_leftover =
        |name: &&String| name.starts_with("state-") || name.starts_with(".state") || name.ends_with(".tmp");
    state.leftovers = entries.iter().map(|it| &it.name).filter(is_leftover).cloned().collect();
    if let Ok((size, modified)) = root.dates(&path) {
        (state.size, state.modified_ms) = (Some(size), Some(modified));
        read_often(root, &path, &mut state);
    }
    Some(state)
}

/// Reads until it is whole, or often enough to say that it stays torn.
fn read_often(root: &Folder, path: &str, state: &mut RuntimeState) {
    while state.reads < READS {
        state.reads += 1;
        let Ok(text) = root.text(path, LARGEST) else {
            state.file = StateFile::Unread;
            return;
        };
        (state.kind, state.file) = parse(&text, state.kind);
        if !matches!(state.file, StateFile::Torn { .. }) {
            return;
        }
        state.torn_reads += 1;
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn state(text: &str) -> RuntimeState {
        let lab = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(lab.path().join("run/runc/c1")).unwrap();
        std::fs::write(lab.path().join("run/runc/c1/state.json"), text).unwrap();
        std::fs::write(lab.path().join("run/runc/c1/state-123"), "").unwrap();
        read(&Folder::open(lab.path()).unwrap(), "run/runc", "c1").unwrap()
    }

    #[test]
    fn a_torn_file_is_torn_at_every_read() {
        for text in ["", "{\"id\":\"c1\",\"init_pro"] {
            let state = state(text);
            assert_eq!((state.torn_reads, state.reads), (READS, READS));
            assert!(matches!(state.file, StateFile::Torn { .. }), "{state:?}");
            assert_eq!(state.leftovers, ["state-123"]);
        }
    }

    #[test]
    fn a_whole_file_is_read_once() {
        let state = state(
            r#"{"id":"c1","init_process_pid":42,"init_process_start":98765,"cgroup_paths":{"pids":"/sys/fs/cgroup/pids/c1"},"config":{"labels":["bundle=/b"]}}"#,
        );
        assert_eq!((state.reads, state.torn_reads), (1, 0));
        let StateFile::Whole { init, init_start_time, bundle, cgroups } = state.file else { panic!("torn") };
        assert_eq!((init, init_start_time, bundle.as_deref()), (Some(42), Some(98_765), Some("/b")));
        assert_eq!(cgroups, ["/sys/fs/cgroup/pids/c1"]);
    }
}
