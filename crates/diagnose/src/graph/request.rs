//! What a client asks for: its command line, read as docker, podman, nerdctl, crictl and ctr read it.
//!
//! ```text
//!   docker --context x container exec -it -u 0 web sh -c ... h0
//!          |         | |         |    |        |   '- the container's own affair
//!          options     group     verb options  the container
//! ```
//! kubectl asks the API server, which may ask any node: its command line names no container of this one.
//!
//! **Invariant**: only the words that the client itself takes for containers count. An option that is not in the tables
//! has no value.
//!
//! Source: `--help` of docker 20.10, podman 4.3 and ctr 1.6; cmd/crictl of cri-tools, cmd/nerdctl of nerdctl, cmd/compose
//! and pkg/compose of compose.

mod compose;
mod options;

use crate::snapshot::process::option;
use crate::snapshot::{Container, Process, role};
use crate::view::View;
use compose::Compose;
use options::{Given, Options, Valued};

/// What a client asks for, and about which containers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// `exec`, `inspect`, ...
    pub(crate) verb: &'a str,
    /// The words that name containers, or services of compose.
    pub(crate) operands: Vec<&'a str>,
    naming: Naming<'a>,
}

/// How a client calls a container.
#[derive(Debug, Default, PartialEq, Eq)]
enum Naming<'a> {
    /// By its name, its id, or the beginning of its id.
    #[default]
    NameOrId,
    /// By its id or the beginning of it.
    Id,
    /// By its whole id.
    WholeId,
    /// By its service.
    Service(Compose<'a>),
}

/// Which of a verb's operands are containers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    First,
    All,
    /// None: the container has its name from an option.
    Named,
}

/// A verb with the operands and the options that it has in any of the clients.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    operands: Operands,
    valued: Valued,
}

const fn verb(
    name: &'static str,
    operands: Operands,
    short: &'static str,
    long: &'static [&'static str],
) -> Verb {
    Verb { name, operands, valued: Valued { short, long } }
}

const VERBS: &[Verb] = &[
    verb("attach", Operands::First, "", &["detach-keys", "index"]),
    verb("commit", Operands::First, "acmf", &["author", "change", "message", "format", "iidfile"]),
    verb("cp", Operands::All, "", &["index"]),
    verb("create", Operands::Named, "", &[]),
    verb("delete", Operands::All, "s", &["signal"]),
    verb("diff", Operands::First, "", &["format"]),
    verb(
        "exec",
        Operands::First,
        "euwr",
        &[
            "cidfile",
            "cwd",
            "detach-keys",
            "env",
            "env-file",
            "exec-id",
            "fifo-dir",
            "index",
            "log-uri",
            "preserve-fd",
            "preserve-fds",
            "timeout",
            "transport",
            "user",
            "workdir",
        ],
    ),
    verb("export", Operands::First, "o", &["output"]),
    verb("info", Operands::First, "f", &["format"]),
    verb("inspect", Operands::All, "fo", &["format", "type", "output", "template", "mode"]),
    verb("kill", Operands::All, "s", &["signal", "cidfile", "exec-id"]),
    verb("logs", Operands::First, "n", &["since", "until", "tail", "limit-bytes", "index"]),
    verb("metrics", Operands::First, "", &["format"]),
    verb("pause", Operands::All, "", &["cidfile"]),
    verb("port", Operands::First, "", &["protocol", "index"]),
    verb("ps", Operands::First, "fn", &["filter", "format", "last", "sort", "status", "orderby"]),
    verb("rename", Operands::First, "", &[]),
    verb("restart", Operands::All, "ts", &["time", "timeout", "signal", "cidfile"]),
    verb("rm", Operands::All, "t", &["time", "cidfile", "depend"]),
    verb("run", Operands::Named, "", &[]),
    verb("start", Operands::All, "", &["checkpoint", "checkpoint-dir", "detach-keys", "filter", "log-uri"]),
    verb("stats", Operands::All, "io", &["format", "interval", "id", "seconds", "output"]),
    verb("stop", Operands::All, "ts", &["time", "timeout", "signal", "cidfile"]),
    verb("top", Operands::First, "", &["format"]),
    verb("unpause", Operands::All, "", &["cidfile"]),
    verb(
        "update",
        Operands::All,
        "cm",
        &[
            "blkio-weight",
            "cpu-period",
            "cpu-quota",
            "cpu-rt-period",
            "cpu-rt-runtime",
            "cpu-share",
            "cpu-shares",
            "cpus",
            "cpuset-cpus",
            "cpuset-mems",
            "memory",
            "memory-reservation",
            "memory-swap",
            "pids-limit",
            "restart",
        ],
    ),
    verb("wait", Operands::All, "i", &["condition", "interval"]),
];

/// Words between the client and the verb.
const GROUPS: &[&str] = &["container", "containers", "c", "task", "tasks", "t"];

/// Options before the verb that take a value, of any client; letters differ and are per client.
const BEFORE_VERB: &[&str] = &[
    "address",
    "ansi",
    "as",
    "as-group",
    "as-uid",
    "as-user-extra",
    "bridge-ip",
    "cache-dir",
    "cdi-spec-dir",
    "cdi-spec-dirs",
    "certificate-authority",
    "cgroup-manager",
    "client-certificate",
    "client-key",
    "cluster",
    "cni-netconfpath",
    "cni-path",
    "config",
    "conmon",
    "connect-timeout",
    "connection",
    "context",
    "data-root",
    "db-backend",
    "default-mounts-file",
    "env-file",
    "events-backend",
    "file",
    "hooks-dir",
    "host",
    "host-gateway-ip",
    "hosts-dir",
    "identity",
    "image-endpoint",
    "imagestore",
    "ipfs-address",
    "kubeconfig",
    "log-level",
    "max-retries",
    "module",
    "namespace",
    "network-cmd-path",
    "network-config-dir",
    "out",
    "parallel",
    "profile",
    "profile-cpu",
    "profile-mem",
    "progress",
    "project-directory",
    "project-name",
    "pull-option",
    "request-timeout",
    "root",
    "runroot",
    "runtime",
    "runtime-endpoint",
    "runtime-flag",
    "server",
    "snapshotter",
    "ssh",
    "storage-driver",
    "storage-opt",
    "timeout",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tmpdir",
    "token",
    "tracing-endpoint",
    "tracing-sampling-rate-per-million",
    "url",
    "user",
    "userns-remap",
    "volumepath",
    "workdir",
];

/// The letters of such options.
fn letters(program: &str) -> &'static str {
    match program {
        "docker" => "Hcl",
        "podman" => "c",
        "nerdctl" => "aHn",
        "crictl" => "cirt",
        "ctr" | "containerd-ctr" => "an",
        "kubectl" => "nsv",
        "compose" | "docker-compose" => "cfHlp",
        _ => "",
    }
}

/// Options before the verb that this client takes behind the verb as well.
fn inherited(program: &str) -> Option<Valued> {
    let short = match program {
        "nerdctl" => "Hn",
        "podman" => "",
        _ => return None,
    };
    Some(Valued { short, long: BEFORE_VERB })
}

/// What `crictl exec` has of its own: its `-e` has no value.
const CRICTL_EXEC: Valued = Valued {
    short: "rnp",
    long: &[
        "image",
        "label",
        "last",
        "name",
        "pod",
        "state",
        "timeout",
        "tls-ca",
        "tls-cert",
        "tls-key",
        "tls-server-name",
        "tls-sni",
        "transport",
    ],
};

/// Options with which a client looks for containers itself; all of its operands are the command then.
fn choosers(program: &str, verb: &str) -> &'static [&'static str] {
    match (program, verb) {
        ("crictl", "exec") => &["image", "l", "label", "last", "latest", "n", "name", "p", "pod", "state"],
        ("podman", _) => &["cidfile", "l", "latest"],
        _ => &[],
    }
}

/// What a client asks for; nothing when its arguments are not known or name no verb.
pub(crate) fn request(client: &Process) -> Option<Request<'_>> {
    let words = client.args.as_deref()?.get(1..)?;
    let program = role::program(client);
    let words = after_options(words, program)?;
    match words.first().map(String::as_str)? {
        "compose" => compose::request(client, words.get(1..)?),
        // The plug-in of docker is told the name of its own command first; the older program is not.
        _ if program == "docker-compose" => compose::request(client, client.args.as_deref()?.get(1..)?),
        group if GROUPS.contains(&group) => Some(asked(after_options(words.get(1..)?, "")?, program)),
        _ => Some(asked(words, program)),
    }
}

/// From the verb on.
fn after_options<'a>(words: &'a [String], program: &str) -> Option<&'a [String]> {
    let options = Options::of([Valued { short: letters(program), long: BEFORE_VERB }]);
    words.get(options.read(words).operand?..)
}

/// Verb, options, operands.
fn asked<'a>(words: &'a [String], program: &str) -> Request<'a> {
    let verb = words.first().map_or("", String::as_str);
    let rest = words.get(1..).unwrap_or_default();
    let known = known(program, verb).filter(|_| program != "kubectl");
    let operands = known.map(|known| operands(rest, program, known)).unwrap_or_default();
    let naming = match program {
        "crictl" => Naming::Id,
        "ctr" | "containerd-ctr" => Naming::WholeId,
        _ => Naming::NameOrId,
    };
    Request { verb, operands, naming }
}

fn known(program: &str, verb: &str) -> Option<Verb> {
    let known = VERBS.iter().find(|it| it.name == verb).copied()?;
    let is_crictls = program == "crictl" && verb == "exec";
    Some(if is_crictls { Verb { valued: CRICTL_EXEC, ..known } } else { known })
}

fn operands<'a>(words: &'a [String], program: &str, verb: Verb) -> Vec<&'a str> {
    if verb.operands == Operands::Named {
        return option(words, "--name").into_iter().collect();
    }
    let options = Options::of([Some(verb.valued), inherited(program)].into_iter().flatten());
    let read = options.read(words);
    let choosers = choosers(program, verb.name);
    if read.given.iter().any(|it| choosers.contains(&it.name)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rest = words;
    while let Some(at) = options.read(rest).operand {
        // `docker cp` has a path behind the name.
        found.push(rest[at].split(':').next().unwrap_or_default());
        if verb.operands == Operands::First {
            break;
        }
        rest = &rest[at + 1..];
    }
    found
}

impl Request<'_> {
    /// Whether one of the operands is this container: by its id, its name, or by at least four digits of its id unless
    /// another is called so.
    pub(crate) fn means(&self, view: &View<'_>, container: &Container) -> bool {
        self.operands.iter().any(|operand| match &self.naming {
            Naming::Service(compose) => compose.means(view, operand, container),
            naming => is_called(view, container, operand, naming),
        })
    }
}

fn is_called(view: &View<'_>, container: &Container, operand: &str, naming: &Naming<'_>) -> bool {
    if view.container(operand).is_some() {
        return container.id == operand;
    }
    let named = |it: &Container| *naming == Naming::NameOrId && it.name.as_deref() == Some(operand);
    let is_prefix = *naming != Naming::WholeId && operand.len() >= 4 && container.id.starts_with(operand);
    named(container) || is_prefix && !view.snapshot.containers.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    fn client(line: &str) -> Process {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Process { comm: args[0].clone(), args: Some(args), ..Process::default() }
    }

    /// Verb and operands, as one line.
    fn read(line: &str) -> String {
        let client = client(line);
        let request = request(&client).unwrap_or_default();
        [request.verb].into_iter().chain(request.operands).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_container_is_the_operand_that_the_client_takes_for_one() {
        for (line, expected) in [
            ("docker exec k0 sh -c sleep h0", "exec k0"),
            ("docker exec app ping db", "exec app"),
            ("docker exec -it -u db app sh", "exec app"),
            ("docker exec -itu db app sh", "exec app"),
            ("docker exec -udb --env A=db --workdir=/db app sh", "exec app"),
            ("docker exec -e A=b -- app db", "exec app"),
            ("docker -H unix:///db.sock --log-level info container exec --user db app ps", "exec app"),
            ("docker inspect -f {{.Id}} app db", "inspect app db"),
            ("docker inspect app --type container db", "inspect app db"),
            ("docker logs -f --tail 5 app", "logs app"),
            ("docker stop -t 5 app db", "stop app db"),
            ("docker kill -s db app", "kill app"),
            ("docker top app -o db", "top app"),
            ("docker cp app:/etc/hosts /tmp/x", "cp app /tmp/x"),
            ("docker run -d --name app image db", "run app"),
            ("docker ps -f name=app", "ps"),
            ("docker image inspect app", "image"),
            ("docker compose -f x.yml -p shop exec -T --index 2 app db", "exec app"),
            ("docker-compose compose -p shop exec app db", "exec app"),
            ("docker-compose -p shop exec app db", "exec app"),
            ("podman --root /r --runroot /s exec --latest db", "exec"),
            ("podman wait --condition stopped app", "wait app"),
            ("nerdctl -n k8s.io exec -it app db", "exec app"),
            ("crictl -r unix:///db.sock exec -s --timeout 5 1234abcd db", "exec 1234abcd"),
            ("ctr -n moby task exec --exec-id db app ps", "exec app"),
            ("ctr --namespace moby t exec -exec-id db app ps", "exec app"),
            ("docker exec --user=0 --env-file f --detach-keys ctrl-x app ps", "exec app"),
            ("docker -l debug -Hunix:///db.sock -D exec app ps", "exec app"),
            ("podman --log-level=info container exec --log-level debug -w /db app ps", "exec app"),
            ("podman exec -itl app ps", "exec"),
            ("podman exec -ul app ps", "exec app"),
            ("podman exec -t=false app ps", "exec app"),
            ("podman exec --cidfile f app", "exec"),
            ("nerdctl --cni-path /x exec -n k8s.io --address /db.sock app ps", "exec app"),
            ("nerdctl -n k8s.io container exec -e A=b app ps", "exec app"),
            ("nerdctl start -a app", "start app"),
            ("crictl exec -e -itr websocket 1234abcd db", "exec 1234abcd"),
            ("crictl --max-retries 2 exec -x 1234abcd db", "exec 1234abcd"),
            ("crictl exec --name app 1234abcd", "exec"),
            ("crictl exec -l 1234abcd", "exec"),
            ("ctr -debug -a /db.sock tasks exec -t --user 0 --exec-id=db app ps", "exec app"),
            ("docker compose --profile x --project-directory /db exec -e A=db app ps", "exec app"),
            ("docker-compose -f x.yml --ansi never exec -T --workdir /db app ps", "exec app"),
            ("docker-compose --context db compose exec app ps", "exec app"),
            ("docker compose logs -f --tail 5 app db", "logs app db"),
            ("kubectl -n web exec app -c db -- ps", "exec"),
            ("kubectl exec --kubeconfig /x deploy/app -- ps", "exec"),
            ("docker", ""),
            ("docker exec", "exec"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    /// Names of the containers that a client means, on a node with a few.
    fn meant(line: &str) -> Vec<&'static str> {
        let rows = [("beefbeef01", "app"), ("beefcafe02", "db"), ("0123456789", "cafe")];
        let container = |(id, name): &(&str, &str)| Container {
            id: (*id).to_owned(),
            name: Some((*name).to_owned()),
            ..Container::default()
        };
        let snapshot = Snapshot { containers: rows.iter().map(container).collect(), ..Snapshot::default() };
        let view = View::of(&snapshot);
        let client = client(line);
        let request = request(&client).unwrap();
        let all = rows.iter().zip(&snapshot.containers);
        all.filter(|(_, container)| request.means(&view, container)).map(|(row, _)| row.1).collect()
    }

    #[test]
    fn an_operand_is_a_name_before_it_is_the_beginning_of_an_id() {
        assert_eq!(meant("docker exec app ping db"), ["app"]);
        assert_eq!(meant("docker exec beefbeef01 ping db"), ["app"]);
        assert_eq!(meant("docker exec beefb db"), ["app"]);
        assert_eq!(meant("docker exec cafe db"), ["cafe"]);
        assert_eq!(meant("docker exec bee db"), [""; 0]);
    }

    #[test]
    fn a_client_that_knows_no_names_means_an_id() {
        assert_eq!(meant("crictl exec app db"), [""; 0]);
        assert_eq!(meant("crictl exec beefb db"), ["app"]);
        assert_eq!(meant("ctr t exec --exec-id 1 app db"), [""; 0]);
        assert_eq!(meant("ctr t exec --exec-id 1 beefb db"), [""; 0]);
        assert_eq!(meant("ctr t exec --exec-id 1 beefbeef01 db"), ["app"]);
        assert_eq!(meant("kubectl exec app -- db"), [""; 0]);
    }
}
