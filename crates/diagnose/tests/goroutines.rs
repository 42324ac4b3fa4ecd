//! Dumps of real hangs: the doctor says what the people who were there found.
//!
//! `dockerd-18.06` and `containerd-1.1` are excerpts, as published, of a node on which 717594 inspects waited behind
//! one exec; the others were taken during the same hang, staged with stock packages.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use diagnose::goroutines::{Dump, Program, Queue, Wait, chain, queues, read};

fn dump(bytes: &[u8]) -> Dump {
    let mut dumps = read(&mut &*bytes).unwrap();
    assert_eq!(dumps.len(), 1);
    dumps.remove(0)
}

macro_rules! fixture {
    ($name:literal) => {
        dump(include_bytes!(concat!("goroutines/", $name)))
    };
}

/// What a queue is about: its lock, how many wait, and for what.
fn said(queue: &Queue) -> (&str, u64, Vec<(&str, u64)>) {
    let operations = queue.operations.iter().map(|row| (row.0.as_str(), row.1)).collect();
    (queue.lock.as_str(), queue.waiting, operations)
}

#[test]
fn the_published_profile_says_what_its_authors_found() {
    let dockerd = fixture!("dockerd-18.06-counts.txt");
    assert_eq!((dockerd.program, dockerd.declared), (Program::Dockerd, Some(722_373)));
    let queues = queues(&dockerd);
    assert_eq!(
        said(&queues[0]),
        ("the container's lock", 721_769, vec![("docker inspect", 717_594), ("docker stats", 4175)])
    );
    // The inspect that got the lock reads the list of execs, and that is locked by the one exec.
    assert_eq!(queues[0].holder.as_ref().unwrap().operation, "docker inspect");
    assert_eq!(said(&queues[1]), ("the lock of the container's execs", 1, vec![("docker inspect", 1)]));
    assert_eq!(queues[1].holder.as_ref().unwrap().operation, "docker exec");
}

#[test]
fn the_published_profiles_are_one_chain_that_ends_at_the_shim() {
    let links = chain(&[fixture!("dockerd-18.06-counts.txt"), fixture!("containerd-1.1-counts.txt")]);
    let said: Vec<(Program, &str, String)> =
        links.iter().map(|link| (link.program, link.operation.as_str(), link.wait.text())).collect();
    assert_eq!(
        said,
        [
            (Program::Dockerd, "docker inspect", "a lock, in exec.(*Store).List".to_owned()),
            (Program::Dockerd, "docker exec", "containerd's answer to Tasks.Start".to_owned()),
            (Program::Containerd, "Tasks.Start", "shim's answer to Shim.Start".to_owned()),
        ]
    );
}

#[test]
fn forty_inspects_and_five_stats_wait_behind_one_exec() {
    let dockerd = fixture!("dockerd-20.10-counts.txt");
    assert_eq!(dockerd.declared, Some(144));
    let queues = queues(&dockerd);
    assert_eq!(
        said(&queues[0]),
        ("the container's lock", 45, vec![("docker inspect", 40), ("docker stats", 5)])
    );
}

#[test]
fn the_chain_goes_through_three_processes_to_the_runtime() {
    let dumps = [
        fixture!("shim-1.6-logline.txt"),
        fixture!("containerd-1.6-text.txt"),
        fixture!("dockerd-20.10-counts.txt"),
    ];
    assert_eq!(
        dumps.each_ref().map(|dump| dump.program),
        [Program::Shim, Program::Containerd, Program::Dockerd]
    );
    let links = chain(&dumps);
    let last = links.last().unwrap();
    assert_eq!(last.program, Program::Shim);
    assert_eq!(last.wait, Wait::Child { of: "runc exec".to_owned() });
    assert_eq!(links[0].program, Program::Dockerd);
    assert!(links.iter().any(|link| link.program == Program::Containerd));
}
