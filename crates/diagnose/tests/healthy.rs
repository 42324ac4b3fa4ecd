//! Whole logs of daemons from a node where nothing went wrong: explain finds nothing in them.
//!
//! Recorded with docker run --rm, exec, pause, stop, kill, restart, rm --force, health checks and a restart policy.

use diagnose::explain::Explainer;

const LOGS: &[(&str, &str)] = &[
    ("containerd 1.6.20", include_str!("healthy/containerd-1.6.log")),
    ("dockerd 20.10.24", include_str!("healthy/dockerd-20.10.log")),
];

#[test]
fn a_healthy_log_holds_no_failure() {
    let explainer = Explainer::new().unwrap();
    for (daemon, log) in LOGS {
        let mut found = Vec::new();
        let totals = explainer.read(&mut log.as_bytes(), &mut |line| found.push(line)).unwrap();
        assert!(totals.lines > 20, "{daemon}");
        assert!(found.is_empty(), "{daemon}: {found:#?}");
    }
}

/// containerd 1.6 says these of every container that ends, and no more of one whose shim was killed.
#[test]
fn the_end_of_a_container_was_logged() {
    let (_, log) = LOGS[0];
    for words in ["shim disconnected", "cleaning up after shim disconnected", "cleaning up dead shim"] {
        assert!(log.matches(words).count() > 10, "{words}");
    }
}
