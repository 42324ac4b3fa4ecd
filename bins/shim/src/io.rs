//! The standard streams of a process: between its pipes or its terminal and what the caller named.
//!
//! ```text
//!     open()                    everything is open and read before the process exists
//!     attach(master)            its terminal, if it has one, once that is made
//!     leader_exited()           what is in the pipes now is owed; for more a bound runs
//!     finish()                  Delete: waits for what is owed, bounded, then closes
//! ```
//!
//! **Invariant:** nothing here sleeps in the kernel on the calling thread, whoever is at the other end of a fifo, and
//! nobody but the writer itself waits for a slow reader.

mod address;
mod bounds;
mod discard;
mod ending;
mod error;
mod fifo;
mod file;
mod input;
mod logger;
mod output;
mod phase;
mod pipe;
mod progress;
mod transfer;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::termios::Winsize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

pub use address::{Address, Logger, Ready};
pub use bounds::Bounds;
pub use discard::discarding;
pub use error::Error;
pub use pipe::Owner;
pub use progress::Outcome;

use fifo::Outlet;
use file::Missing;
use input::Input;
use output::{Kind, Output, Sink};
use phase::Phase;
use progress::{Progress, Report};
use transfer::Transfer;

use crate::watched::watched;

/// What the caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// containerd's namespace.
    pub namespace: &'a str,
    /// The container's id, or the exec's.
    pub id: &'a str,
    /// Standard input as the caller wrote it.
    pub stdin: &'a str,
    /// Standard output as the caller wrote it.
    pub stdout: &'a str,
    /// Standard error as the caller wrote it; ignored with a terminal.
    pub stderr: &'a str,
    /// Whether the process gets a terminal.
    pub terminal: bool,
    /// Who owns the process's pipes.
    pub owner: Owner,
}

/// What the process gets. Drop it as soon as the process has it: while it is open, there is no end of file.
#[derive(Debug)]
pub enum ChildEnds {
    /// Three descriptors.
    Pipes {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// The terminal that is made for it; hand its master to [`Stdio::attach`].
    Terminal,
}

/// The standard streams of one process, as the shim holds them.
#[derive(Debug)]
pub struct Stdio {
    name: String,
    bounds: Bounds,
    phase: watch::Sender<Phase>,
    progress: Arc<watch::Sender<Progress>>,
    /// Our own writer of the fifo that input comes from.
    holder: Mutex<Option<OwnedFd>>,
    console: Mutex<Console>,
}

/// The terminal of a process.
#[derive(Debug)]
enum Console {
    /// It has none.
    None,
    /// It is not made yet: what it will be connected with.
    Awaited { inlet: Option<OwnedFd>, outlet: Sink, report: Report },
    /// Its master.
    Attached(Arc<AsyncFd<OwnedFd>>),
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stdio {
    /// Opens everything that a process's streams need; output is read from now on.
    ///
    /// # Errors
    /// [`Error`]; nothing is left open then.
    pub async fn open(request: &Request<'_>, bounds: Bounds) -> Result<(Self, ChildEnds), Error> {
        let stdio = Self {
            name: request.id.to_owned(),
            bounds,
            phase: watch::Sender::new(Phase::Running),
            progress: Arc::new(watch::Sender::new(Progress::default())),
            holder: Mutex::new(None),
            console: Mutex::new(Console::None),
        };
        let input = Address::parse_input(request.stdin)?;
        if request.terminal {
            stdio.await_console(request, input).await?;
            return Ok((stdio, ChildEnds::Terminal));
        }
        let (stdout, stderr) = stdio.outputs(request).await?;
        let stdin = stdio.input(input, request.owner)?;
        Ok((stdio, ChildEnds::Pipes { stdin, stdout, stderr }))
    }

    /// Connects the terminal that was made for the process; `master` becomes non-blocking.
    ///
    /// # Errors
    /// [`Error::NoTerminal`] without a terminal in the request, [`Error::Watch`].
    pub fn attach(&self, master: OwnedFd) -> Result<(), Error> {
        pipe::nonblocking(&master)?;
        let master =
            Arc::new(watched(master, Interest::READABLE | Interest::WRITABLE).map_err(Error::Watch)?);
        let mut console = locked(&self.console);
        if !matches!(*console, Console::Awaited { .. }) {
            return Err(Error::NoTerminal);
        }
        let before = std::mem::replace(&mut *console, Console::Attached(Arc::clone(&master)));
        let Console::Awaited { inlet, outlet, report } = before else { return Err(Error::NoTerminal) };
        if let Some(inlet) = inlet {
            self.relay_input(inlet, Arc::clone(&master), Transfer::copy())?;
        }
        self.relay(Kind::Terminal, master, outlet, report);
        Ok(())
    }

    /// Lets go of the input: the process sees its end when the client has let go too. Twice is once.
    pub fn close_stdin(&self) {
        drop(locked(&self.holder).take());
    }

    /// Gives the terminal a size in characters.
    ///
    /// # Errors
    /// [`Error::NoTerminal`], [`Error::Resize`].
    pub fn resize(&self, width: u16, height: u16) -> Result<(), Error> {
        let console = locked(&self.console);
        let Console::Attached(master) = &*console else { return Err(Error::NoTerminal) };
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(master.get_ref(), size).map_err(Error::Resize)
    }

    /// The leader has ended. What is in the pipes now is delivered however slow its reader is; from then on the bounds
    /// for survivors run. For an init: call it when no process of the container is left.
    pub fn leader_exited(&self) {
        self.advance(Phase::Exited);
    }

    /// Waits until every stream of output has ended, or was cut; without a bound of its own.
    pub async fn drained(&self) -> Outcome {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.open == 0).await;
        ended.map(|progress| progress.outcome).unwrap_or_default()
    }

    /// What became of the output so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.progress.borrow().outcome
    }

    /// `Delete`: waits for readers that have not taken what is theirs, at most [`Bounds::delete`], and closes.
    pub async fn finish(&self) -> Outcome {
        self.advance(Phase::Deleting);
        let _ = tokio::time::timeout(self.bounds.delete, self.drained()).await;
        self.close();
        match tokio::time::timeout(LAST_COUNT, self.drained()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                log::warn!("{}: a file or a logger still takes output after the deletion", self.name);
                self.outcome()
            }
        }
    }

    /// Closes everything at once. What survivors write is read into nothing.
    pub fn close(&self) {
        self.advance(Phase::Closed);
        self.close_stdin();
        *locked(&self.console) = Console::None;
    }

    fn advance(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = next > *phase;
            if later {
                *phase = next;
            }
            later
        });
    }

    fn report(&self, stream: &str) -> Report {
        Report::new(&self.progress, format!("{} {stream}", self.name))
    }

    /// Standard output and standard error of a process without a terminal.
    async fn outputs(&self, request: &Request<'_>) -> Result<(OwnedFd, OwnedFd), Error> {
        let stdout = Address::parse(request.stdout)?;
        if let Address::Logger(logger) = &stdout {
            let ears = self.logger(logger, request).await?;
            let stdout = self.piped(Sink::Pipe(ears.output), request.owner, "stdout")?;
            return Ok((stdout, self.piped(Sink::Pipe(ears.errors), request.owner, "stderr")?));
        }
        let stderr = Address::parse(request.stderr)?;
        let is_file = !matches!(stdout, Address::Null) && !self.is_fifo(&stdout)?;
        let shared = is_file && stdout == stderr;
        let stdout = self.output(stdout, request, "stdout").await?;
        // One pipe for both keeps their order in the file.
        let stderr = if shared { copy(&stdout)? } else { self.output(stderr, request, "stderr").await? };
        Ok((stdout, stderr))
    }

    fn is_fifo(&self, address: &Address) -> Result<bool, Error> {
        match address {
            Address::Path(path) => fifo::is_fifo(path),
            _ => Ok(false),
        }
    }

    async fn output(&self, address: Address, request: &Request<'_>, stream: &str) -> Result<OwnedFd, Error> {
        match self.sink(address, request, stream).await? {
            Some(sink) => self.piped(sink, request.owner, stream),
            None => pipe::null(),
        }
    }

    /// `None` for the null device.
    async fn sink(
        &self,
        address: Address,
        request: &Request<'_>,
        stream: &str,
    ) -> Result<Option<Sink>, Error> {
        Ok(Some(match address {
            Address::Null => return Ok(None),
            Address::Path(path) if fifo::is_fifo(&path)? => Sink::Fifo(Outlet::open(&path)?),
            Address::Path(path) => Sink::Pipe(self.append(path, Missing::Refuse, stream).await?),
            Address::File(path) => Sink::Pipe(self.append(path, Missing::Make, stream).await?),
            Address::Logger(logger) => Sink::Pipe(self.logger(&logger, request).await?.output),
        }))
    }

    async fn append(&self, path: PathBuf, missing: Missing, stream: &str) -> Result<OwnedFd, Error> {
        file::append(path, missing, self.report(&format!("{stream} file")), self.bounds.ready).await
    }

    async fn logger(&self, logger: &Logger, request: &Request<'_>) -> Result<logger::Ears, Error> {
        let about = logger::About { id: request.id, namespace: request.namespace };
        let listener = (self.phase.subscribe(), self.report("logger"));
        logger::start(logger, about, self.bounds, listener).await
    }

    /// Makes the pipe of a stream and relays it; gives the process's end.
    fn piped(&self, sink: Sink, owner: Owner, stream: &str) -> Result<OwnedFd, Error> {
        let (ours, theirs) = pipe::pair(owner)?;
        pipe::nonblocking(&ours)?;
        let source = watched(ours, Interest::READABLE).map_err(Error::Watch)?;
        self.relay(Kind::Pipe, Arc::new(source), sink, self.report(stream));
        Ok(theirs)
    }

    fn relay(&self, kind: Kind, source: Arc<AsyncFd<OwnedFd>>, sink: Sink, report: Report) {
        let (bounds, phase) = (self.bounds, self.phase.subscribe());
        tokio::spawn(Output { kind, source, sink, bounds, phase, report }.run());
    }

    /// Standard input of a process without a terminal.
    fn input(&self, address: Address, owner: Owner) -> Result<OwnedFd, Error> {
        let Some(inlet) = self.inlet(address)? else { return pipe::null() };
        let (theirs, ours) = pipe::pair(owner)?;
        pipe::nonblocking(&ours)?;
        let sink = watched(ours, Interest::WRITABLE).map_err(Error::Watch)?;
        self.relay_input(inlet, Arc::new(sink), Transfer::Splice)?;
        Ok(theirs)
    }

    fn inlet(&self, address: Address) -> Result<Option<OwnedFd>, Error> {
        let (Address::Path(path) | Address::File(path)) = address else { return Ok(None) };
        let (reader, holder) = fifo::open_inlet(&path)?;
        *locked(&self.holder) = Some(holder);
        Ok(Some(reader))
    }

    fn relay_input(
        &self,
        inlet: OwnedFd,
        sink: Arc<AsyncFd<OwnedFd>>,
        transfer: Transfer,
    ) -> Result<(), Error> {
        let source = watched(inlet, Interest::READABLE).map_err(Error::Watch)?;
        tokio::spawn(Input { source, sink, transfer, phase: self.phase.subscribe() }.run());
        Ok(())
    }

    async fn await_console(&self, request: &Request<'_>, input: Address) -> Result<(), Error> {
        let address = Address::parse(request.stdout)?;
        let outlet = match self.sink(address, request, "terminal").await? {
            Some(sink) => sink,
            None => Sink::Pipe(pipe::null()?),
        };
        let inlet = self.inlet(input)?;
        let report = self.report("terminal");
        *locked(&self.console) = Console::Awaited { inlet, outlet, report };
        Ok(())
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        self.close();
    }
}

/// How long `Delete` waits for the streams to say how they ended after they were closed.
const LAST_COUNT: Duration = Duration::from_secs(1);

fn copy(fd: &OwnedFd) -> Result<OwnedFd, Error> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|source| Error::Make { step: "copy a descriptor", source })
}

#[cfg(test)]
mod tests;
