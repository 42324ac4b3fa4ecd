//! Listings taken by hand (lsof, ps, strace, `/proc` files, packages, log lines): any text is a snapshot in order, the
//! same each time, that every rule copes with; no line is lost.

use diagnose::diagnose::diagnose;
use diagnose::graph;
use diagnose::listing::import;

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let snapshot = import([text.as_ref()]);
    assert_eq!(import([text.as_ref()]), snapshot, "the same text is another snapshot");
    assert!(snapshot.processes.is_sorted_by_key(|process| process.pid), "processes out of order");
    assert!(snapshot.pipes.is_sorted_by_key(|pipe| pipe.inode), "pipes out of order");
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(snapshot.logs.len() <= lines, "more log lines than lines");
    for process in &snapshot.processes {
        assert!(snapshot.process(process.pid).is_some(), "process {} is not found again", process.pid);
    }
    let diagnosis = diagnose(&snapshot);
    for (line, _) in graph::lines(&diagnosis.graph, &diagnosis.blockers) {
        assert!(!line.contains('\n'), "a name breaks a line of the tree: {line:?}");
    }
}
