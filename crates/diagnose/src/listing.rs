//! Listings that somebody took by hand, as a snapshot: lsof, ps, strace, `/proc` files, package lists, log lines.
//!
//! A text may hold several of them with prose in between, as a report from the field does. Every line is tried as a line
//! of each form; what is none of them is kept as a log line. **Invariant**: a pure function of the text; what a listing
//! does not tell (ages, fill of pipes, groups) stays unknown.

mod lsof;
mod packages;
mod process_files;
mod ps;
mod strace;

use std::collections::BTreeMap;

use crate::snapshot::{
    Cgroup, Container, LogLine, Package, Process, SCHEMA, Snapshot, Thread, UnixSocket, Unseen, Why,
};

/// What the importer calls itself in [`crate::snapshot::Taken::version`].
pub const BY_HAND: &str = "by hand";

/// Most lines of logs that are kept: each takes much more memory than its bytes.
const MOST_LINES: usize = 500_000;

/// Reads one or more texts as one snapshot.
#[must_use]
pub fn import<'a>(texts: impl IntoIterator<Item = &'a str>) -> Snapshot {
    let mut import = Import::default();
    for text in texts {
        import.context = Context::default();
        text.lines().for_each(|line| import.line(line));
    }
    import.finish()
}

/// What the lines before have said about the lines to come.
#[derive(Debug, Default)]
struct Context {
    /// Process that `strace` or a header speaks of.
    pid: Option<i32>,
    /// Thread that a header or a system call speaks of.
    tid: Option<i32>,
    /// The file that a `cat` named; the next number is what it printed.
    printed: Option<String>,
}

#[derive(Debug, Default)]
struct Import {
    processes: BTreeMap<i32, Process>,
    cgroups: Vec<Cgroup>,
    packages: Vec<Package>,
    logs: Vec<LogLine>,
    fips: Option<bool>,
    context: Context,
    /// Whether there were more lines of logs than are kept.
    left_out: bool,
}

impl Import {
    fn line(&mut self, line: &str) {
        let known = lsof::line(self, line)
            || process_files::line(self, line)
            || ps::line(self, line)
            || strace::line(self, line)
            || packages::line(self, line);
        if known || line.trim().is_empty() {
            return;
        }
        if self.logs.len() == MOST_LINES {
            self.left_out = true;
        } else {
            self.logs.push(LogLine {
                source: String::from("text"),
                text: line.to_owned(),
                ..LogLine::default()
            });
        }
    }

    fn process(&mut self, pid: i32) -> &mut Process {
        self.processes.entry(pid).or_insert_with(|| Process { pid, state: 'S', ..Process::default() })
    }

    /// The thread, which is made with its process if need be.
    fn thread(&mut self, pid: i32, tid: i32) -> &mut Thread {
        let threads = &mut self.process(pid).threads;
        let at = threads.iter().position(|thread| thread.tid == tid).unwrap_or_else(|| {
            threads.push(Thread { tid, state: 'S', ..Thread::default() });
            threads.len() - 1
        });
        &mut threads[at]
    }

    fn finish(mut self) -> Snapshot {
        self.parents();
        let containers = self.containers();
        let mut snapshot = Snapshot {
            schema: SCHEMA,
            processes: self.processes.into_values().collect(),
            containers,
            cgroups: self.cgroups,
            packages: self.packages,
            logs: self.logs,
            ..Snapshot::default()
        };
        snapshot.host.fips = self.fips;
        if self.left_out {
            let why = Why::TooMuch { taken: MOST_LINES as u64 };
            snapshot.unseen.push(Unseen { what: String::from("log lines"), why });
        }
        let is_log =
            snapshot.processes.is_empty() && snapshot.cgroups.is_empty() && snapshot.packages.is_empty();
        if is_log && snapshot.host.fips.is_none() {
            let what = String::from("processes, groups and packages: every line was taken for one of a log");
            snapshot.unseen.push(Unseen { what, why: Why::Malformed });
        }
        BY_HAND.clone_into(&mut snapshot.taken.version);
        // No start times: everything counts as old enough.
        snapshot.taken.since_boot_ms = u64::MAX;
        snapshot.pipes = crate::collect::pipes(&snapshot.processes);
        snapshot.sockets = sockets(&snapshot.processes);
        snapshot
    }

    /// A parent that is only mentioned is a process as well.
    fn parents(&mut self) {
        let parents: Vec<i32> =
            self.processes.values().map(|process| process.ppid).filter(|pid| *pid > 1).collect();
        for pid in parents {
            self.process(pid);
        }
    }

    /// One per shim that names an id; its children that do not name it are inside.
    fn containers(&mut self) -> Vec<Container> {
        let named = |process: &Process| Some((process.pid, id(process)?));
        let is_shim =
            |process: &&Process| process.args.iter().flatten().take(1).any(|word| word.contains("shim"));
        let shims: Vec<(i32, String)> = self.processes.values().filter(is_shim).filter_map(named).collect();
        let mut containers = Vec::new();
        for (shim, id) in shims {
            let mut container = Container { id: id.clone(), shim: Some(shim), ..Container::default() };
            let children = self.processes.values_mut().filter(|process| process.ppid == shim);
            for child in children.filter(|child| self::id(child).is_none() && child.args.is_some()) {
                child.container = Some(id.clone());
                container.init.get_or_insert(child.pid);
                container.processes.push(child.pid);
            }
            containers.push(container);
        }
        containers.sort_by(|a, b| a.id.cmp(&b.id));
        containers
    }
}

/// The first 64 hexadecimal digits among the arguments, also at the end of a path.
fn id(process: &Process) -> Option<String> {
    let words = process.args.iter().flatten().flat_map(|word| word.split('/'));
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.into_iter().find(is_id).map(str::to_owned)
}

fn sockets(processes: &[Process]) -> Vec<UnixSocket> {
    let mut sockets: BTreeMap<u64, UnixSocket> = BTreeMap::new();
    for process in processes {
        for inode in process.fds.iter().filter_map(crate::snapshot::Fd::socket) {
            let socket =
                sockets.entry(inode).or_insert_with(|| UnixSocket { inode, ..UnixSocket::default() });
            socket.owners.push(process.pid);
        }
    }
    sockets.into_values().collect()
}

/// `O_*` access mode of a letter: `r`, `w`, `u` as lsof writes them.
fn access(letter: char) -> Option<u32> {
    match letter {
        'r' => Some(0),
        'w' => Some(1),
        'u' => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_any_listing_is_said_to_be_none() {
        let unseen = |text: &str| import([text]).unseen.len();
        assert_eq!(unseen("root:x:0:0:root:/root:/bin/bash\n"), 1);
        let lsof =
            "COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME\ndockerd 7 root 1w FIFO 0,13 0t0 5 pipe\n";
        assert_eq!(unseen(lsof), 0);
    }
}
