//! Reads that may never come back, done by children that can be given up.
//!
//! A job is a list of units (a process, a control group, a file). A child reads them one after the other and says in
//! a word of shared memory where it is; a child that does not get on is killed, its unit is blamed, and another child
//! goes on behind it. A child that cannot be killed either sleeps on alone.
//!
//! ```text
//!   collector                           child (one per job at a time)
//!      |                                   |  progress: unit 3, reading "cmdline"   (shared word)
//!      | <--- length, unit 3, pieces ------|
//!      |                                   |  progress: unit 4, reading "cgroup" ... and no further
//!      |  patience is over                 |
//!      |---- SIGKILL --------------------> |
//!      |                                next child: unit 4 once more, sparingly; then unit 5, ...
//! ```
//!
//! **Invariant:** the collector itself makes no call that waits for somebody else's process, file or server.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use sys::fork::{Fork, fork};
use sys::shared_page::SharedWord;

use super::piece::Piece;
use crate::snapshot::{Unseen, Why};

/// What a unit of work is being read for, in the order of the codes that the shared word carries.
const STEPS: &[&str] = &[
    "", "stat", "status", "cgroup", "ns", "exe", "cwd", "cmdline", "environ", "limits", "fd", "fdinfo",
    "task", "syscall", "wchan", "stack", "pipe", "file", "program", "sockets",
];

/// How often a unit may hang before the rest of its job is given up.
const STRIKES: u32 = 8;

/// How much longer than its patience a child may take while it is running or runnable: a busy host is not a hang.
const BUSY_FACTOR: u32 = 10;

/// At so many looks in a row a child whose patience is over has to be asleep to be given up: one that is late for want of
/// a processor also sleeps for a moment now and then, and one that has just ended is no longer runnable.
const ASLEEP: u32 = 3;

/// Between two of these looks at least.
const NAP: Duration = Duration::from_millis(10);

/// Children that were killed and had not ended by then; some never will.
static LEFT_BEHIND: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// How a child came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameToItsEnd {
    ByItself,
    Killed,
}

/// Reaps a child that has closed its pipe by ending, or leaves one behind that was killed.
fn bury(pid: Pid, end: CameToItsEnd) {
    let how = if end == CameToItsEnd::ByItself { WaitOptions::empty() } else { WaitOptions::NOHANG };
    if !matches!(waitpid(Some(pid), how), Ok(Some(_))) && end == CameToItsEnd::Killed {
        LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    }
}

/// Reaps whoever of them has ended since.
fn bury_the_late() {
    let mut left = LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
}

/// How a unit is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Everything that is wanted.
    Full,
    /// It hung once: nothing that could wait for the memory or the files of a process.
    Sparing,
}

/// One unit, as the reading function gets it.
pub(super) struct Visit<'a> {
    /// The unit: a path below the root, `proc/42`.
    pub(super) unit: &'a str,
    /// How it is to be read.
    pub(super) care: Care,
    index: u32,
    progress: Option<&'a SharedWord>,
}

impl Visit<'_> {
    /// Says what is read next, one of `STEPS`, so that a hang has a name.
    pub(super) fn about(&self, step: &str) {
        if let Some(progress) = self.progress {
            let code = STEPS.iter().position(|known| *known == step).unwrap_or_default();
            progress.set((self.index << 8) | u32::try_from(code).unwrap_or_default());
        }
    }
}

/// Reads one unit, in the child.
pub(super) type Read<'a> = &'a dyn Fn(&Visit<'_>) -> Vec<Piece>;

/// A list of units, and how each is read.
pub(super) struct Job<'a> {
    /// What it is called when part of it is not seen.
    pub(super) name: &'static str,
    /// The units in order.
    pub(super) units: Vec<String>,
    /// How long one step may take.
    pub(super) patience: Duration,
    /// Reads a unit.
    pub(super) read: Read<'a>,
}

/// Carries out jobs beside each other until all are done or `deadline` has come.
pub(super) fn carry_out(jobs: Vec<Job<'_>>, deadline: Instant) -> Vec<Piece> {
    bury_the_late();
    let mut pieces = Vec::new();
    let mut running: Vec<Running<'_>> = jobs.into_iter().map(Running::new).collect();
    loop {
        for run in &mut running {
            run.keep_going(&mut pieces);
        }
        pieces.extend(running.iter().filter_map(Running::for_want_of_a_child));
        running.retain(|run| run.child.is_some());
        if running.is_empty() {
            return pieces;
        }
        if Instant::now() >= deadline {
            for run in &mut running {
                run.give_up(&mut pieces);
            }
            return pieces;
        }
        wait_for_any(&running);
    }
}

/// Until one of the children has written something, at most a moment.
fn wait_for_any(running: &[Running<'_>]) {
    let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut polled: Vec<PollFd<'_>> = running
        .iter()
        .filter_map(|run| Some(PollFd::new(&run.child.as_ref()?.pipe, PollFlags::IN)))
        .collect();
    let _ = poll(&mut polled, Some(&moment));
}

/// A job on its way.
struct Running<'a> {
    job: Job<'a>,
    /// Units that are not read yet, in reverse order.
    pending: Vec<(u32, Care)>,
    child: Option<Child>,
    /// Why no child could be made.
    refused: Option<Errno>,
    strikes: u32,
}

struct Child {
    pid: Pid,
    pipe: OwnedFd,
    progress: SharedWord,
    buffer: Vec<u8>,
    last_word: Cell<u32>,
    last_move: Cell<Instant>,
    rest: Cell<Rest>,
}

/// Looks in a row at which a child was asleep, and when the last of them was.
#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    looks: u32,
    last: Option<Instant>,
}

impl Rest {
    /// After a look at `now`; it is asked whether the child is awake unless that was asked a moment ago.
    fn after(self, now: Instant, is_awake: impl FnOnce() -> bool) -> Self {
        if self.last.is_some_and(|last| now.duration_since(last) < NAP) {
            return self;
        }
        Self { looks: if is_awake() { 0 } else { self.looks + 1 }, last: Some(now) }
    }

    fn is_long(self) -> bool {
        self.looks >= ASLEEP
    }
}

/// What became of a child since the last look.
enum Look {
    Working,
    Ended,
    Stuck { word: u32 },
}

impl<'a> Running<'a> {
    fn new(job: Job<'a>) -> Self {
        let count = u32::try_from(job.units.len()).unwrap_or_default().min(1 << 24);
        let pending: Vec<(u32, Care)> = (0..count).rev().map(|index| (index, Care::Full)).collect();
        let mut run = Self { job, pending, child: None, refused: None, strikes: 0 };
        run.start();
        run
    }

    /// One round: takes what has come, and replaces a child that ended or hangs.
    fn keep_going(&mut self, pieces: &mut Vec<Piece>) {
        let Some(child) = &mut self.child else { return };
        let ended = child.receive(&mut self.pending, pieces);
        match if ended { Look::Ended } else { child.look(self.job.patience) } {
            Look::Working => {}
            Look::Ended => self.replace(None, pieces),
            Look::Stuck { word } => {
                child.kill();
                self.replace(Some(word), pieces);
            }
        }
    }

    /// Blames the unit a child came to its end at, if it did not come to the end of the job; then goes on behind it.
    fn replace(&mut self, stuck: Option<u32>, pieces: &mut Vec<Piece>) {
        let Some(child) = self.child.take() else { return };
        bury(child.pid, if stuck.is_some() { CameToItsEnd::Killed } else { CameToItsEnd::ByItself });
        if self.pending.is_empty() {
            return;
        }
        let after_ms = u64::try_from(self.job.patience.as_millis()).unwrap_or_default();
        match stuck {
            Some(word) => self.blame(word, Why::TimedOut { after_ms }, pieces),
            None => self.blame(child.progress.get(), Why::Malformed, pieces),
        }
        self.strikes += 1;
        if self.strikes > STRIKES {
            pieces.push(self.rest());
        } else {
            self.start();
        }
    }

    fn blame(&mut self, word: u32, why: Why, pieces: &mut Vec<Piece>) {
        let index = word >> 8;
        let step = STEPS.get((word & 0xff) as usize).copied().unwrap_or_default();
        let unit = self.job.units.get(index as usize).map_or("", String::as_str);
        let what = if step.is_empty() { format!("/{unit}") } else { format!("/{unit}: {step}") };
        pieces.push(Piece::Unseen(Unseen { what, why }));
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == index) else { return };
        match self.pending[at].1 {
            Care::Full => self.pending[at].1 = Care::Sparing,
            Care::Sparing => drop(self.pending.remove(at)),
        }
    }

    /// What is said of the units that nobody reads any more.
    fn rest(&self) -> Piece {
        let total = self.job.units.len();
        let taken = total.saturating_sub(self.pending.len());
        let what = format!("{}: {} of {total}", self.job.name, self.pending.len());
        Piece::Unseen(Unseen { what, why: Why::TooMuch { taken: taken as u64 } })
    }

    fn give_up(&mut self, pieces: &mut Vec<Piece>) {
        let Some(mut child) = self.child.take() else { return };
        child.receive(&mut self.pending, pieces);
        child.kill();
        bury(child.pid, CameToItsEnd::Killed);
        if !self.pending.is_empty() {
            pieces.push(self.rest());
        }
    }

    /// Starts a child for what is pending; without one, for want of processes, nothing more is read.
    fn start(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match self.spawn() {
            Ok(child) => self.child = Some(child),
            Err(errno) => self.refused = Some(errno),
        }
    }

    /// What is said of the units for which there is no child.
    fn for_want_of_a_child(&self) -> Option<Piece> {
        let errno = self.refused?;
        let what = format!("{}: {} of {}", self.job.name, self.pending.len(), self.job.units.len());
        Some(Piece::Unseen(Unseen { what, why: Why::Refused { errno: errno.raw_os_error() } }))
    }

    fn spawn(&self) -> Result<Child, Errno> {
        let progress = SharedWord::new()?;
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        match fork()? {
            Fork::Child => {
                drop(read);
                work(&self.job, &self.pending, &progress, write)
            }
            Fork::Parent(pid) => {
                drop(write);
                rustix::io::ioctl_fionbio(&read, true)?;
                let (last_word, now) = (Cell::new(0), Instant::now());
                let (last_move, rest) = (Cell::new(now), Cell::default());
                Ok(Child { pid, pipe: read, progress, buffer: Vec::new(), last_word, last_move, rest })
            }
        }
    }
}

impl Child {
    /// Takes everything that is in the pipe; whether its end was reached.
    fn receive(&mut self, pending: &mut Vec<(u32, Care)>, pieces: &mut Vec<Piece>) -> bool {
        let mut chunk = [0_u8; 64 << 10];
        let ended = loop {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => break true,
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    self.last_move.set(Instant::now());
                }
                Err(Errno::INTR) => {}
                Err(_) => break false,
            }
        };
        let mut taken = 0;
        while let Some((index, body, length)) = frame(&self.buffer[taken..]) {
            pieces.extend(serde_json::from_slice::<Vec<Piece>>(body).unwrap_or_default());
            if let Some(at) = pending.iter().rposition(|(unit, _)| *unit == index) {
                pending.remove(at);
            }
            taken += length;
        }
        self.buffer.drain(..taken);
        ended
    }

    fn look(&self, patience: Duration) -> Look {
        let word = self.progress.get();
        if word != self.last_word.replace(word) {
            self.last_move.set(Instant::now());
        }
        let still = self.last_move.get().elapsed();
        if still < patience {
            self.rest.set(Rest::default());
            return Look::Working;
        }
        self.rest.set(self.rest.get().after(Instant::now(), || is_runnable(self.pid)));
        let is_stuck = self.rest.get().is_long() || still >= patience * BUSY_FACTOR;
        if is_stuck { Look::Stuck { word } } else { Look::Working }
    }

    fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
    }
}

/// Whether a child waits for nothing but a processor.
fn is_runnable(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.ok().and_then(|text| proc::pid::Stat::parse(&text)).is_some_and(|stat| stat.state == 'R')
}

/// The first whole frame of the bytes: unit, body, length in all.
fn frame(bytes: &[u8]) -> Option<(u32, &[u8], usize)> {
    let (header, rest) = bytes.split_at_checked(8)?;
    let (length, index) = header.split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let index = u32::from_le_bytes(index.try_into().ok()?);
    Some((index, rest.get(..length)?, 8 + length))
}

/// The life of a child.
fn work(job: &Job<'_>, pending: &[(u32, Care)], progress: &SharedWord, pipe: OwnedFd) -> ! {
    let _ = rustix::process::setpgid(None, None);
    let _ = sys::prctl::set_parent_death_signal(Signal::KILL.as_raw().unsigned_abs());
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut batch = Vec::with_capacity(80 << 10);
        for (index, care) in pending.iter().rev() {
            let Some(unit) = job.units.get(*index as usize) else { continue };
            let visit = Visit { unit, care: *care, index: *index, progress: Some(progress) };
            visit.about("");
            append(&mut batch, *index, &(job.read)(&visit));
            if batch.len() >= 64 << 10 {
                send(&pipe, &mut batch);
            }
        }
        send(&pipe, &mut batch);
    }));
    sys::clone::exit(u8::from(done.is_err()))
}

fn append(batch: &mut Vec<u8>, index: u32, pieces: &[Piece]) {
    let start = batch.len();
    batch.extend_from_slice(&[0; 8]);
    let _ = serde_json::to_writer(&mut *batch, pieces);
    let length = u32::try_from(batch.len() - start - 8).unwrap_or_default();
    batch[start..start + 4].copy_from_slice(&length.to_le_bytes());
    batch[start + 4..start + 8].copy_from_slice(&index.to_le_bytes());
}

fn send(pipe: impl AsFd, batch: &mut Vec<u8>) {
    let mut rest = batch.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(&pipe, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            Err(_) => sys::clone::exit(1),
        }
    }
    batch.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(unit: &str) -> Vec<Piece> {
        vec![Piece::Names(vec![unit.to_owned()])]
    }

    fn names(pieces: &[Piece]) -> Vec<&str> {
        let all = pieces.iter().filter_map(|piece| match piece {
            Piece::Names(names) => Some(names.iter().map(String::as_str)),
            _ => None,
        });
        all.flatten().collect()
    }

    fn run(units: &[&str], read: Read<'_>) -> Vec<Piece> {
        let units = units.iter().map(|&unit| unit.to_owned()).collect();
        let job = Job { name: "letters", units, patience: Duration::from_millis(100), read };
        carry_out(vec![job], Instant::now() + Duration::from_secs(60))
    }

    fn sleep_for_ever() {
        loop {
            std::thread::sleep(Duration::from_secs(1000));
        }
    }

    #[test]
    fn everything_is_read_in_order() {
        let pieces = run(&["a", "b", "c"], &|visit| seen(visit.unit));
        assert_eq!(names(&pieces), ["a", "b", "c"]);
    }

    #[test]
    fn a_unit_that_hangs_is_named_and_the_others_are_read() {
        let pieces = run(&["a", "b", "c"], &|visit| {
            visit.about("cmdline");
            if visit.unit == "b" {
                sleep_for_ever();
            }
            seen(visit.unit)
        });
        assert_eq!(names(&pieces), ["a", "c"]);
        let unseen = Unseen { what: "/b: cmdline".to_owned(), why: Why::TimedOut { after_ms: 100 } };
        assert!(pieces.contains(&Piece::Unseen(unseen)), "{pieces:?}");
    }

    #[test]
    fn one_nap_is_no_hang() {
        let begin = Instant::now();
        let after = |looks: &[(u64, bool)]| {
            let rest = looks.iter().fold(Rest::default(), |rest, (at_ms, is_awake)| {
                rest.after(begin + Duration::from_millis(*at_ms), || *is_awake)
            });
            rest.is_long()
        };
        assert!(after(&[(0, false), (20, false), (40, false)]));
        assert!(!after(&[(0, false), (20, false), (40, true), (60, false), (80, false)]));
        assert!(
            !after(&[(0, false), (1, false), (2, false), (3, false)]),
            "looks at one moment are one look"
        );
    }

    #[test]
    fn the_second_visit_is_sparing() {
        let pieces = run(&["a"], &|visit| {
            if visit.care == Care::Full {
                sleep_for_ever();
            }
            seen(visit.unit)
        });
        assert_eq!(names(&pieces), ["a"]);
    }

    #[test]
    fn a_child_that_crashes_costs_its_unit_alone() {
        let pieces = run(&["a", "b", "c"], &|visit| {
            if visit.unit == "b" {
                sys::clone::exit(3);
            }
            seen(visit.unit)
        });
        assert_eq!(names(&pieces), ["a", "c"]);
    }

    #[test]
    fn at_the_deadline_what_is_missing_is_counted() {
        let units: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let read: Read<'_> = &|_| {
            sleep_for_ever();
            Vec::new()
        };
        let job = Job { name: "numbers", units, patience: Duration::from_secs(100), read };
        let pieces = carry_out(vec![job], Instant::now() + Duration::from_millis(50));
        let unseen = Unseen { what: "numbers: 30 of 30".to_owned(), why: Why::TooMuch { taken: 0 } };
        assert_eq!(pieces, [Piece::Unseen(unseen)]);
    }

    #[test]
    fn more_than_a_pipe_holds_comes_through() {
        let long = "x".repeat(300_000);
        let pieces = run(&["a", "b"], &|_| seen(&long));
        assert_eq!(names(&pieces), [long.as_str(), long.as_str()]);
    }
}
