//! Makes one child and finds out whether it reached its program.

use crate::Error;
use crate::process::{Ended, Process, Reap, ended, timespec};
use crate::through::{self, Through};
use crate::visit::Visit;
use ::proc::Procfs;
use child::stage::{Failure, REPORT_SIZE, Report, Stage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use std::cell::Cell;
use std::time::{Duration, Instant};
use sys::clone::{Clone3, Parent, Side, clone3};
use sys::shared_page::SharedWord;

/// Where a child is born.
#[derive(Clone, Copy, Debug, Default)]
pub struct Birth<'a> {
    /// The cgroup v2 directory of the container.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// A process whose pid namespace the child gets.
    pub pid_namespace_of: Option<BorrowedFd<'a>>,
    /// Set for a caller who could not come back from the namespaces.
    pub through: Option<Through<'a>>,
}

/// A child on its way to its program. Dropping it kills the child.
#[derive(Debug)]
pub struct Launched {
    process: Option<Process>,
    pipe: OwnedFd,
    /// There until the child executed its program.
    word: Option<SharedWord>,
    born: Instant,
    /// When a caller who was told to stop gives up.
    hurried: Option<Instant>,
}

/// How long a start may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// From the child's birth on.
    pub limit: Duration,
    /// Becomes readable when the caller is told to stop: what is not done [`GRACE`] later is given up.
    pub stop: Option<BorrowedFd<'a>>,
}

/// How long a start goes on whose caller is told to stop: it may be all but done, and who is told then is the program.
pub const GRACE: Duration = Duration::from_secs(1);

impl From<Duration> for Patience<'_> {
    fn from(limit: Duration) -> Self {
        Self { limit, stop: None }
    }
}

/// A wait that may become shorter.
struct Wait<'a> {
    limit: Duration,
    deadline: Instant,
    stop: Option<BorrowedFd<'a>>,
}

impl Wait<'_> {
    fn of(limit: Duration) -> Self {
        Self { limit, deadline: Instant::now() + limit, stop: None }
    }

    /// Waits until `descriptor` is readable or closed by its other side; `false` when time is up.
    fn readable(&mut self, descriptor: BorrowedFd<'_>) -> Result<bool, Errno> {
        loop {
            let mut fds = vec![PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
            fds.extend(self.stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
            match poll(&mut fds, Some(&timespec(self.left()))) {
                Ok(0) => return Ok(false),
                Ok(_) if fds.first().is_some_and(|wanted| !wanted.revents().is_empty()) => return Ok(true),
                Ok(_) => self.hurry(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn hurry(&mut self) {
        self.stop = None;
        self.deadline = self.deadline.min(Instant::now() + GRACE);
    }
}

/// What became of a child.
#[derive(Debug)]
pub enum Outcome {
    /// It executed its program; it may have ended since.
    Executed(Process),
    /// A step was refused; the child is gone.
    Refused(Failure),
    /// It ended before its program, without a report; the child is gone.
    Died {
        /// The step it was in.
        stage: Stage,
        /// How it ended.
        ended: Ended,
    },
    /// It neither reported nor ended in time. It is killed when the launch is dropped.
    Stuck {
        /// The step it is in.
        stage: Stage,
        /// How long it had.
        waited: Duration,
        /// The child, still in the hands of [`Launched`].
        launched: Launched,
    },
}

/// Where a child is that closed its report pipe.
enum Reached {
    /// In its program, or dead after it.
    Program,
    /// On its way, and dying.
    NotYet,
}

thread_local! {
    /// The page of a child that executed its program and so has let go of it, for the next child of this thread. Each page
    /// that is mapped and unmapped interrupts the other processors on which a thread of this process was.
    static SPARE: Cell<Option<SharedWord>> = const { Cell::new(None) };
}

/// A page with nothing in it.
fn shared_word() -> Result<SharedWord, Errno> {
    match SPARE.take() {
        Some(word) => {
            word.clear();
            Ok(word)
        }
        None => SharedWord::new(),
    }
}

/// Forks; `child` runs in the new process with `plan` and may use nothing but the crate `child`.
///
/// # Errors
/// The operation the kernel refused; nothing is left behind then.
pub fn spawn<P: ?Sized>(
    birth: &Birth<'_>,
    plan: &P,
    child: fn(Report<'_>, &P) -> !,
) -> Result<Launched, Error> {
    let (pipe, their_pipe) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::ReportChannel)?;
    let word = shared_word().map_err(Error::ReportChannel)?;
    let (side, visit) = match &birth.through {
        Some(through) => (through::clone(through, birth.pid_namespace_of, birth.cgroup), None),
        None => clone(birth)?,
    };
    match side {
        Ok(Side::Child) => child(Report { word: &word, pipe: their_pipe.as_fd() }, plan),
        Ok(Side::Parent { pid, pidfd }) => {
            let process = Some(Process { pid, pidfd });
            let launched = Launched { process, pipe, word: Some(word), born: Instant::now(), hurried: None };
            visit.map_or(Ok(()), Visit::end)?;
            Ok(launched)
        }
        Err(error) => {
            visit.map_or(Ok(()), Visit::end)?;
            Err(error)
        }
    }
}

/// Both sides come back with the visit, which only the parent may end.
fn clone(birth: &Birth<'_>) -> Result<(Result<Side, Error>, Option<Visit>), Error> {
    let how = Clone3 { namespaces: 0, cgroup: birth.cgroup, parent: Parent::Caller };
    // From its birth the child can be seen in the pid namespace it gets, with a copy of this memory.
    sys::prctl::set_undumpable().map_err(Error::Undumpable)?;
    let visit = birth.pid_namespace_of.map(Visit::pid_namespace_of).transpose()?;
    Ok((clone3(&how).map_err(Error::Clone), visit))
}

impl Launched {
    /// The child's pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |process| process.pid)
    }

    /// The child's pidfd.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(|process| process.pidfd.as_fd())
    }

    /// The step the child is in.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let number = self.word.as_ref().map(SharedWord::get);
        number.and_then(Stage::from_number).unwrap_or(Stage::Start)
    }

    /// Waits until `channel`, over which the child is heard before its outcome is known, is readable or closed; `false`
    /// when the caller's patience has an end. A caller who is told to stop has one [`GRACE`], this and
    /// [`Launched::outcome`] together.
    ///
    /// # Errors
    /// The errno of poll(2).
    pub fn hears(&mut self, channel: BorrowedFd<'_>, patience: Patience<'_>) -> Result<bool, Errno> {
        let mut wait = self.wait(patience);
        let heard = wait.readable(channel);
        if patience.stop.is_some() && wait.stop.is_none() {
            self.hurried = Some(wait.deadline);
        }
        heard
    }

    fn wait<'a>(&self, patience: Patience<'a>) -> Wait<'a> {
        let whole = Wait { limit: patience.limit, deadline: self.born + patience.limit, stop: patience.stop };
        match self.hurried {
            Some(end) => Wait { deadline: whole.deadline.min(end), stop: None, ..whole },
            None => whole,
        }
    }

    /// Waits until the child executed its program, was refused, died, or the caller's patience (a [`Duration`] will do)
    /// has an end.
    ///
    /// Without `proc`, a child that closes its pipe silently in its last stage counts as one that executed its program.
    ///
    /// # Errors
    /// [`Error::Wait`] and [`Error::Report`]; [`Error::Unknown`] when nothing tells whether `execve` succeeded, and the
    /// child is killed.
    pub fn outcome<'a>(
        mut self,
        proc: Option<&Procfs>,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Outcome, Error> {
        let mut wait = self.wait(patience.into());
        loop {
            if !self.readable(&mut wait)? {
                return Ok(self.out_of_time(wait.limit));
            }
            if let Some(failure) = self.report()? {
                self.reap()?;
                return Ok(Outcome::Refused(failure));
            }
            // End of file: the pipe closed over execve, or the child is dying.
            match self.reached_program(proc)? {
                Reached::NotYet if wait.left().is_zero() => return Ok(self.out_of_time(wait.limit)),
                Reached::NotYet => {
                    if let Some(ended) = self.wait_ended(&mut wait)? {
                        return Ok(self.died(ended));
                    }
                }
                Reached::Program => return self.executed(),
            }
        }
    }

    fn died(&self, ended: Ended) -> Outcome {
        match self.word.as_ref().and_then(Report::left) {
            Some(failure) => Outcome::Refused(failure),
            None => Outcome::Died { stage: self.stage(), ended },
        }
    }

    fn out_of_time(self, limit: Duration) -> Outcome {
        let waited = limit.min(self.born.elapsed());
        Outcome::Stuck { stage: self.stage(), waited, launched: self }
    }

    /// Kernel: an unreaped child is always in `/proc`, so an error there is no answer; then the shared word decides,
    /// which names a step before `execve` only when the child never came to it.
    fn reached_program(&self, proc: Option<&Procfs>) -> Result<Reached, Error> {
        let Some(proc) = proc else {
            let early = self.stage() != Stage::Execve;
            return Ok(if early { Reached::NotYet } else { Reached::Program });
        };
        match proc.stat(self.pid()) {
            Ok(stat) if stat.has_never_executed() => Ok(Reached::NotYet),
            Ok(_) => Ok(Reached::Program),
            Err(_) if self.stage() != Stage::Execve => Ok(Reached::NotYet),
            Err(source) => Err(Error::Unknown { pid: self.pid(), source }),
        }
    }

    /// Kills the child and waits for its end, at most `limit`; gives how it ended, or `None` when it lives on
    /// (frozen on cgroup v1, or in uninterruptible sleep).
    ///
    /// # Errors
    /// [`Error::Wait`].
    pub fn kill(&mut self, limit: Duration) -> Result<Option<Ended>, Error> {
        if let Some(process) = &self.process {
            // ESRCH: it has ended meanwhile.
            let _ = rustix::process::pidfd_send_signal(&process.pidfd, Signal::KILL);
        }
        self.wait_ended(&mut Wait::of(limit))
    }

    fn readable(&self, wait: &mut Wait<'_>) -> Result<bool, Error> {
        wait.readable(self.pipe.as_fd()).map_err(|source| Error::Report { pid: self.pid(), source })
    }

    fn report(&self) -> Result<Option<Failure>, Error> {
        let mut bytes = [0; REPORT_SIZE];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut bytes))
            .map_err(|source| Error::Report { pid: self.pid(), source })?;
        Ok(bytes.get(..count).and_then(Failure::from_bytes))
    }

    fn reap(&mut self) -> Result<(), Error> {
        // The child sent its last word and exits now; nothing can hold it but a tracer or a freezer.
        const LAST_WORD: Duration = Duration::from_secs(2);
        match self.wait_ended(&mut Wait::of(LAST_WORD)) {
            // Whoever took it away left nothing to reap.
            Err(Error::Wait { source: Errno::CHILD, .. }) => {
                self.process = None;
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn wait_ended(&mut self, wait: &mut Wait<'_>) -> Result<Option<Ended>, Error> {
        // Kernel: a dead child that is traced belongs to its tracer first.
        const TRACED: Duration = Duration::from_millis(1);
        loop {
            let Some(process) = &self.process else { return Ok(None) };
            let refused = |source| Error::Wait { pid: process.pid, source };
            if !wait.readable(process.pidfd.as_fd()).map_err(refused)? {
                return Ok(None);
            }
            if let Some(how) = ended(process, Reap::Yes)? {
                self.process = None;
                return Ok(Some(how));
            }
            if wait.left().is_zero() {
                return Ok(None);
            }
            std::thread::sleep(TRACED);
        }
    }

    fn executed(mut self) -> Result<Outcome, Error> {
        SPARE.set(self.word.take());
        self.process.take().map(Outcome::Executed).ok_or(Error::Wait { pid: 0, source: Errno::CHILD })
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        const SHORT: Duration = Duration::from_millis(100);
        if self.process.is_some() && matches!(self.kill(SHORT), Ok(None)) {
            log::warn!("process {} was killed in stage {:?} but has not ended yet", self.pid(), self.stage());
        }
    }
}
