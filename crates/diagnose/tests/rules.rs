//! Each rule with a snapshot of the real trouble, recorded while it was staged, and with one that only looks like it.
#![expect(clippy::unwrap_used, reason = "a panic is a failed assertion")]

use diagnose::Snapshot;
use diagnose::diagnose::diagnose;
use diagnose::finding::Finding;

fn recorded(text: &str) -> Snapshot {
    serde_json::from_str(text).unwrap()
}

fn found(snapshot: &Snapshot, rule: &str) -> Vec<Finding> {
    diagnose(snapshot).findings.into_iter().filter(|finding| finding.rule == rule).collect()
}

/// One finding, and its blocker's name.
fn one(snapshot: &Snapshot, rule: &str) -> (Finding, String) {
    let mut findings = found(snapshot, rule);
    assert_eq!(findings.len(), 1, "{rule}: {findings:#?}");
    let finding = findings.remove(0);
    let name = finding.blocker.as_ref().map(|blocker| blocker.name.clone()).unwrap_or_default();
    (finding, name)
}

#[test]
fn a_full_pipe_needs_a_reader_that_waits_for_the_writer() {
    let mut snapshot = recorded(include_str!("../fixtures/full_pipe.json"));
    let (finding, blocker) = one(&snapshot, "full_pipe");
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("EX-03"), "mawk"));
    let room = snapshot.pipes.iter_mut().find(|pipe| pipe.bytes > Some(60_000)).unwrap();
    room.bytes = Some(1000);
    assert_eq!(found(&snapshot, "full_pipe"), Vec::new(), "a pipe with room");
    let full = snapshot.pipes.iter_mut().find(|pipe| pipe.bytes == Some(1000)).unwrap();
    full.bytes = full.capacity;
    let engine = snapshot.processes.iter().find(|process| process.comm == "dockerd").unwrap().pid;
    full.readers.iter_mut().for_each(|end| end.pid = engine);
    assert_eq!(found(&snapshot, "full_pipe"), Vec::new(), "a reader that waits for nobody");
}

#[test]
fn a_queue_needs_clients_that_ask_about_the_same_container() {
    let mut snapshot = recorded(include_str!("../fixtures/full_pipe.json"));
    let (finding, blocker) = one(&snapshot, "waiting_clients");
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("IN-03"), "mawk"));
    for process in snapshot.processes.iter_mut().filter(|process| process.comm == "docker") {
        process.args = Some(vec!["docker".into(), "inspect".into(), "another".into()]);
    }
    assert_eq!(found(&snapshot, "waiting_clients"), Vec::new());
}

#[test]
fn a_missing_engine_is_not_one_on_its_way() {
    let healthy = recorded(include_str!("../fixtures/full_pipe.json"));
    assert_eq!(found(&healthy, "engine_gone"), Vec::new());
    let mut started = healthy.clone();
    let engine = started.processes.iter().find(|process| process.comm == "dockerd").unwrap().pid;
    started.sockets.retain(|socket| !socket.owners.contains(&engine));
    assert_eq!(found(&started, "engine_gone"), Vec::new(), "there, and not connected yet");
    started.processes.retain(|process| process.pid != engine);
    let (finding, blocker) = one(&started, "engine_gone");
    assert_eq!((finding.class.as_deref(), blocker.as_str()), (Some("LO-01"), "dockerd"));
}

#[test]
fn held_output_needs_an_exec_that_has_ended() {
    let mut snapshot = recorded(include_str!("../fixtures/held_stdout.json"));
    let holders = found(&snapshot, "held_stdout");
    assert!(!holders.is_empty());
    let pid = holders[0].blocker.as_ref().unwrap().pid.unwrap();
    // With its session's leader alive, the exec has not ended.
    let session = snapshot.process(pid).unwrap().session;
    let mut leader = snapshot.process(pid).unwrap().clone();
    (leader.pid, leader.fds) = (session, Vec::new());
    snapshot.processes.push(leader);
    snapshot.processes.sort_by_key(|process| process.pid);
    let left = found(&snapshot, "held_stdout");
    assert!(left.iter().all(|finding| finding.blocker.as_ref().unwrap().pid != Some(pid)), "{left:#?}");
}

#[test]
fn a_limit_of_processes_needs_to_be_reached() {
    let mut snapshot = recorded(include_str!("../fixtures/pids_limit.json"));
    let (finding, _) = one(&snapshot, "pids_limit");
    assert!(finding.title.contains("20 of 20"), "{}", finding.title);
    for pids in snapshot.cgroups.iter_mut().filter_map(|group| group.pids.as_mut()) {
        pids.max = pids.max.map(|_| 1000);
    }
    assert_eq!(found(&snapshot, "pids_limit"), Vec::new());
}

#[test]
fn an_empty_node_is_healthy() {
    assert_eq!(diagnose(&Snapshot::default()).findings, Vec::new());
}
