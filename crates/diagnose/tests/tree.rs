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
