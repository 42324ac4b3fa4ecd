//! Goroutine dumps: any bytes are read, nobody is counted twice, and the chain ends.

use diagnose::goroutines::{chain, queues, read};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(dumps) = read(&mut &*bytes) else {
        return;
    };
    for dump in &dumps {
        let grouped = dump.groups.iter().fold(dump.uncounted, |sum, group| sum.saturating_add(group.count));
        assert_eq!(grouped, dump.goroutines, "each goroutine is in one group");
        let waiting = queues(dump).iter().fold(0_u64, |sum, queue| sum.saturating_add(queue.waiting));
        assert!(waiting <= dump.goroutines, "more wait than there are");
    }
    assert!(chain(&dumps).len() <= 16, "the chain ends");
}
