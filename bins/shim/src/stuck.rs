//! A process that does not end although it was killed: who it is and what it waits for.
//!
//! SIGKILL does not end an uninterruptible sleep. The kill was delivered and its answer is given; the wait for the
//! process goes on, because it has not ended; what can be told is where it sleeps.

use proc::Procfs;
use std::fmt;
use std::path::Path;

/// A process that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its pid on the host.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// The letter of its state: `D` is an uninterruptible sleep.
    pub state: char,
    /// The kernel function it sleeps in; empty when the kernel does not tell.
    pub wchan: String,
    /// The number of the system call it is in; `None` outside of one, or when the kernel does not tell.
    pub system_call: Option<u32>,
}

/// Looks at a process by its identity; `None` when it has ended.
///
/// Of a process with several threads the first one that sleeps uninterruptibly is told of. May sleep in the kernel.
#[must_use]
pub fn look(proc: &Procfs, pid: i32, start_time: u64) -> Option<Stuck> {
    let (tid, mut stuck) = seen(proc, pid, start_time)?;
    if stuck.wchan.is_empty() {
        stuck.wchan = innermost(&read(proc, (pid, tid), "stack")).unwrap_or_default();
    }
    stuck.system_call = system_call(&read(proc, (pid, tid), "syscall"));
    Some(stuck)
}

/// The same without the system call, for one who may not be kept waiting.
///
/// Kernel: the readers of `stack` and `syscall` wait for an `execve` of the process, which may be what is stuck.
#[must_use]
pub fn glance(proc: &Procfs, pid: i32, start_time: u64) -> Option<Stuck> {
    seen(proc, pid, start_time).map(|(_, stuck)| stuck)
}

/// The thread to be told of, and what can be told without waiting.
fn seen(proc: &Procfs, pid: i32, start_time: u64) -> Option<(i32, Stuck)> {
    let stat = proc.stat(pid).ok().filter(|stat| stat.start_time == start_time)?;
    let state_of =
        |tid: &i32| proc::pid::Stat::parse(&read(proc, (pid, *tid), "stat")).map(|stat| stat.state);
    let asleep = proc.threads(pid).into_iter().find(|tid| state_of(tid) == Some('D'));
    if stat.is_dead() && asleep.is_none() {
        return None;
    }
    let tid = asleep.unwrap_or(pid);
    let state = if asleep.is_some() { 'D' } else { stat.state };
    let wchan = told(&read(proc, (pid, tid), "wchan")).unwrap_or_default();
    Some((tid, Stuck { pid, name: stat.comm, state, wchan, system_call: None }))
}

/// A file of a thread; empty when it cannot be read.
fn read(proc: &Procfs, (pid, tid): (i32, i32), file: &str) -> String {
    proc.read(Path::new(&format!("{pid}/task/{tid}/{file}"))).unwrap_or_default()
}

/// Kernel: `0` stands for a process that runs, or that the reader may not look at; on x86 before 5.16 for every one when
/// the kernel is built with the ORC unwinder, as distributions build it. `stack` tells it there.
fn told(wchan: &str) -> Option<String> {
    Some(wchan.trim()).filter(|name| !matches!(*name, "" | "0")).map(str::to_owned)
}

/// The innermost function.
fn innermost(stack: &str) -> Option<String> {
    proc::pid::stack(stack).into_iter().next()
}

/// Source: proc_pid_syscall(5): the number first; `running` outside; -1 when blocked outside of a system call.
fn system_call(text: &str) -> Option<u32> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

impl fmt::Display for Stuck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name, state, wchan, system_call } = self;
        write!(formatter, "process {pid} ({name}) is in state {state}")?;
        if !wchan.is_empty() {
            write!(formatter, ", sleeps in {wchan}")?;
        }
        match system_call {
            Some(number) => write!(formatter, ", system call {number} ({})", name_of(*number)),
            None => Ok(()),
        }
    }
}

fn name_of(number: u32) -> &'static str {
    seccomp::syscalls::name(seccomp::Arch::NATIVE, number).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_call_and_its_place_in_the_kernel_are_named() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let proc = Procfs::host().unwrap();
        let start_time = proc.stat(pid).unwrap().start_time;
        let mut found = look(&proc, pid, start_time).unwrap();
        while found.system_call.map(name_of) != Some("read") {
            found = look(&proc, pid, start_time).unwrap();
        }
        assert!(found.to_string().contains("(read)"), "{found}");
        assert_eq!(look(&proc, pid, start_time + 1), None);
        let glanced = glance(&proc, pid, start_time).unwrap();
        assert_eq!((glanced.pid, &glanced.name, glanced.system_call), (pid, &found.name, None));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(look(&proc, pid, start_time), None);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_left_out() {
        assert_eq!((told("0"), told("pipe_read")), (None, Some("pipe_read".to_owned())));
        assert_eq!(
            (innermost(""), innermost("[<0>] pipe_read+0x1/0x2\n[<0>] vfs_read+0x1/0x2\n")),
            (None, Some("pipe_read".to_owned()))
        );
        assert_eq!(
            (system_call("running\n"), system_call("-1 0x0 0x0"), system_call("")),
            (None, None, None)
        );
        assert_eq!(system_call("0 0x3 0x7f 0x1000 0x0 0x0 0x0 0x7ffd 0x7f21"), Some(0));
    }
}
