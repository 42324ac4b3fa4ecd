//! What a client asks for: its command line, read as docker, podman, nerdctl, crictl and ctr read it.
//!
//! ```text
//!   docker --context x container exec -it -u 0 web sh -c ... h0
//!          |         | |         |    |        |   '- the container's own affair
//!          options     group     verb options  the container
//! ```
//! **Invariant**: only the words that the client itself takes for containers count. An option that is not in the tables
//! has no value.

use crate::snapshot::process::option;
use crate::snapshot::{Container, Process, role};
use crate::view::View;

/// What a client asks for, and about which containers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// `exec`, `inspect`, ...
    pub(crate) verb: &'a str,
    /// The words that name containers, or services of compose.
    pub(crate) operands: Vec<&'a str>,
    compose: Option<Compose<'a>>,
}

/// How compose calls the containers of a service: `PROJECT-SERVICE-INDEX`, before 2.0 with `_`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compose<'a> {
    project: Option<&'a str>,
    index: Option<&'a str>,
}

/// Options that take a value: by letter, and by name.
struct Valued {
    short: &'static str,
    long: &'static [&'static str],
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
    "cgroup-manager",
    "config",
    "connect-timeout",
    "connection",
    "conmon",
    "context",
    "data-root",
    "env-file",
    "events-backend",
    "file",
    "hooks-dir",
    "host",
    "hosts-dir",
    "identity",
    "image-endpoint",
    "imagestore",
    "log-level",
    "module",
    "namespace",
    "network-cmd-path",
    "network-config-dir",
    "out",
    "parallel",
    "profile",
    "progress",
    "project-directory",
    "project-name",
    "root",
    "runroot",
    "runtime",
    "runtime-endpoint",
    "runtime-flag",
    "snapshotter",
    "ssh",
    "storage-driver",
    "storage-opt",
    "timeout",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tmpdir",
    "url",
    "volumepath",
];

/// The letters of such options.
fn letters(program: &str) -> &'static str {
    match program {
        "docker" => "Hcl",
        "podman" => "c",
        "nerdctl" => "aHn",
        "crictl" => "cirt",
        "ctr" | "containerd-ctr" => "an",
        "compose" => "fp",
        _ => "",
    }
}

/// What a client asks for; nothing when its arguments are not known or name no verb.
pub(crate) fn request(client: &Process) -> Option<Request<'_>> {
    let words = client.args.as_deref()?.get(1..)?;
    let program = role::program(client);
    // The plug-in of docker is told the name of its own command first.
    let is_compose = program == "docker-compose";
    let words = after_options(words, if is_compose { "compose" } else { program })?;
    match words.first().map(String::as_str)? {
        "compose" => compose(words.get(1..)?),
        _ if is_compose => compose(client.args.as_deref()?.get(1..)?),
        group if GROUPS.contains(&group) => Some(asked(after_options(words.get(1..)?, "")?)),
        _ => Some(asked(words)),
    }
}

/// A request of compose, after that word.
fn compose(words: &[String]) -> Option<Request<'_>> {
    let rest = after_options(words, "compose")?;
    let before = words.get(..words.len() - rest.len())?;
    let project = option(before, "--project-name").or_else(|| option(before, "-p"));
    let mut request = asked(rest);
    let operand = request.operands.first().and_then(|first| rest.iter().position(|word| word == first));
    let index = operand.and_then(|at| option(rest.get(..at)?, "--index"));
    request.compose = Some(Compose { project, index });
    Some(request)
}

/// From the verb on.
fn after_options<'a>(words: &'a [String], program: &str) -> Option<&'a [String]> {
    let valued = Valued { short: letters(program), long: BEFORE_VERB };
    words.get(valued.operand(words)?..)
}

/// Verb, options, operands.
fn asked(words: &[String]) -> Request<'_> {
    let verb = words.first().map_or("", String::as_str);
    let rest = words.get(1..).unwrap_or_default();
    let known = VERBS.iter().find(|it| it.name == verb);
    let operands = known.map(|known| operands(rest, known)).unwrap_or_default();
    Request { verb, operands, compose: None }
}

fn operands<'a>(words: &'a [String], verb: &Verb) -> Vec<&'a str> {
    if verb.operands == Operands::Named {
        return option(words, "--name").into_iter().collect();
    }
    let mut found = Vec::new();
    let mut rest = words;
    let first = verb.valued.operand(words).unwrap_or(words.len());
    if words.iter().take(first).any(|word| word == "-l" || word == "--latest") {
        // podman's own choice; the first operand is the command already.
        return found;
    }
    while let Some(at) = verb.valued.operand(rest) {
        // `docker cp` has a path behind the name.
        found.push(rest[at].split(':').next().unwrap_or_default());
        if verb.operands == Operands::First {
            break;
        }
        rest = &rest[at + 1..];
    }
    found
}

impl Valued {
    /// Where the first word stands that is neither an option nor the value of one.
    fn operand(&self, words: &[String]) -> Option<usize> {
        let mut at = 0;
        loop {
            let word = words.get(at)?;
            match word.strip_prefix('-') {
                Some("-") => return (at + 1 < words.len()).then_some(at + 1),
                Some(option) if !option.is_empty() => at += if self.takes_next(option) { 2 } else { 1 },
                _ => return Some(at),
            }
        }
    }

    /// Whether the value of an option, given without its first dash, is the next word: `-u 0`, `-itu 0`, `--user 0`,
    /// `-exec-id x`; but not `-u0`, `--user=0`.
    fn takes_next(&self, option: &str) -> bool {
        if self.long.contains(&option.trim_start_matches('-')) {
            return true;
        }
        let valued = option.find(|letter| self.short.contains(letter));
        !option.starts_with('-') && valued.is_some_and(|at| at + 1 == option.len())
    }
}

impl Request<'_> {
    /// Whether one of the operands is this container: by its id, its name, or by at least four digits of its id unless
    /// another is called so.
    pub(crate) fn means(&self, view: &View<'_>, container: &Container) -> bool {
        self.operands.iter().any(|operand| match &self.compose {
            Some(compose) => container.name.as_deref().is_some_and(|name| compose.runs(operand, name)),
            None => is_called(view, container, operand),
        })
    }
}

fn is_called(view: &View<'_>, container: &Container, operand: &str) -> bool {
    if view.container(operand).is_some() {
        return container.id == operand;
    }
    let named = |it: &Container| it.name.as_deref() == Some(operand);
    let is_prefix = operand.len() >= 4 && container.id.starts_with(operand);
    named(container) || is_prefix && !view.snapshot.containers.iter().any(named)
}

impl Compose<'_> {
    /// Whether a container of this name runs the service.
    fn runs(&self, service: &str, name: &str) -> bool {
        let separators = ['-', '_'];
        let Some((rest, index)) = name.rsplit_once(separators) else { return false };
        let project = rest.strip_suffix(service).and_then(|rest| rest.strip_suffix(separators));
        let is_index = self.index.map_or_else(|| index.parse::<u32>().is_ok(), |wanted| wanted == index);
        is_index && project.is_some_and(|project| self.project.is_none_or(|wanted| wanted == project))
    }
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
            ("docker", ""),
            ("docker exec", "exec"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    /// Names of the containers that a client means, on a node with a few.
    fn meant(line: &str) -> Vec<&'static str> {
        let rows = [
            ("beefbeef01", "app"),
            ("beefcafe02", "db"),
            ("0123456789", "cafe"),
            ("cafecafe04", "shop-app-1"),
            ("cafecafe05", "shop-app-2"),
            ("cafecafe06", "other-app-1"),
        ];
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
    fn compose_names_services() {
        assert_eq!(meant("docker compose -p shop exec --index 2 app sh"), ["shop-app-2"]);
        assert_eq!(meant("docker compose exec --index=1 app sh"), ["shop-app-1", "other-app-1"]);
        assert_eq!(meant("docker compose -p shop logs app"), ["shop-app-1", "shop-app-2"]);
        assert_eq!(meant("docker compose exec db sh"), [""; 0]);
    }
}
