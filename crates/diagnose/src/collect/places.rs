//! Where container daemons keep what they write: the well-known places, and those that a daemon was told.
//!
//! A daemon is told by its arguments, by its unit, by the options in `/etc/default`, by its configuration in `/etc`, or
//! by the file that an argument names. Which of them counts is not guessed: all are looked at, also the well-known
//! ones, since a place where nothing is costs next to nothing. So a daemon that is gone is no riddle either.
//!
//! Pure. **Invariant:** what calls itself a daemon in a container tells nothing.

use std::collections::BTreeSet;

use crate::snapshot::process::option;
use crate::snapshot::{Configuration, Process, Role, Snapshot, role};

/// Directories, as paths below the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// dockerd's records of containers, images, volumes.
    pub(super) data_roots: BTreeSet<String>,
    /// dockerd's sockets, fifos, and the state of its runtime.
    pub(super) exec_roots: BTreeSet<String>,
    /// containerd's images and snapshots.
    pub(super) containerd_roots: BTreeSet<String>,
    /// containerd's tasks.
    pub(super) containerd_states: BTreeSet<String>,
}

impl Places {
    /// All that a snapshot tells; it needs processes, units and configurations.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let (docker, containerd) = (Told::by(&DOCKERD, snapshot), Told::by(&CONTAINERD, snapshot));
        let mut places = Self {
            data_roots: docker.or_known(&["var/lib/docker"], &["--data-root", "--graph", "-g"]),
            exec_roots: docker.or_known(&["run/docker", "var/run/docker"], &["--exec-root"]),
            containerd_roots: containerd.or_known(&["var/lib/containerd"], &["--root"]),
            containerd_states: containerd.or_known(&["run/containerd", "run/k3s/containerd"], &["--state"]),
        };
        // Compat: a dockerd that finds no containerd starts one of its own, whose state lies below its exec-root.
        places.containerd_states.extend(places.exec_roots.iter().map(|it| format!("{it}/containerd/daemon")));
        places
    }

    /// Those of daemons that were told nothing.
    pub(super) fn well_known() -> Self {
        Self::of(&Snapshot::default())
    }
}

/// A configuration file that an argument names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// Its path from `/`; nothing for a relative one whose beginning was not seen.
    pub(super) path: Option<String>,
    /// Where it is read, below the root: on a live host in the working directory of the process that named it so.
    pub(super) read_at: String,
    /// What to call it where it could not be read.
    pub(super) what: String,
}

/// Configuration files that arguments name and that `snapshot` does not have yet. A working directory that is known is not
/// asked for through a tree's `/proc/PID/cwd`: that is a link which leads out of it.
pub(super) fn configurations(snapshot: &Snapshot, is_live: bool) -> Vec<Named> {
    let named = [&DOCKERD, &CONTAINERD].into_iter().flat_map(|daemon| {
        let commands = commands(daemon, snapshot);
        commands.iter().filter_map(|command| command.named(daemon, is_live)).collect::<Vec<_>>()
    });
    let is_new = |named: &Named| {
        let path = named.path.as_deref().unwrap_or_default();
        // A file of the kernel may be changed by being read.
        let is_kernels = ["/proc/", "/sys/", "/dev/"].iter().any(|folder| path.starts_with(folder));
        !is_kernels && !snapshot.configurations.iter().any(|it| it.path == path)
    };
    let new: BTreeSet<Named> = named.filter(is_new).collect();
    new.into_iter().collect()
}

/// What is known of a daemon that can be told places.
struct Daemon {
    role: Role,
    unit: &'static str,
    /// Files with its options, as words.
    options: &'static [&'static str],
    /// Its configuration, unless an argument names another file.
    configuration: &'static str,
    /// The arguments that do.
    named_by: &'static [&'static str],
}

const DOCKERD: Daemon = Daemon {
    role: Role::Engine,
    unit: "docker.service",
    options: &["/etc/default/docker", "/etc/sysconfig/docker"],
    configuration: "/etc/docker/daemon.json",
    named_by: &["--config-file"],
};

const CONTAINERD: Daemon = Daemon {
    role: Role::Containerd,
    unit: "containerd.service",
    options: &[],
    configuration: "/etc/containerd/config.toml",
    named_by: &["--config", "-c"],
};

/// The words of a command, and the process that was given them.
struct Command<'a> {
    words: Vec<String>,
    process: Option<&'a Process>,
}

impl Command<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        option(&self.words, name)
    }

    /// What names a configuration, as it stands there.
    fn file(&self, daemon: &Daemon) -> Option<&str> {
        daemon.named_by.iter().find_map(|name| self.option(name)).filter(|file| !file.is_empty())
    }

    fn path(&self, daemon: &Daemon) -> Option<String> {
        let file = self.file(daemon)?;
        self.process.map_or_else(|| Process::default().absolute(file), |process| process.absolute(file))
    }

    fn named(&self, daemon: &Daemon, is_live: bool) -> Option<Named> {
        let file = self.file(daemon)?;
        let path = self.path(daemon);
        if let Some(path) = path.as_deref().filter(|_| !is_live || file.starts_with('/')) {
            let what = format!("configuration {path}");
            return Some(Named { path: Some(path.to_owned()), read_at: path[1..].to_owned(), what });
        }
        let pid = self.process?.pid;
        let what = format!("configuration {file} in the working directory of process {pid}");
        Some(Named { path, read_at: format!("proc/{pid}/cwd/{file}"), what })
    }
}

/// Everything that a daemon was told.
struct Told<'a> {
    commands: Vec<Command<'a>>,
    configurations: Vec<&'a str>,
}

impl<'a> Told<'a> {
    fn by(daemon: &Daemon, snapshot: &'a Snapshot) -> Self {
        let commands = commands(daemon, snapshot);
        let named: Vec<String> = commands.iter().filter_map(|command| command.path(daemon)).collect();
        let is_its = |it: &&Configuration| it.path == daemon.configuration || named.contains(&it.path);
        let configurations =
            snapshot.configurations.iter().filter(is_its).map(|it| it.text.as_str()).collect();
        Self { commands, configurations }
    }

    /// Known places, and what the options say, on a command line or, without dashes, in a configuration.
    fn or_known(&self, known: &[&str], options: &[&str]) -> BTreeSet<String> {
        let values = options.iter().flat_map(|name| {
            let key = name.trim_start_matches('-');
            let commands = self.commands.iter().filter_map(move |command| command.option(name));
            commands.chain(self.configurations.iter().filter_map(move |text| setting(text, key)))
        });
        known.iter().map(|&path| path.to_owned()).chain(values.filter_map(below_root)).collect()
    }
}

/// Command lines: of those that run on the host, of the unit, and the options that its start script adds.
fn commands<'a>(daemon: &Daemon, snapshot: &'a Snapshot) -> Vec<Command<'a>> {
    // Only root's: anybody can name a process so and give it any file to read.
    let is_one = |it: &&Process| {
        it.uid == Some(0)
            && !it.is_in_a_pid_namespace()
            && it.container.is_none()
            && role::by_name(it) == daemon.role
    };
    let running = snapshot.processes.iter().filter(is_one).filter_map(|it| {
        let words = it.args.clone()?;
        Some(Command { words, process: Some(it) })
    });
    let units = snapshot.units.iter().filter(|unit| unit.name == daemon.unit);
    let starts = units.filter_map(|unit| unit.get("Service", "ExecStart")).map(words);
    let files = snapshot.configurations.iter().filter(|it| daemon.options.contains(&it.path.as_str()));
    let lines = files.flat_map(|file| file.text.lines()).filter(|line| !line.trim_start().starts_with('#'));
    let written = starts.chain(lines.map(words)).map(|words| Command { words, process: None });
    running.chain(written).collect()
}

/// The words of a line, as well as a shell's without its variables.
fn words(line: &str) -> Vec<String> {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    line.split(is_between).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `"key": "value"` of JSON, `key = "value"` of TOML before its first table.
///
/// The text is read as words and not as a document, which it may not be any more: secrets are taken out of it.
fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let is_json = text.trim_start().starts_with('{');
    let table = text.find("\n[").filter(|_| !is_json).unwrap_or(text.len());
    let text = &text[..table];
    text.match_indices(key).find_map(|(at, _)| {
        let (before, after) = (text[..at].trim_end_matches(['"', ' ', '\t']), &text[at + key.len()..]);
        let stands_first = before.is_empty() || before.ends_with(['{', ',', '\n']);
        let value = after.trim_start_matches('"').trim_start().strip_prefix([':', '='])?.trim_start();
        let quote = value.chars().next().filter(|c| stands_first && matches!(c, '"' | '\''))?;
        value[1..].split(quote).next()
    })
}

/// A path from `/` without its first slash; nothing for one that is relative to who knows what.
fn below_root(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?.trim_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::UnitFile;
    use crate::snapshot::installed::Setting;

    fn running(args: &[&str]) -> Process {
        let args = Some(args.iter().map(|&word| word.to_owned()).collect());
        Process { args, uid: Some(0), ns_pids: vec![7], ..Process::default() }
    }

    fn configured(path: &str, text: &str) -> Snapshot {
        let configuration = Configuration { path: path.to_owned(), text: crate::redact::text(text) };
        Snapshot { configurations: vec![configuration], ..Snapshot::default() }
    }

    fn has(places: &BTreeSet<String>, path: &str) -> bool {
        places.contains(path)
    }

    #[test]
    fn a_daemon_is_told_by_whatever_it_reads() {
        let unit = UnitFile {
            name: "docker.service".to_owned(),
            settings: vec![Setting {
                section: "Service".to_owned(),
                key: "ExecStart".to_owned(),
                value: "/usr/bin/dockerd -H fd:// --data-root=/data/docker".to_owned(),
            }],
            ..UnitFile::default()
        };
        let seen = [
            Snapshot { units: vec![unit], ..Snapshot::default() },
            Snapshot { processes: vec![running(&["dockerd", "-g", "/data/docker/"])], ..Snapshot::default() },
            configured(
                "/etc/docker/daemon.json",
                "{\n  \"debug\": true,\n  \"data-root\" : \"/data/docker\"\n}",
            ),
            configured("/etc/docker/daemon.json", r#"{"secret-opts":{"a":1},"graph":"/data/docker"}"#),
            configured(
                "/etc/default/docker",
                "#DOCKER_OPTS=\"-g /x\"\nDOCKER_OPTS=\"--graph /data/docker\"\n",
            ),
        ];
        for snapshot in seen {
            let places = Places::of(&snapshot).data_roots;
            assert_eq!(
                places.into_iter().collect::<Vec<_>>(),
                ["data/docker", "var/lib/docker"],
                "{snapshot:?}"
            );
        }
    }

    #[test]
    fn containerd_is_told_before_the_first_table() {
        let text = "version = 2\nroot = '/srv/ctd'\nstate = \"/srv/state\"\n[plugins]\nroot = \"/no\"\n";
        let places = Places::of(&configured("/etc/containerd/config.toml", text));
        assert!(has(&places.containerd_roots, "srv/ctd") && has(&places.containerd_states, "srv/state"));
        assert!(!has(&places.containerd_roots, "no"), "{places:?}");
        let comment =
            configured("/etc/containerd/config.toml", "#root = \"/srv/ctd\"\nruntime_root = \"/no\"\n");
        assert_eq!(Places::of(&comment), Places::well_known());
    }

    #[test]
    fn a_file_that_an_argument_names_counts_for_the_daemon_that_was_given_it() {
        let named = [
            running(&["/usr/sbin/dockerd", "--config-file", "/srv/daemon.json"]),
            running(&["/usr/bin/containerd", "-c=/srv/config.toml"]),
        ];
        let mut snapshot = configured("/srv/daemon.json", r#"{"exec-root":"/srv/exec"}"#);
        snapshot.processes = named.to_vec();
        let new: Vec<String> = configurations(&snapshot, true).into_iter().map(|it| it.read_at).collect();
        assert_eq!(new, ["srv/config.toml"]);
        let places = Places::of(&snapshot);
        assert!(has(&places.exec_roots, "srv/exec"));
        assert!(has(&places.containerd_states, "srv/exec/containerd/daemon"));
        assert!(!has(&places.containerd_roots, "srv/exec"));
    }

    #[test]
    fn a_relative_name_is_one_in_the_working_directory() {
        let dockerd = |cwd: Option<&str>, file: &str| Process {
            pid: 7,
            cwd: cwd.map(str::to_owned),
            ..running(&["dockerd", "--config-file", file])
        };
        let named_in = |process: Process, is_live: bool| {
            let snapshot = Snapshot { processes: vec![process], ..Snapshot::default() };
            configurations(&snapshot, is_live).pop().map(|it| (it.path.unwrap_or_default(), it.read_at))
        };
        let named = |process| named_in(process, true);
        let in_srv = (String::from("/srv/daemon.json"), String::from("proc/7/cwd/daemon.json"));
        assert_eq!(named(dockerd(Some("/srv"), "daemon.json")), Some(in_srv.clone()));
        assert_eq!(
            named(dockerd(None, "daemon.json")),
            Some((String::new(), in_srv.1)),
            "to be called unseen"
        );
        assert_eq!(named(dockerd(Some("/proc"), "kmsg")), None);
        let in_tree = (in_srv.0.clone(), String::from("srv/daemon.json"));
        assert_eq!(named_in(dockerd(Some("/srv"), "daemon.json"), false), Some(in_tree));

        let mut snapshot = configured("/srv/daemon.json", r#"{"data-root":"/data/docker"}"#);
        snapshot.processes = vec![dockerd(Some("/srv"), "daemon.json")];
        assert!(configurations(&snapshot, true).is_empty());
        assert!(has(&Places::of(&snapshot).data_roots, "data/docker"));
    }

    #[test]
    fn a_container_tells_nothing() {
        let inside = Process { ns_pids: vec![7, 1], ..running(&["dockerd", "--data-root", "/hung"]) };
        let of_a_user = Process { uid: Some(1000), ..running(&["dockerd", "--config-file", "/etc/shadow"]) };
        let kernels = running(&["dockerd", "--config-file", "/proc/kmsg"]);
        let snapshot = Snapshot { processes: vec![of_a_user, kernels], ..Snapshot::default() };
        assert_eq!(configurations(&snapshot, true), []);
        let relative = running(&["dockerd", "--data-root", "docker", "--exec-root", "/"]);
        let snapshot = Snapshot { processes: vec![inside, relative], ..Snapshot::default() };
        assert_eq!(Places::of(&snapshot), Places::well_known());
    }
}
