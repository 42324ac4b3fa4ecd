//! The threads of a process: state, place of sleep, system call.

use super::{Detail, Folder, Piece, Process, Reader, Unseen, Why};
use crate::collect::syscall;
use crate::snapshot::Thread;

/// Most threads that are read of a part of the chain, of another process of the host, of one in a container.
const MOST: [usize; 3] = [8192, 256, 64];

/// Calls whose place of sleep in the kernel tells nothing more.
const IDLE: [&str; 3] = ["futex", "epoll_wait", "epoll_pwait"];

impl Reader<'_> {
    /// Reads the threads, the first one first; of an outline only whatever is in uninterruptible sleep.
    pub(super) fn threads(&mut self, process: &mut Process, detail: Detail) {
        if detail == Detail::Outline && process.state != 'D' {
            return;
        }
        self.visit.about("task");
        let tasks = self.folder.folder("task").and_then(|tasks| Ok((tasks.numbers()?, tasks)));
        let (numbers, tasks) = match tasks {
            Ok(found) => found,
            Err(errno) => return self.refused("task", errno),
        };
        let most = most(detail);
        if numbers.len() > most {
            let what = format!("/{}/task: {} threads", self.visit.unit, numbers.len());
            self.pieces.push(Piece::Unseen(Unseen { what, why: Why::TooMuch { taken: most as u64 } }));
        }
        let mut order = numbers;
        // The first thread has the pid for its number, and a wrapped pid would sort others before it.
        order.sort_by_key(|tid| *tid != process.pid);
        for tid in order.into_iter().take(most) {
            process.threads.extend(self.thread(&tasks, tid, process));
        }
    }

    fn thread(&mut self, tasks: &Folder, tid: i32, process: &Process) -> Option<Thread> {
        self.visit.about("stat");
        // Each file by its path: a directory of its own for each thread is a third more to open.
        let text = |file: &str| tasks.record(&format!("{tid}/{file}"));
        let stat = proc::pid::Stat::parse(&text("stat").ok()?)?;
        let mut thread = Thread { tid, state: stat.state, ..Thread::default() };
        thread.comm = (stat.comm != process.comm).then_some(stat.comm);
        if thread.state == 'Z' {
            return Some(thread);
        }
        self.visit.about("syscall");
        let call = text("syscall").ok();
        thread.call = call.and_then(|line| syscall::parse(&line, self.machine));
        if !is_idle(&thread) {
            self.visit.about("wchan");
            let wchan = text("wchan").ok();
            thread.wchan =
                wchan.filter(|name| !name.is_empty() && name != "0").map(|name| name.trim().to_owned());
        }
        if thread.state == 'D' {
            self.visit.about("stack");
            thread.stack = proc::pid::stack(&text("stack").unwrap_or_default());
        }
        Some(thread)
    }
}

/// Whether it waits for work in a call that says everything, as nearly all threads of a node do.
fn is_idle(thread: &Thread) -> bool {
    let call = thread.call.as_ref().and_then(|call| call.name.as_deref());
    thread.state == 'S' && call.is_some_and(|name| IDLE.contains(&name))
}

fn most(detail: Detail) -> usize {
    match detail {
        Detail::Chain => MOST[0],
        Detail::Host => MOST[1],
        Detail::Inside | Detail::Outline => MOST[2],
    }
}
