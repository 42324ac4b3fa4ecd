//! Processes of the host as `/proc` shows them, and signals to exactly one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal, waitpid,
};

use crate::hang::{GUARD, eventually_some};

/// Fields of `/proc/PID/stat` that tests look at.
#[derive(Debug, Clone)]
pub struct Stat {
    /// `R`, `S`, `D`, `T`, `Z`, ...
    pub state: char,
    /// Parent's pid.
    pub ppid: i32,
    /// Session id.
    pub session: i32,
    /// When it started, in clock ticks of 10 ms after boot.
    pub start_time: u64,
}

/// Reads `/proc/PID/stat`; `None` when there is no such process.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        ppid: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// True when the process exists and is no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// A pidfd of `pid`; `None` when there is no such process.
#[must_use]
pub fn pidfd(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Sends `signal` to `pid` and to nothing else; a process that is gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(fd) = pidfd(pid) {
        let _gone = pidfd_send_signal(fd, signal);
    }
}

/// Waits until the process behind `fd` has exited.
///
/// # Panics
/// When it still lives after the hang guard; the message holds `what`.
#[track_caller]
pub fn wait_exit(fd: &OwnedFd, what: &str) {
    assert!(wait_readable(fd, *GUARD), "hang guard: {what} still lives");
}

/// Polls a descriptor for input, reaping orphans meanwhile; false when nothing came within `limit`.
pub(crate) fn wait_readable(fd: &OwnedFd, limit: Duration) -> bool {
    let start = Instant::now();
    let slice = Timespec { tv_sec: 0, tv_nsec: if limit.is_zero() { 0 } else { 20_000_000 } };
    loop {
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&slice)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(error) => panic!("poll: {error}"),
        }
        if start.elapsed() >= limit {
            return false;
        }
        reap_orphans();
    }
}

/// Children that this process started itself and will wait for.
static STARTED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How orphans of the runtime ended, by pid.
static ENDED: Mutex<BTreeMap<i32, WaitStatus>> = Mutex::new(BTreeMap::new());

/// Starts a child so that it is not taken for an orphan.
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut started = STARTED.lock().unwrap();
    let child = command.spawn()?;
    started.insert(i32::try_from(child.id()).unwrap());
    Ok(child)
}

/// Forgets a child that was waited for: its pid may come again, with an orphan.
pub(crate) fn forget(pid: i32) {
    STARTED.lock().unwrap().remove(&pid);
}

/// Reaps the zombies this process adopted as subreaper and keeps how they ended.
///
/// A caller that does not reap holds up the end of a pid namespace: its init waits for every process in it.
pub(crate) fn reap_orphans() {
    let started = STARTED.lock().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let orphan = |pid: &i32| {
        !started.contains(pid) && stat(*pid).is_some_and(|stat| stat.state == 'Z' && stat.ppid == own)
    };
    for pid in all().into_iter().filter(orphan) {
        if let Ok(Some((_, status))) = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG) {
            ENDED.lock().unwrap().insert(pid, status);
        }
    }
}

/// How `pid` ended, a process that a runtime left to this one as subreaper.
///
/// # Panics
/// When it does not end within the hang guard.
#[track_caller]
pub fn reap(pid: i32) -> WaitStatus {
    eventually_some(&format!("orphan {pid} to end"), || ENDED.lock().unwrap().remove(&pid))
}

/// All pids of the host, ascending.
#[must_use]
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let mut pids: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Everything that tells where a process is stuck: state, wait channel, system call, kernel stack.
#[must_use]
pub fn describe(pid: i32) -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let arguments = read("cmdline").replace('\0', " ");
    let state = stat(pid).map_or('?', |stat| stat.state);
    format!(
        "pid {pid} state {state} wchan {} syscall {} args {arguments}\n{}",
        read("wchan"),
        read("syscall").trim(),
        read("stack")
    )
}

/// Target of a `/proc/PID/ns/...` link, such as `net:[4026531840]`.
///
/// # Panics
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn namespace(pid: i32, kind: &str) -> String {
    let path = PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    fs::read_link(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).display().to_string()
}

/// The value of one line of `/proc/PID/status`.
///
/// # Panics
/// When the process is gone or has no such line.
#[must_use]
#[track_caller]
pub fn status_line(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status_value(&text, key)
}

/// The value of one line of a text in the format of `/proc/PID/status`.
///
/// # Panics
/// When there is no such line.
#[must_use]
#[track_caller]
pub fn status_value(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in:\n{text}")).trim().to_owned()
}
