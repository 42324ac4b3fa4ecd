//! The shim's side of a verb: starts the process, hears it out, and gives up on it in time.

use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use launch::{Birth, Outcome, Process};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use sys::exec::{Entry, Vector};
use tokio::io::Interest;

use super::{LONGEST, LONGEST_WORD, Request, Word, message, orphans};
use crate::failure::Failure;
use crate::operations::Operation;
use crate::reap::{Child, Children};
use crate::watched::watched;
use crate::workers::{Task, Workers};

/// How long a verb may take, hooks included.
const LIMIT: Duration = Duration::from_mins(2);

/// How long the birth of its process may take.
const BIRTH: Duration = Duration::from_secs(20);

/// How long it may take to end after its last word, or after it was killed.
const END: Duration = Duration::from_secs(2);

/// How long the kill of what it left may take, the wait for that included.
const ORPHANS: Duration = Duration::from_secs(5);

/// Who carries verbs out.
#[derive(Clone, Debug, Default)]
pub struct Verbs {
    /// Makes the processes.
    pub workers: Workers,
    /// Takes them away.
    pub children: Children,
}

/// A verb that was carried out.
#[derive(Debug)]
pub struct Done {
    /// The new process's pid; 0 where there is none.
    pub pid: i32,
    /// The new process's pidfd and its terminal's master.
    pub descriptors: Vec<OwnedFd>,
}

impl Verbs {
    /// Has a verb carried out. `streams` become those of the process that it starts.
    ///
    /// # Errors
    /// What the verb says; [`Failure::Stuck`] when it does not come to an end, [`Failure::VerbDied`].
    pub async fn ask(
        &self,
        operation: &Operation,
        request: &Request,
        streams: Option<[OwnedFd; 3]>,
    ) -> Result<Done, Failure> {
        let (name, id) = (request.verb.name(), request.id.clone());
        let (ours, theirs) = pair()?;
        operation.stage("start the process of the verb");
        let (child, letter) = self.begin(request.clone(), theirs, streams).await?;
        let orphans = request.binary.is_some().then_some(&self.workers);
        let verb = Conversation { name, id, operation, socket: ours, orphans };
        // Only now: a process that nobody waits for any more when it is made finds the end of file, and does nothing.
        if let Err(errno) = message::send(verb.socket.as_fd(), b"r", &[letter.as_fd()]) {
            let _ = verb.end(child, Ok(Ok(None))).await;
            return Err(step("send a request to a verb")(errno));
        }
        drop(letter);
        let heard = tokio::time::timeout(LIMIT, verb.hear()).await;
        verb.end(child, heard).await
    }

    /// Makes the process, and the file that tells it what to do.
    async fn begin(
        &self,
        request: Request,
        socket: OwnedFd,
        streams: Option<[OwnedFd; 3]>,
    ) -> Result<(Child, OwnedFd), Failure> {
        let birth = self.children.birth();
        let name = format!("start the process of {} {}", request.verb.name(), request.id);
        let container = request.id.clone();
        let work = move || {
            let letter = written(&request)?;
            Ok::<_, Failure>((spawn(&socket, streams)?, letter))
        };
        let (begun, letter) = self.workers.run(Task { name, container, limit: BIRTH }, work).await??;
        let child = self.children.adopt(Arc::new(begun));
        drop(birth);
        Ok((child, letter))
    }
}

type Answer = Result<Done, Failure>;

/// What came of listening: an answer, none before the end of file, or nothing in time.
type Heard = Result<Result<Option<Answer>, Failure>, tokio::time::error::Elapsed>;

struct Conversation<'a> {
    name: &'static str,
    id: String,
    operation: &'a Operation,
    socket: OwnedFd,
    /// Who kills what another runtime leaves; ours leaves nobody.
    orphans: Option<&'a Workers>,
}

impl Conversation<'_> {
    /// Sees to it that the process ends, and says what came of the verb. Without a last word it may be in the middle.
    async fn end(&self, child: Child, heard: Heard) -> Result<Done, Failure> {
        if !matches!(heard, Ok(Ok(Some(_)))) {
            child.kill();
            self.kill_orphans(child.pid()).await;
        }
        self.operation.stage("the end of the verb's process");
        let pid = child.pid();
        let ended = tokio::time::timeout(END, child.end()).await;
        let how = match ended {
            Ok(Ok(Some(how))) => format!("{how:?}"),
            Ok(_) => "how is not known".to_owned(),
            Err(_) => {
                log::warn!("{} {}: process {pid} does not end; it is left to the kernel", self.name, self.id);
                format!("process {pid} does not end")
            }
        };
        match heard {
            Ok(Ok(Some(answer))) => answer,
            Ok(Ok(None)) => Err(Failure::VerbDied { verb: self.name, how }),
            Ok(Err(failure)) => {
                let how = format!("it was killed, for it cannot be heard: {}", container::chain(&failure));
                Err(Failure::VerbDied { verb: self.name, how })
            }
            Err(_) => {
                let at = self.operation.current();
                Err(Failure::Stuck { what: format!("{} {}", self.name, self.id), limit: LIMIT, at })
            }
        }
    }

    /// Before the process is reaped, and before anybody undoes what it was at.
    async fn kill_orphans(&self, pid: i32) {
        let Some(workers) = self.orphans else { return };
        self.operation.stage("the end of the runtime that the verb called");
        let name = format!("kill what {} {} left", self.name, self.id);
        let task = Task { name, container: self.id.clone(), limit: ORPHANS };
        match workers.run(task, move || orphans::kill_session(pid, END)).await {
            Ok(left) if left.is_empty() => {}
            Ok(left) => log::warn!("{} {}: killed and not ended: {left:?}", self.name, self.id),
            Err(failure) => log::warn!("{} {}: {failure}", self.name, self.id),
        }
    }

    /// Until the last word; `None` when it ended without one.
    async fn hear(&self) -> Result<Option<Answer>, Failure> {
        let refused = |error: std::io::Error| {
            step("wait for a verb")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        let socket = self.socket.try_clone().and_then(|socket| watched(socket, Interest::READABLE));
        let socket = socket.map_err(refused)?;
        loop {
            let mut ready = socket.readable().await.map_err(refused)?;
            match self.word() {
                Ok(None) => return Ok(None),
                Ok(Some((word, descriptors))) => {
                    if let Some(answer) = self.take(word, descriptors) {
                        return Ok(Some(answer));
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
                Err(errno) => return Err(step("listen to a verb")(errno)),
            }
        }
    }

    fn take(&self, word: Word, descriptors: Vec<OwnedFd>) -> Option<Answer> {
        match word {
            Word::Log { level, text } => {
                let level = log::Level::iter().nth(level.saturating_sub(1)).unwrap_or(log::Level::Info);
                log::log!(level, "{} {}: {text}", self.name, self.id);
                None
            }
            Word::Stage(stage) => {
                self.operation.stage(stage);
                None
            }
            Word::Done { pid } => Some(Ok(Done { pid, descriptors })),
            Word::Refused { kind, text } => {
                let prefix = prefix(self.name);
                Some(Err(Failure::Told { prefix, kind, text }))
            }
        }
    }

    fn word(&self) -> Result<Option<(Word, Vec<OwnedFd>)>, Errno> {
        let mut bytes = vec![0; LONGEST_WORD];
        let (length, descriptors) = message::receive(self.socket.as_fd(), &mut bytes, RecvFlags::DONTWAIT)?;
        if length == 0 {
            return Ok(None);
        }
        let word = serde_json::from_slice(bytes.get(..length).unwrap_or_default());
        word.map(|word| Some((word, descriptors))).map_err(|_| Errno::BADMSG)
    }
}

/// Compat: the stock shim's words before runc's; dockerd shows them and looks for what follows.
fn prefix(verb: &str) -> &'static str {
    match verb {
        "create" => "OCI runtime create failed: ",
        "start" => "OCI runtime start failed: ",
        "delete" => "OCI runtime delete failed: ",
        "pause" => "OCI runtime pause failed: ",
        "resume" => "OCI runtime resume failed: ",
        "exec" => "OCI runtime exec failed: exec failed: ",
        "update" => "OCI runtime update failed: ",
        _ => "OCI runtime kill failed: ",
    }
}

/// A request is no message of its own, which would have to fit into the socket: a file in memory goes to the other side.
fn written(request: &Request) -> Result<OwnedFd, Failure> {
    let text = serde_json::to_vec(request).unwrap_or_default();
    if text.len() > LONGEST {
        let reason = format!("{} bytes are more than the {LONGEST} that fit", text.len());
        return Err(Failure::Invalid { field: "request", reason });
    }
    let refused = |errno| step("write a request to a verb")(errno);
    let mut file = File::from(memory().map_err(refused)?);
    file.write_all(&text).map_err(|error| refused(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(file.into())
}

/// A file in memory that is never executed.
fn memory() -> Result<OwnedFd, Errno> {
    let make = |flags| rustix::fs::memfd_create(c"request", flags);
    // Kernel: MFD_NOEXEC_SEAL came with 6.3, EINVAL before; with vm.memfd_noexec at 2 no memfd is made without it.
    match make(MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => make(MemfdFlags::CLOEXEC),
        made => made,
    }
}

fn step(step: &'static str) -> impl Fn(Errno) -> Failure {
    move |source| Failure::Step { step, source }
}

fn pair() -> Result<(OwnedFd, OwnedFd), Failure> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(step("make a socket for a verb"))
}

/// Forks, and comes back when the new process runs this program.
fn spawn(socket: &OwnedFd, streams: Option<[OwnedFd; 3]>) -> Result<Process, Failure> {
    let streams = match streams {
        Some(streams) => streams,
        None => null()?,
    };
    let number = CString::new(socket.as_raw_fd().to_string()).unwrap_or_default();
    let arguments = [c"containerd-shim-sluice-v2", c"verb", &number];
    let arguments = arguments.into_iter().map(Entry::new).chain([Entry::END]).collect::<Vec<_>>();
    let environment =
        [Entry::new(c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), Entry::END];
    let (Some(arguments), Some(environment)) = (Vector::new(&arguments), Vector::new(&environment)) else {
        return Err(step("build the arguments of a verb")(Errno::INVAL));
    };
    let paths = [c"/proc/self/exe"];
    let plan = child::again::Plan {
        streams: streams.each_ref().map(AsFd::as_fd),
        kept: socket.as_fd(),
        program: child::program::Program { paths: &paths, arguments, environment },
    };
    let launched = launch::spawn(&Birth::default(), &plan, child::again::run);
    let outcome = launched.and_then(|launched| launched.outcome(None, BIRTH));
    match outcome.map_err(|error| Failure::of_library("", &container::Error::Launch(error)))? {
        Outcome::Executed(process) => Ok(process),
        Outcome::Refused(failure) => Err(step(failure.stage.as_str())(failure.errno)),
        Outcome::Died { stage, ended } => {
            Err(Failure::VerbDied { verb: "serve", how: format!("{ended:?} in step {:?}", stage.as_str()) })
        }
        Outcome::Stuck { stage, waited, .. } => {
            let at = stage.as_str().to_owned();
            Err(Failure::Stuck { what: "the start of a verb's process".to_owned(), limit: waited, at })
        }
    }
}

fn null() -> Result<[OwnedFd; 3], Failure> {
    use rustix::fs::{CWD, Mode, OFlags};
    let open = || rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let refused = step("open /dev/null");
    Ok([open().map_err(&refused)?, open().map_err(&refused)?, open().map_err(&refused)?])
}
