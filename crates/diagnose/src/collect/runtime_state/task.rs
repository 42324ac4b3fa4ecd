//! Task directories of containerd, and the names that people use for containers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::collect::folder::Folder;
use crate::collect::piece::Piece;
use crate::collect::places::Places;
use crate::collect::worker::Visit;
use crate::snapshot::{Process, Task};

/// Where containerd keeps tasks below its state directory.
const BELOW_STATE: &[&str] = &["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];

/// Most bytes of a small file, and of a bundle's `config.json`.
const SMALL: usize = 64 << 10;
const LARGEST_CONFIG: usize = 1 << 20;

/// Annotations and labels with the names of pod and container. Compat: containerd's CRI plugin, cri-o.
const NAMES: &[(&str, &str)] = &[
    ("io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.container-name"),
    ("io.kubernetes.pod.name", "io.kubernetes.container.name"),
];

/// Directories that hold tasks: those of containerd, and the neighbours of the directories that shims work in.
pub(in crate::collect) fn units(processes: &[Process], places: &Places) -> Vec<String> {
    let states = places.containerd_states.iter();
    let mut bases: BTreeSet<String> =
        states.flat_map(|state| BELOW_STATE.iter().map(move |it| format!("{state}/{it}"))).collect();
    let shims = processes.iter().filter(|process| process.comm.starts_with("containerd-shim"));
    for folder in shims.filter_map(|shim| shim.cwd.as_deref()) {
        // STATE/io.containerd.runtime.v2.task/NAMESPACE/ID
        if let Some(base) =
            folder.rsplitn(3, '/').nth(2).filter(|base| base.contains("io.containerd.runtime."))
        {
            bases.insert(base.trim_matches('/').to_owned());
        }
    }
    bases.into_iter().collect()
}

/// Every task below one base.
pub(in crate::collect) fn read(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    let mut pieces = Vec::new();
    for namespace in folders(root, visit.unit) {
        let base = format!("{}/{namespace}", visit.unit);
        for id in folders(root, &base) {
            let bundle = format!("{base}/{id}");
            pieces.extend(name(root, &bundle).map(|name| Piece::BundleName { id: id.clone(), name }));
            pieces.push(Piece::Task(Box::new(task(root, &bundle, &namespace, id))));
        }
    }
    pieces
}

fn folders(root: &Folder, path: &str) -> Vec<String> {
    let entries = root.folder(path).and_then(|folder| folder.entries()).unwrap_or_default();
    entries.into_iter().filter(|it| it.is_folder).map(|it| it.name).collect()
}

fn task(root: &Folder, bundle: &str, namespace: &str, id: String) -> Task {
    let text = |name: &str| root.text(&format!("{bundle}/{name}"), SMALL).ok();
    let options: Value =
        text("options.json").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let option = |keys: [&str; 2]| keys.iter().find_map(|key| Some(options.get(key)?.as_str()?.to_owned()));
    let bootstrap: Value =
        text("bootstrap.json").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let address = bootstrap.get("address").and_then(Value::as_str).map(str::to_owned);
    Task {
        namespace: namespace.to_owned(),
        id,
        bundle: format!("/{bundle}"),
        address: address.or_else(|| text("address").map(|text| text.trim().to_owned())),
        init: text("init.pid").and_then(|text| text.trim().parse().ok()),
        runtime: option(["BinaryName", "binary_name"]).filter(|name| !name.is_empty()),
        runtime_root: option(["Root", "root"])
            .filter(|it| !it.is_empty())
            .map(|it| format!("{it}/{namespace}")),
    }
}

/// Pod and container as Kubernetes calls them, from the annotations of the bundle; nothing else is taken from it.
fn name(root: &Folder, bundle: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        annotations: std::collections::BTreeMap<String, String>,
        hostname: Option<String>,
    }
    let text = root.text(&format!("{bundle}/config.json"), LARGEST_CONFIG).ok()?;
    let config: Config = serde_json::from_str(&text).ok()?;
    let of_pod = NAMES.iter().find_map(|(pod, container)| {
        let pod = config.annotations.get(*pod)?;
        let container = config.annotations.get(*container).map_or("(sandbox)", String::as_str);
        Some(format!("{pod}/{container}"))
    });
    of_pod.or(config.hostname.filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_shows_where_the_tasks_are() {
        let cwd = Some("/srv/lab/c16/state/io.containerd.runtime.v2.task/moby/205f".to_owned());
        let shim = Process { comm: "containerd-shim".to_owned(), cwd, ..Process::default() };
        let other =
            Process { comm: "containerd-shim".to_owned(), cwd: Some("/".to_owned()), ..Process::default() };
        let units = units(&[shim, other], &Places::default());
        assert_eq!(units.len(), 1);
        assert!(units.iter().any(|base| base == "srv/lab/c16/state/io.containerd.runtime.v2.task"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a fresh directory of the test's own")]
    fn a_task_directory_is_read() {
        let lab = tempfile::tempdir().unwrap();
        std::fs::write(
            lab.path().join("options.json"),
            r#"{"binary_name":"/bin/flood","root":"/x/runtime-runc"}"#,
        )
        .unwrap();
        std::fs::write(lab.path().join("init.pid"), "42").unwrap();
        std::fs::write(lab.path().join("config.json"), r#"{"annotations":{"io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.container-name":"app"}}"#).unwrap();
        let root = Folder::open(lab.path()).unwrap();
        let task = task(&root, ".", "moby", "c1".to_owned());
        assert_eq!((task.init, task.runtime.as_deref()), (Some(42), Some("/bin/flood")));
        assert_eq!(task.runtime_root.as_deref(), Some("/x/runtime-runc/moby"));
        assert_eq!(name(&root, ".").as_deref(), Some("web-0/app"));
    }
}
