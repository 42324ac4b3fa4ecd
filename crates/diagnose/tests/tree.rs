//! A tree of files reads like a live node.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use diagnose::{Source, collect};
#[path = "../examples/crowd/node.rs"]
mod node;

use node::Node;

fn snapshot(node: &Node) -> diagnose::Snapshot {
    collect(&Source::Tree(node.root().to_owned())).unwrap()
}

#[test]
fn every_container_is_found_with_its_shim_its_group_and_its_name() {
    let node = Node::with_containers(12);
    let seen = snapshot(&node);
    assert_eq!(seen.containers.len(), 12);
    for number in 0..12 {
        let id = Node::id(number);
        let container = seen.containers.iter().find(|it| it.id == id).unwrap();
        let shim = Node::shim(number);
        assert_eq!((container.shim, container.init), (Some(shim), Some(shim + 1)));
        assert_eq!(container.name, Some(format!("web-{number}")));
        let program = seen.process(shim + 1).unwrap();
        let levels: Vec<&str> = seen.chain(program, "pids").iter().map(|level| level.path.as_str()).collect();
        assert_eq!(levels, [format!("/docker/{id}").as_str(), "/docker", "/"]);
        let output = seen.pipe(program.fd(1).unwrap().pipe().unwrap()).unwrap();
        assert_eq!(output.writers.iter().map(|end| end.pid).collect::<Vec<_>>(), [shim + 1]);
        assert_eq!(output.readers.iter().map(|end| end.pid).collect::<Vec<_>>(), [shim]);
    }
}

/// Moves a folder of the node.
fn moved(node: &Node, from: &str, to: &str) {
    let (from, to) = (node.root().join(from), node.root().join(to));
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::rename(from, to).unwrap();
}

/// Tells daemons of a node where to keep their things.
type Tell = fn(&Node);

/// A node on which everything that daemons keep lies elsewhere, and no shim is left that would show where.
fn moved_node(tell: Tell) -> diagnose::Snapshot {
    let node = Node::with_containers(2);
    moved(&node, "var/lib/docker", "srv/docker");
    moved(&node, "run/docker", "srv/exec");
    moved(&node, "run/containerd", "srv/state");
    for number in 0..2 {
        std::fs::remove_dir_all(node.root().join(format!("proc/{}", Node::shim(number)))).unwrap();
    }
    assert!(snapshot(&node).runtime_states.is_empty(), "nobody has told yet");
    tell(&node);
    snapshot(&node)
}

#[test]
fn a_node_whose_daemons_keep_things_elsewhere_is_seen_as_well() {
    let told: [(&str, Tell); 4] = [
        ("by configuration", |node| {
            node.write("etc/docker/daemon.json", r#"{"data-root": "/srv/docker", "exec-root": "/srv/exec"}"#);
            node.write("etc/containerd/config.toml", "version = 2\nstate = \"/srv/state\"\n\n[grpc]\n");
        }),
        ("by arguments", |node| {
            node.write("proc/100/cmdline", "dockerd\0--data-root=/srv/docker\0--exec-root\0/srv/exec\0");
            node.write("proc/200/cmdline", "containerd\0--state\0/srv/state\0");
        }),
        ("by files that arguments name", |node| {
            node.write("proc/100/cmdline", "dockerd\0--config-file\0/opt/daemon.json\0");
            node.write("proc/200/cmdline", "containerd\0-c\0/opt/config.toml\0");
            node.write("opt/daemon.json", r#"{"data-root": "/srv/docker", "exec-root": "/srv/exec"}"#);
            node.write("opt/config.toml", "state = '/srv/state'\n");
        }),
        ("by files that arguments name from their working directory", |node| {
            works_in(node, 100, "opt");
            works_in(node, 200, "opt");
            node.write("proc/100/cmdline", "dockerd\0--config-file=daemon.json\0");
            node.write("proc/200/cmdline", "containerd\0-c\0./config.toml\0");
            node.write("opt/daemon.json", r#"{"data-root": "/srv/docker", "exec-root": "/srv/exec"}"#);
            node.write("opt/config.toml", "state = '/srv/state'\n");
        }),
    ];
    for (how, tell) in told {
        let seen = moved_node(tell);
        let names: Vec<_> = seen.containers.iter().filter_map(|it| it.name.as_deref()).collect();
        assert_eq!(names, ["web-0", "web-1"], "{how}");
        let roots: Vec<_> = seen.runtime_states.iter().map(|it| it.root.as_str()).collect();
        assert_eq!(roots, ["/srv/exec/runtime-runc/moby"; 2], "{how}");
        let namespaces: Vec<_> = seen.tasks.iter().map(|it| it.namespace.as_str()).collect();
        assert_eq!(namespaces, ["moby"; 2], "{how}");
        assert!(seen.host.file_systems.iter().any(|it| it.path == "/srv/docker"), "{how}");
    }
}

/// Gives a process a working directory.
fn works_in(node: &Node, pid: i32, folder: &str) {
    let cwd = node.root().join(format!("proc/{pid}/cwd"));
    let _ = std::fs::remove_file(&cwd);
    std::os::unix::fs::symlink(format!("/{folder}"), cwd).unwrap();
}

#[test]
fn a_configuration_that_a_daemon_was_told_and_nobody_saw_is_unseen() {
    let node = Node::with_containers(1);
    works_in(&node, 100, "opt");
    node.write("proc/100/cmdline", "dockerd\0--config-file\0daemon.json\0");
    let unseen = snapshot(&node).unseen;
    assert!(unseen.iter().any(|it| it.what == "configuration /opt/daemon.json"), "{unseen:?}");
    std::fs::remove_file(node.root().join("proc/100/cwd")).unwrap();
    let unseen = snapshot(&node).unseen;
    let what = "configuration daemon.json in the working directory of process 100";
    assert!(unseen.iter().any(|it| it.what == what), "{unseen:?}");
}

#[test]
fn a_root_that_only_tasks_name_is_read() {
    let node = Node::with_containers(1);
    moved(&node, "run/docker", "srv/exec");
    let options = r#"{"binary_name":"runc","root":"/srv/exec/runtime-runc"}"#;
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/moby/{}", Node::id(0));
    node.write(&format!("{bundle}/options.json"), options);
    assert_eq!(snapshot(&node).runtime_states[0].root, "/srv/exec/runtime-runc/moby");
}

#[test]
fn an_idle_node_gives_no_finding() {
    let seen = snapshot(&Node::with_containers(9));
    let diagnosis = diagnose::diagnose::diagnose(&seen);
    assert_eq!(diagnosis.findings, []);
}

#[test]
fn trouble_in_one_container_of_many_is_found() {
    let node = Node::with_containers(9);
    let group = format!("sys/fs/cgroup/docker/{}", Node::id(7));
    node.write(&format!("{group}/pids.max"), "4\n");
    node.write(&format!("{group}/pids.events"), "max 12\n");
    let diagnosis = diagnose::diagnose::diagnose(&snapshot(&node));
    let containers: Vec<Option<&str>> = diagnosis.findings.iter().map(|it| it.container.as_deref()).collect();
    assert!(containers.contains(&Some(Node::id(7).as_str())), "{:?}", diagnosis.findings);
    assert!(containers.iter().all(|it| *it == Some(Node::id(7).as_str())), "{:?}", diagnosis.findings);
}

#[test]
fn a_process_in_uninterruptible_sleep_is_not_asked_for_its_arguments() {
    let node = Node::with_containers(2);
    let pid = Node::shim(1);
    for file in ["stat".to_owned(), format!("task/{pid}/stat")] {
        let path = format!("proc/{pid}/{file}");
        let text = std::fs::read_to_string(node.root().join(&path)).unwrap();
        node.write(&path, &text.replace(") S ", ") D "));
    }
    let seen = snapshot(&node);
    assert_eq!(seen.process(pid).unwrap().args, None);
    assert!(seen.unseen.iter().any(|it| it.what == format!("/proc/{pid}/cmdline")), "{:?}", seen.unseen);
    assert!(seen.process(Node::shim(0)).unwrap().args.is_some());
}
