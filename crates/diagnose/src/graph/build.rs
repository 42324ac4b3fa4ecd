//! From a snapshot to the waits around one container: kernel facts below the shim, connections above it.
//!
//! ```text
//!   client --socket--> engine --socket--> containerd --socket--> shim --child--> runtime --> helper
//!                                                                 ^                            | write(2)
//!                                                                 '--------- read end --- pipe <'
//! ```
//! Below the shim an edge is a wait that the kernel shows (system call, sleep, freezer). Above it an edge is a
//! connection to whoever is asked; Go programs show no more from outside.

use crate::graph::request::request;
use crate::graph::{Graph, Node, Role as Column};
use crate::snapshot::cgroup::FreezerState;
use crate::snapshot::role::VERBS;
use crate::snapshot::{Cgroup, Pipe, Process, Role, Thread, UnixSocket};
use crate::view::View;

pub(crate) use super::of_finding::of_finding;

/// Key of a process in a graph.
pub(crate) fn process_key(pid: i32) -> String {
    format!("pid:{pid}")
}

/// Key of a pipe.
pub(crate) fn pipe_key(inode: u64) -> String {
    format!("pipe:{inode}")
}

/// Who waits for whom because of one container.
#[must_use]
pub(crate) fn around_container(view: &View<'_>, id: &str) -> Graph {
    let mut build = Build { view, graph: Graph::default() };
    for keeper in view.keepers_of(id) {
        build.above_shim(keeper, id);
        build.above_conmon(keeper, id);
        build.below_shim(keeper);
    }
    build.graph
}

/// The waits of one process and of those it waits for, without anybody above.
#[must_use]
pub(crate) fn below<'a>(view: &View<'a>, process: &'a Process) -> Graph {
    let mut build = Build { view, graph: Graph::default() };
    build.process(process);
    build.waits(process);
    build.graph
}

/// The waits of a runtime and of everything below it.
#[must_use]
pub(crate) fn runtime<'a>(view: &View<'a>, runtime: &'a Process) -> Graph {
    let mut build = Build { view, graph: Graph::default() };
    for member in view.family(runtime) {
        build.process(member);
        build.waits(member);
    }
    build.graph
}

/// The containerd that a shim publishes to.
pub(crate) fn containerd_of<'a>(view: &View<'a>, shim: &Process) -> Option<&'a Process> {
    Build { view, graph: Graph::default() }.listener(shim.option("-address")?, Role::Containerd)
}

/// The engines that are connected to a containerd.
pub(crate) fn engines_of<'a>(view: &View<'a>, containerd: &Process) -> Vec<&'a Process> {
    Build { view, graph: Graph::default() }.connected_to(containerd, &[Role::Engine, Role::Crio])
}

/// The daemon at the other end of a client's connection.
pub(crate) fn daemon_of<'a>(view: &View<'a>, client: &Process) -> Option<&'a Process> {
    let snapshot = view.snapshot;
    let peers = client.fds.iter().filter_map(|fd| snapshot.socket(snapshot.socket(fd.socket()?)?.peer?));
    let mut owners = peers.flat_map(|peer| &peer.owners);
    let is_daemon = |pid: &&i32| matches!(view.role(**pid), Role::Engine | Role::Containerd | Role::Crio);
    owners.find(is_daemon).and_then(|pid| snapshot.process(*pid))
}

/// Whether a runtime was started for an engine: their shim and engine share a containerd.
pub(crate) fn works_for(view: &View<'_>, runtime: &Process, engine: &Process) -> bool {
    let mut at = view.snapshot.process(runtime.ppid);
    while let Some(parent) = at.filter(|parent| view.role(parent.pid) != Role::Shim) {
        at = view.snapshot.process(parent.ppid);
    }
    let containerd = at.and_then(|shim| containerd_of(view, shim));
    containerd
        .is_some_and(|containerd| engines_of(view, containerd).iter().any(|found| found.pid == engine.pid))
}

/// The verb of a client: `exec`, `inspect`, ...
pub(crate) fn client_verb(client: &Process) -> Option<&str> {
    request(client).map(|request| request.verb)
}

/// What `docker stop` gives a container to end, unless it is told another time. Seconds.
const GRACE_S: u64 = 10;

/// How long a client that ends a container lets it end by itself, in milliseconds; none when it asks for something else,
/// or waits for ever.
///
/// A container's own `--stop-timeout` is known to its engine alone.
pub(crate) fn grace_ms(client: &Process) -> Option<u64> {
    let usual_s = match client_verb(client)? {
        "stop" => GRACE_S,
        "kill" | "rm" => 0,
        _ => return None,
    };
    let glued = client.args.iter().flatten().filter_map(|word| word.strip_prefix("-t"));
    let glued =
        glued.filter(|word| word.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-'));
    let mut told =
        ["-t", "--time", "--timeout"].into_iter().filter_map(|name| client.option(name)).chain(glued);
    let seconds = match told.next() {
        Some(seconds) => u64::from(seconds.parse::<u32>().ok()?),
        None => usual_s,
    };
    Some(seconds * 1000)
}

/// Adds a process; gives back its key.
pub(super) fn process(view: &View<'_>, graph: &mut Graph, process: &Process) -> String {
    let key = process_key(process.pid);
    let role = match view.role(process.pid) {
        Role::Client | Role::Kubelet => Column::Client,
        Role::Engine | Role::Crio => Column::Engine,
        Role::Containerd => Column::Containerd,
        Role::Shim | Role::Conmon => Column::Shim,
        Role::Runtime | Role::RuntimeInit => Column::Runtime,
        Role::InContainer => Column::Inside,
        Role::Other => Column::Other,
    };
    let asks = if role == Column::Client { question(view, process) } else { String::new() };
    let age = view.known_age(process).map_or_else(String::new, |age| format!(", {age} old"));
    let detail = format!("{asks}state {}{age}", process.state);
    graph.node(Node { key: key.clone(), role, label: view.label(process), detail });
    key
}

/// What a client asks for, to stand before more: `exec web, `.
fn question(view: &View<'_>, client: &Process) -> String {
    let Some(request) = request(client) else { return String::new() };
    let operands = request.operands.iter().map(|operand| match view.container(operand) {
        Some(container) => container.name.as_deref().unwrap_or(operand),
        None => operand,
    });
    let words: Vec<&str> = [request.verb].into_iter().chain(operands).collect();
    crate::finding::one_line(&words.join(" ")) + ", "
}

struct Build<'a, 'b> {
    view: &'b View<'a>,
    graph: Graph,
}

impl<'a> Build<'a, '_> {
    fn process(&mut self, process: &Process) -> String {
        self::process(self.view, &mut self.graph, process)
    }

    fn kernel(&mut self, key: String, label: String, detail: String) -> String {
        self.graph.node(Node { key: key.clone(), role: Column::Kernel, label, detail });
        key
    }

    /// Everything below a shim that somebody started and that has not ended: its runtimes.
    fn below_shim(&mut self, shim: &'a Process) {
        let key = self.process(shim);
        let runtimes: Vec<&Process> =
            self.view.children(shim.pid).filter(|child| self.view.role(child.pid) == Role::Runtime).collect();
        for child in runtimes {
            let below = self.process(child);
            let verb = verb(child).map_or_else(String::new, |verb| format!(" {verb}"));
            let why = format!("waits for its child{verb}, started {} ago", self.view.age(child));
            self.graph.edge(&key, &below, why);
            for member in self.view.family(child) {
                self.process(member);
                self.waits(member);
            }
        }
    }

    /// What the kernel says that a process waits for.
    fn waits(&mut self, process: &'a Process) {
        if self.frozen(process) {
            return;
        }
        let from = process_key(process.pid);
        for thread in &process.threads {
            if let Some((pipe, end)) = self.view.writing_to(process, thread) {
                let to = self.pipe(pipe);
                self.graph.edge(&from, &to, format!("write(2) to descriptor {}, which is full", end.fd));
            } else if thread.state == 'D' {
                self.uninterruptible(process, thread);
            } else if is_call(thread, &["wait4", "waitid"]) {
                self.children(process);
            } else if is_call(thread, &["read", "recvmsg", "recvfrom", "readv"]) {
                self.reading(process, thread);
            }
        }
    }

    fn children(&mut self, process: &'a Process) {
        let from = process_key(process.pid);
        let children: Vec<&Process> =
            self.view.children(process.pid).filter(|child| child.state != 'Z').collect();
        for child in children {
            let to = self.process(child);
            self.graph.edge(&from, &to, "waits for its child");
        }
    }

    fn reading(&mut self, process: &'a Process, thread: &Thread) {
        let Some(fd) = thread.call.as_ref().and_then(|call| call.fd) else { return };
        let peers: Vec<i32> = self.other_ends(process, fd);
        if peers.is_empty() && self.view.role(process.pid) == Role::Runtime {
            // A runtime reads from its own child; a listing by hand does not show the other end.
            return self.children(process);
        }
        let from = process_key(process.pid);
        for peer in peers.into_iter().filter_map(|pid| self.view.snapshot.process(pid)) {
            let to = self.process(peer);
            self.graph.edge(&from, &to, format!("reads descriptor {fd}, to which it writes"));
        }
    }

    /// Who can write what somebody reads: descendants alone, since a runtime waits for its own children.
    fn other_ends(&self, process: &'a Process, fd: i32) -> Vec<i32> {
        let snapshot = self.view.snapshot;
        let Some(fd) = process.fd(fd) else { return Vec::new() };
        let writers = fd.pipe().and_then(|inode| snapshot.pipe(inode)).map(|pipe| &pipe.writers);
        let mut pids: Vec<i32> = writers.into_iter().flatten().map(|end| end.pid).collect();
        let peer = fd.socket().and_then(|inode| snapshot.socket(inode)?.peer);
        pids.extend(
            peer.and_then(|inode| snapshot.socket(inode)).into_iter().flat_map(|peer| peer.owners.clone()),
        );
        let family: Vec<i32> = self.view.family(process).iter().skip(1).map(|member| member.pid).collect();
        pids.retain(|pid| family.contains(pid));
        pids
    }

    fn pipe(&mut self, pipe: &Pipe) -> String {
        let key = pipe_key(pipe.inode);
        let name = pipe.path.clone().unwrap_or_else(|| format!("pipe:[{}]", pipe.inode));
        let fill = match (pipe.bytes, pipe.capacity) {
            (Some(bytes), Some(capacity)) => format!("{bytes} of {capacity} bytes"),
            _ => String::from("fill unknown"),
        };
        self.kernel(key.clone(), name, fill);
        let mut readers: Vec<i32> = pipe.readers.iter().map(|end| end.pid).collect();
        readers.dedup();
        for reader in readers.into_iter().filter_map(|pid| self.view.snapshot.process(pid)) {
            let to = self.process(reader);
            self.graph.edge(&key, &to, "has the read end and does not read");
        }
        key
    }

    /// Whether a freezer holds the process, with the edge to it.
    fn frozen(&mut self, process: &'a Process) -> bool {
        let Some(group) = frozen_by(self.view, process) else { return false };
        let state = group.freezer.as_ref().map(|freezer| format!("{:?}", freezer.state).to_lowercase());
        let key = format!("freezer:{}", group.directory);
        let to = self.kernel(key, format!("freezer {}", group.directory), state.unwrap_or_default());
        self.graph.edge(&process_key(process.pid), &to, "sleeps in the freezer");
        true
    }

    fn uninterruptible(&mut self, process: &'a Process, thread: &Thread) {
        let place = thread.place().map_or("an unknown place", |(function, _)| function);
        let from = process_key(process.pid);
        let memory = is_out_of_memory(thread).then(|| starved_by(self.view, process)).flatten();
        let (key, label, detail) = match memory {
            Some(group) => (
                format!("memory:{}", group.directory),
                format!("memory {}", group.directory),
                String::from("at its limit"),
            ),
            None => (format!("sleep:{place}"), place.to_owned(), String::from("uninterruptible")),
        };
        let to = self.kernel(key, label, detail);
        self.graph.edge(&from, &to, format!("thread {} sleeps uninterruptibly in {place}", thread.tid));
    }

    /// Shim, containerd, engine and the clients that name the container.
    fn above_shim(&mut self, shim: &'a Process, id: &str) {
        let shim_key = self.process(shim);
        let daemon = shim.option("-address").and_then(|path| self.listener(path, Role::Containerd));
        let Some(containerd) = daemon else { return };
        let containerd_key = self.process(containerd);
        if !self.stands_still(containerd) {
            self.graph.edge(&containerd_key, &shim_key, "calls the shim over ttrpc");
        }
        for engine in self.connected_to(containerd, &[Role::Engine, Role::Crio]) {
            let engine_key = self.process(engine);
            if !self.stands_still(engine) {
                self.graph.edge(&engine_key, &containerd_key, "calls containerd over gRPC");
            }
            self.clients(engine, id);
        }
        self.clients(containerd, id);
    }

    /// Who has started a conmon waits for its word, on a socket that both have from that.
    fn above_conmon(&mut self, conmon: &'a Process, id: &str) {
        if self.view.role(conmon.pid) != Role::Conmon {
            return;
        }
        let snapshot = self.view.snapshot;
        let own = conmon.fds.iter().filter_map(|fd| snapshot.socket(fd.socket()?));
        for caller in self.at_other_ends(own, &[Role::Client, Role::Engine, Role::Crio]) {
            let from = self.process(caller);
            let why = format!("waits for word of the conmon, {} old", self.view.age(conmon));
            self.graph.edge(&from, &process_key(conmon.pid), why);
            self.clients(caller, id);
        }
    }

    /// Whether a daemon waits for nothing but to be let go on.
    fn stands_still(&self, daemon: &Process) -> bool {
        daemon.state == 'T' || frozen_by(self.view, daemon).is_some()
    }

    fn clients(&mut self, daemon: &'a Process, id: &str) {
        let to = process_key(daemon.pid);
        for client in self.connected_to(daemon, &[Role::Client, Role::Kubelet]) {
            if names(self.view, client, id) {
                let from = self.process(client);
                self.graph.edge(&from, &to, format!("has asked {} ago", self.view.age(client)));
            }
        }
    }

    fn listener(&self, path: &str, role: Role) -> Option<&'a Process> {
        let sockets = self.view.snapshot.sockets.iter().filter(|socket| socket.path.as_deref() == Some(path));
        let mut owners = sockets.flat_map(|socket| &socket.owners);
        let pid = owners.find(|pid| self.view.role(**pid) == role)?;
        self.view.snapshot.process(*pid)
    }

    /// Processes of these roles at the other ends of a daemon's sockets, each once.
    fn connected_to(&self, daemon: &Process, roles: &[Role]) -> Vec<&'a Process> {
        let snapshot = self.view.snapshot;
        let own = snapshot
            .sockets
            .iter()
            .filter(|socket| socket.path.is_some() && socket.owners.contains(&daemon.pid));
        self.at_other_ends(own, roles)
    }

    /// Processes of these roles at the other ends of sockets, each once.
    fn at_other_ends<'s>(
        &self,
        own: impl Iterator<Item = &'s UnixSocket>,
        roles: &[Role],
    ) -> Vec<&'a Process> {
        let snapshot = self.view.snapshot;
        let peers = own.filter_map(|socket| snapshot.socket(socket.peer?));
        let mut pids: Vec<i32> = peers.flat_map(|peer| peer.owners.clone()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids.retain(|pid| roles.contains(&self.view.role(*pid)));
        pids.into_iter().filter_map(|pid| snapshot.process(pid)).collect()
    }
}

fn is_call(thread: &Thread, names: &[&str]) -> bool {
    let name = thread.call.as_ref().and_then(|call| call.name.as_deref());
    thread.state != 'R' && name.is_some_and(|name| names.contains(&name))
}

/// Whether a thread sleeps because its memory group is at its limit and nobody may be killed.
///
/// Kernel: v1 alone; `mem_cgroup_oom_synchronize` waits until somebody makes room.
pub(crate) fn is_out_of_memory(thread: &Thread) -> bool {
    thread.sleeps_in("mem_cgroup_oom_synchronize")
}

/// The memory group that lets nobody of `process` go on: the nearest that is under OOM with its killer off.
pub(crate) fn starved_by<'a>(view: &View<'a>, process: &Process) -> Option<&'a Cgroup> {
    let levels = view.snapshot.chain(process, "memory");
    levels.into_iter().find(|group| {
        group
            .memory
            .as_ref()
            .is_some_and(|memory| memory.under_oom == Some(true) && memory.oom_kill_disable == Some(true))
    })
}

/// The outermost group that was itself told to freeze and holds `process`.
pub(crate) fn frozen_by<'a>(view: &View<'a>, process: &Process) -> Option<&'a Cgroup> {
    let levels = view.snapshot.chain(process, "freezer");
    let frozen = |group: &&Cgroup| {
        group
            .freezer
            .as_ref()
            .is_some_and(|freezer| freezer.by_itself && freezer.state != FreezerState::Thawed)
    };
    levels.into_iter().rev().find(frozen)
}

/// The verb of a runtime's command line.
pub(crate) fn verb(runtime: &Process) -> Option<&'static str> {
    let mut arguments = runtime.args.iter().flatten();
    arguments.find_map(|argument| VERBS.into_iter().find(|verb| verb == argument))
}

/// Whether a client asks about the container; a kubelet, whose command line names none, may mean any.
pub(crate) fn names(view: &View<'_>, client: &Process, id: &str) -> bool {
    if view.role(client.pid) == Role::Kubelet {
        return true;
    }
    let container = view.container(id);
    container.zip(request(client)).is_some_and(|(container, request)| request.means(view, container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Container, Fd, FdTarget, Snapshot};

    fn process(pid: i32, ppid: i32, line: &str) -> Process {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Process {
            pid,
            ppid,
            comm: args[0].clone(),
            args: Some(args),
            ns_pids: vec![pid],
            ..Process::default()
        }
    }

    fn socket(inode: u64, owner: i32) -> UnixSocket {
        UnixSocket { inode, peer: Some(inode ^ 1), owners: vec![owner], ..UnixSocket::default() }
    }

    #[test]
    fn a_podman_exec_waits_for_the_conmon_that_it_has_started() {
        let mut conmon = process(40, 1, "conmon --api-version 1 -c one -e");
        conmon.fds = vec![Fd { number: 3, target: FdTarget::Socket { inode: 9 }, flags: None, offset: None }];
        let init =
            Process { ns_pids: vec![21, 1], container: Some("one".to_owned()), ..process(21, 20, "sleep") };
        let processes = vec![
            process(20, 1, "conmon --api-version 1 -c one"),
            init,
            process(30, 1, "podman exec one true"),
            conmon,
            process(41, 40, "runc exec one"),
        ];
        let one = Container { id: "one".to_owned(), shim: Some(20), ..Container::default() };
        let sockets = vec![socket(8, 30), socket(9, 40)];
        let snapshot = Snapshot { processes, sockets, containers: vec![one], ..Snapshot::default() };
        let view = View::of(&snapshot);
        assert_eq!(view.container_of(&snapshot.processes[4]), Some("one"));
        let chain = around_container(&view, "one").chain_to("pid:41");
        let who: Vec<&str> = chain.iter().map(|link| link.who.as_str()).collect();
        assert_eq!(who, ["podman (30)", "conmon (40)"]);
    }
}
