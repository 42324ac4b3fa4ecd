//! A foreground `run` or `exec`: this process stands for the container's until that one has ended.
//!
//! ```text
//! caller's terminal       this process                 container's process
//!   | ---- keys ---------> | ------ pty master -------> |
//!   | <--- screen -------- | <----- pty master -------- |
//!   | ---- signals ------> | ------ pidfd ------------> |
//!                          | <----- exit status ------- |   waitid(P_PIDFD)
//! ```
//!
//! Without a terminal the three standard streams are inherited by the container and nothing passes through here.
//!
//! **Invariant:** one thread, one poll(2); whatever does not move (a screen that nobody reads, a program that reads
//! no keys), signals still go through and the end of the process is still seen.

mod relay;
mod screen;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use launch::process::{Reap, ended};
use launch::{Ended, Process};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus};

use crate::Store;
use crate::exec::{self, ExecRequest};
use crate::notify_socket::NotifySocket;

use relay::{Caller, Relay};

/// What can go wrong while a process is supervised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step of becoming the supervisor was refused.
    #[error("supervise the container's process: {step}")]
    Prepare {
        /// The step.
        step: &'static str,
        /// Why.
        source: Errno,
    },
    /// The poll of everything that is watched failed.
    #[error("wait for the container's process")]
    Poll(#[source] Errno),
    /// The exit status cannot be had.
    #[error("learn how the container's process ended")]
    Wait(#[from] launch::Error),
    /// The service manager could not be told.
    #[error(transparent)]
    NotifySocket(#[from] crate::notify_socket::Error),
}

/// Whether this process adopts the orphans of what it supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subreaper {
    /// It does (`PR_SET_CHILD_SUBREAPER`), and reaps them.
    Yes,
    /// They go to the next subreaper above.
    No,
}

/// A process to supervise, and what belongs to it.
#[derive(Debug)]
pub struct Supervised {
    /// The process; a child of this one.
    pub process: Process,
    /// The master of its terminal.
    pub console: Option<OwnedFd>,
    /// Its way to the service manager, until it is ready.
    pub notify: Option<NotifySocket>,
}

/// This process, ready to supervise: signals are held back from now on, so that none is lost or kills us before the
/// process is there.
///
/// Dropping it gives the signals back.
#[derive(Debug)]
pub struct Foreground {
    signals: OwnedFd,
    former_mask: u64,
    subreaper: Subreaper,
}

const SIGCHLD: i32 = 17;
const SIGURG: i32 = 23;
const SIGCONT: i32 = 18;
const SIGWINCH: i32 = 28;

/// Blocked and forwarded: all but what the kernel raises for a fault of our own (SIGILL, SIGTRAP, SIGBUS, SIGFPE,
/// SIGSEGV, SIGSYS); blocking SIGKILL and SIGSTOP has no effect.
const FORWARDED: u64 = !(bit(4) | bit(5) | bit(7) | bit(8) | bit(11) | bit(31));

/// What asks us to come to an end: SIGHUP, SIGINT, SIGQUIT, SIGTERM.
const STOPPING: u64 = bit(1) | bit(2) | bit(3) | bit(15);

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

impl Foreground {
    /// Holds signals back and becomes a subreaper if wanted.
    ///
    /// # Errors
    /// [`Error::Prepare`].
    pub fn prepare(subreaper: Subreaper) -> Result<Self, Error> {
        let step = |step| move |source| Error::Prepare { step, source };
        let signals = sys::signalfd::open(FORWARDED).map_err(step("make a signalfd"))?;
        let former_mask = sys::signal::set_mask(FORWARDED).map_err(step("block signals"))?;
        let foreground = Self { signals, former_mask, subreaper };
        if subreaper == Subreaper::Yes {
            sys::prctl::set_child_subreaper().map_err(step("become a subreaper"))?;
        }
        Ok(foreground)
    }

    /// Passes keys, screen and signals on until the process has ended; gives how.
    ///
    /// What the process wrote to its terminal before it ended is delivered, however slowly the caller's screen takes
    /// it; SIGINT, SIGTERM, SIGHUP and SIGQUIT cut that short.
    ///
    /// # Errors
    /// [`Error::Prepare`], [`Error::Poll`], [`Error::Wait`], [`Error::NotifySocket`].
    pub fn supervise(&self, supervised: Supervised) -> Result<Ended, Error> {
        let caller = Caller::standard;
        let step = |source| Error::Prepare { step: "hold the standard streams", source };
        self.supervise_for(supervised, || caller().map_err(step))
    }

    fn supervise_for(
        &self,
        supervised: Supervised,
        caller: impl Fn() -> Result<Caller, Error>,
    ) -> Result<Ended, Error> {
        let Supervised { process, console, mut notify } = supervised;
        let mut relay = console.map(|console| Relay::new(console, caller()?)).transpose()?;
        loop {
            let ready = self.poll(&process, relay.as_ref(), notify.as_ref())?;
            if ready.notify && ready_passed_on(notify.as_ref())? {
                notify = None;
            }
            let mut end = if ready.ended { ended(&process, Reap::Yes)? } else { None };
            if ready.signals {
                end = self.take_signals(&process, relay.as_mut())?.or(end);
            }
            if let Some(relay) = &mut relay {
                relay.transfer(&ready.streams);
            }
            if let Some(end) = end {
                self.drain(relay)?;
                return Ok(end);
            }
        }
    }

    fn poll(
        &self,
        process: &Process,
        relay: Option<&Relay>,
        notify: Option<&NotifySocket>,
    ) -> Result<Ready, Error> {
        let mut polled = vec![input(self.signals.as_fd()), input(process.pidfd.as_fd())];
        if let Some(notify) = notify {
            polled.push(input(notify.as_fd()));
        }
        let streams_at = polled.len();
        if let Some(relay) = relay {
            polled.extend(relay.watched());
        }
        let timeout = relay.and_then(Relay::retry_after);
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Poll(errno)),
        }
        let ready = |index: usize| polled.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready {
            signals: ready(0),
            ended: ready(1),
            notify: notify.is_some() && ready(2),
            streams: polled[streams_at..].iter().map(PollFd::revents).collect(),
        })
    }

    /// Gives the end of the process if a SIGCHLD was its.
    ///
    /// Compat: runc, signals.go: SIGCHLD and SIGURG (of the Go runtime) stay, SIGWINCH resizes the terminal, all
    /// others go to the process.
    fn take_signals(&self, process: &Process, mut relay: Option<&mut Relay>) -> Result<Option<Ended>, Error> {
        let mut end = None;
        while let Some(signal) = sys::signalfd::next(self.signals.as_fd()).map_err(Error::Poll)? {
            match (signal, relay.as_deref_mut()) {
                (SIGCHLD, _) if self.subreaper == Subreaper::Yes => end = reap(process.pid).or(end),
                (SIGCHLD | SIGURG, _) => {}
                (SIGWINCH, Some(relay)) => relay.resize(),
                (SIGCONT, Some(relay)) => {
                    relay.resume();
                    forward(process, SIGCONT);
                }
                (other, _) => forward(process, other),
            }
        }
        Ok(end)
    }

    /// Delivers what is left in the terminal of a process that has ended.
    fn drain(&self, relay: Option<Relay>) -> Result<(), Error> {
        let Some(mut relay) = relay else { return Ok(()) };
        relay.last_call();
        while relay.has_output() {
            let mut polled = vec![input(self.signals.as_fd())];
            polled.extend(relay.watched());
            match rustix::event::poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::Poll(errno)),
            }
            let streams: Vec<_> = polled[1..].iter().map(PollFd::revents).collect();
            if self.told_to_stop()? {
                log::warn!("output of the container's terminal was cut by a signal");
                return Ok(());
            }
            relay.transfer(&streams);
        }
        Ok(())
    }

    fn told_to_stop(&self) -> Result<bool, Error> {
        let mut stop = false;
        while let Some(signal) = sys::signalfd::next(self.signals.as_fd()).map_err(Error::Poll)? {
            stop |= u32::try_from(signal).is_ok_and(|signal| bit(signal) & STOPPING != 0);
        }
        Ok(stop)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Signals that nobody forwarded are of no use to us any more: take them out, or they kill us here.
        while let Ok(Some(_)) = sys::signalfd::next(self.signals.as_fd()) {}
        let _ = sys::signal::set_mask(self.former_mask);
    }
}

/// Runs an exec in the foreground and gives how its program ended.
///
/// A signal that comes before the program runs is forwarded once it does; SIGHUP, SIGINT, SIGQUIT and SIGTERM give a
/// start up that does not get there, as in a paused container.
///
/// # Errors
/// As [`exec::exec`] and [`Foreground::supervise`]; [`crate::Error::Interrupted`].
pub fn exec(store: &Store, request: &ExecRequest, subreaper: Subreaper) -> Result<Ended, crate::Error> {
    let foreground = Foreground::prepare(subreaper)?;
    let running = {
        // Beside the other, whose signals are still to be forwarded.
        let step = |source| Error::Prepare { step: "make a signalfd", source };
        let stop = sys::signalfd::open(STOPPING).map_err(step)?;
        exec::exec_unless(store, request, Some(stop.as_fd()))?
    };
    let process = Process { pid: running.pid, pidfd: running.pidfd };
    Ok(foreground.supervise(Supervised { process, console: running.console, notify: None })?)
}

/// What poll(2) found.
struct Ready {
    signals: bool,
    ended: bool,
    notify: bool,
    streams: Vec<PollFlags>,
}

fn input(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

/// Compat: runc, signals.go: in the foreground the service manager watches this process, so its pid is `MAINPID`.
fn ready_passed_on(notify: Option<&NotifySocket>) -> Result<bool, Error> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    Ok(notify.map(|notify| notify.forward(own)).transpose()?.unwrap_or(false))
}

fn forward(process: &Process, signal: i32) {
    if let Err(errno) = sys::signalfd::send(&process.pidfd, signal)
        && errno != Errno::SRCH
    {
        log::warn!("forward signal {signal} to process {}: {errno}", process.pid);
    }
}

/// Reaps every child that is dead; gives the end of the supervised one if it is among them.
fn reap(main: i32) -> Option<Ended> {
    let mut end = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == main {
            end = end_of(status);
        }
    }
    end
}

fn end_of(status: WaitStatus) -> Option<Ended> {
    let byte = |value: i32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
    let exited = status.exit_status().map(|status| Ended::Exited(byte(status)));
    exited.or_else(|| status.terminating_signal().map(|signal| Ended::Signaled(byte(signal))))
}

#[cfg(test)]
mod tests;
