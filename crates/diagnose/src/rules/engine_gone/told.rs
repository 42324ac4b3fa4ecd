//! Which containerd a dockerd connects to: the one it was told, else the host's, else one that it starts itself.

use crate::snapshot::socket::plain;
use crate::snapshot::{Configuration, Process};
use crate::view::View;

/// Where the host's own containerd listens.
const WELL_KNOWN: &str = "/run/containerd/containerd.sock";

/// Its configuration, unless an argument names another file.
const CONFIGURATION: &str = "/etc/docker/daemon.json";

/// Below this a dockerd keeps the socket of a containerd that it starts itself, unless it is told another folder.
const EXEC_ROOT: &str = "/run/docker";

/// What a dockerd was told about one setting.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    This(String),
    /// Its arguments or its configuration were not seen.
    Unknown,
}

/// Whether `engine` connects to `containerd`; so it seems also where nobody can tell.
pub(super) fn is_for(view: &View<'_>, engine: &Process, containerd: &Process) -> bool {
    if matches!((engine.uid, containerd.uid), (Some(one), Some(other)) if one != other) {
        return false;
    }
    let own = match told(view, engine, "exec-root") {
        Told::This(folder) => plain(&folder).to_owned(),
        _ => EXEC_ROOT.to_owned(),
    };
    let listens = |at: &dyn Fn(&str) -> bool| {
        let mut sockets = view.snapshot.sockets.iter().filter(|it| it.owners.contains(&containerd.pid));
        sockets.any(|it| it.path.as_deref().is_some_and(|path| at(plain(path))))
    };
    match told(view, engine, "containerd") {
        Told::This(address) => listens(&|path| path == plain(&address)),
        Told::Nothing => {
            // Compat: dockerd takes the well-known socket when it is there (moby, cmd/dockerd/daemon_unix.go).
            listens(&|path| path == WELL_KNOWN || path.starts_with(&format!("{own}/containerd/")))
        }
        Told::Unknown => true,
    }
}

/// An option on the command line, or the same word in the configuration: dockerd refuses both at once.
fn told(view: &View<'_>, engine: &Process, name: &str) -> Told {
    if engine.args.is_none() {
        return Told::Unknown;
    }
    if let Some(value) = engine.option(&format!("--{name}")) {
        return Told::This(value.to_owned());
    }
    let named = engine.option("--config-file");
    let path = named.map_or_else(|| Some(CONFIGURATION.to_owned()), |named| engine.absolute(named));
    match (view.snapshot.configurations.iter().find(|it| Some(&it.path) == path.as_ref()), named) {
        (Some(configuration), _) => setting(configuration, name),
        (None, Some(_)) => Told::Unknown,
        (None, None) => Told::Nothing,
    }
}

fn setting(configuration: &Configuration, name: &str) -> Told {
    match serde_json::from_str::<serde_json::Value>(&configuration.text) {
        Ok(document) => match document.get(name) {
            Some(value) => value.as_str().map_or(Told::Unknown, |text| Told::This(text.to_owned())),
            None => Told::Nothing,
        },
        // Secrets are taken out of it line by line.
        Err(_) => Told::Unknown,
    }
}
