//! The verb process: reads its request from the socket it was given, does it, says so, and ends.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;

use container::config::Resources;
use container::create::{self, CreateRequest, Created, Keyring, Pivot, Terminal};
use container::delete::Force;
use container::kill::Scope;
use container::placement::{Address, Driver, Owner};
use container::{ContainerId, Rootless, Store};
use log::{LevelFilter, Log, Metadata, Record};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::Signal;

use super::{Create, LONGEST, Request, Verb, Word, command_line, message};
use crate::failure::Kind;
use crate::wrapper::Meaning;
use crate::{cleanup, rootfs, wrapper};

/// Carries out one request from `socket`; gives the exit status.
#[must_use]
pub fn perform(socket: OwnedFd) -> u8 {
    let request = match receive(socket.as_fd()) {
        Ok(request) => request,
        Err(word) => return u8::from(say(socket.as_fd(), word, &[]).is_err()),
    };
    if let Ok(socket) = socket.try_clone() {
        let _ = FORWARD.0.set(socket);
        let _ = log::set_logger(&FORWARD);
        log::set_max_level(LevelFilter::Info);
    }
    let stage = |stage: &str| {
        let _ = say(socket.as_fd(), Word::Stage(stage.to_owned()), &[]);
    };
    let outcome = match &request.binary {
        Some(binary) => command_line::carry_out(&request, binary, &stage),
        None => carry_out(&request, &stage),
    };
    u8::from(conclude(socket.as_fd(), &outcome).is_err())
}

/// The last word.
fn conclude(socket: BorrowedFd<'_>, outcome: &Result<Option<Created>, Refusal>) -> Result<(), Errno> {
    match outcome {
        Ok(None) => say(socket, Word::Done { pid: 0 }, &[]),
        Ok(Some(Created { pid, pidfd, console })) => {
            let descriptors = [Some(pidfd), console.as_ref()];
            let descriptors: Vec<_> = descriptors.into_iter().flatten().map(AsFd::as_fd).collect();
            say(socket, Word::Done { pid: *pid }, &descriptors)
        }
        Err(refusal) => say(socket, refusal.word(), &[]),
    }
}

/// Why a verb was not carried out.
pub(super) enum Refusal {
    /// The library says why.
    Library(container::Error),
    /// The root.
    Rootfs(rootfs::Error),
    /// Another runtime says why.
    Runtime(wrapper::Error),
    /// The new limits are none.
    Resources(serde_json::Error),
    /// A step of our own.
    Step(&'static str, Errno),
}

impl Refusal {
    fn word(&self) -> Word {
        let (kind, text) = match self {
            Self::Library(error) => (Kind::of(error), container::chain(error)),
            Self::Rootfs(error) => (Kind::Other, container::chain(error)),
            Self::Runtime(error) => (kind_of(error), container::chain(error)),
            Self::Step(step, errno) => (Kind::Other, format!("{step}: {errno}")),
            Self::Resources(error) => (Kind::Invalid, format!("resources: {error}")),
        };
        Word::Refused { kind, text }
    }
}

impl From<container::Error> for Refusal {
    fn from(error: container::Error) -> Self {
        Self::Library(error)
    }
}

/// What an error of another runtime means, as far as its words tell.
fn kind_of(error: &wrapper::Error) -> Kind {
    match error.meaning() {
        Meaning::Finished | Meaning::State => Kind::State,
        Meaning::NoContainer => Kind::NotFound,
        Meaning::Other => Kind::Other,
    }
}

fn carry_out(request: &Request, stage: &dyn Fn(&str)) -> Result<Option<Created>, Refusal> {
    let id = ContainerId::parse(&request.id)?;
    if let Verb::Create(create) = &request.verb {
        return make(request, id, create, stage).map(Some);
    }
    let store = Store::open(&request.root)?;
    match &request.verb {
        // Ours makes execs in the shim itself.
        Verb::Create(_) | Verb::Exec { .. } => {}
        Verb::Start => container::start::start(&store, &id)?,
        Verb::Delete => {
            container::delete::delete(&store, &id, Force::Yes)?;
            unmount(request, stage)?;
        }
        Verb::CleanUp { init, inode } => {
            match init {
                Some(init) => container::delete::delete_of(&store, &id, *init)?,
                None => container::delete::delete(&store, &id, Force::Yes)?,
            }
            unmount_of(request, *inode, stage)?;
        }
        Verb::Pause => container::pause::pause(&store, &id)?,
        Verb::Resume => container::resume::resume(&store, &id)?,
        Verb::Update { resources } => {
            let resources: Resources = serde_json::from_str(resources).map_err(Refusal::Resources)?;
            container::update::update(&store, &id, &resources)?;
        }
        Verb::Kill { signal, all } => {
            let scope = if *all { Scope::All } else { Scope::Init };
            container::kill::kill(&store, &id, *signal, scope)?;
        }
        Verb::EndOthers { init } => {
            container::kill::kill_all_of(&store, &id, Signal::KILL.as_raw(), *init)?;
        }
    }
    Ok(None)
}

/// Mounts the root of a new container.
pub(super) fn mount(request: &Request, create: &Create, stage: &dyn Fn(&str)) -> Result<(), Refusal> {
    stage("mount the root");
    rootfs::mount(&create.rootfs, &request.bundle.join("rootfs")).map_err(Refusal::Rootfs)
}

/// Takes the root of a container away.
pub(super) fn unmount(request: &Request, stage: &dyn Fn(&str)) -> Result<(), Refusal> {
    stage("unmount the root");
    rootfs::unmount(&request.bundle.join("rootfs")).map_err(Refusal::Rootfs)
}

/// As [`unmount`], of the bundle with this number: another one in its place is that of the next container.
pub(super) fn unmount_of(request: &Request, inode: u64, stage: &dyn Fn(&str)) -> Result<(), Refusal> {
    if cleanup::inode(&request.bundle) == Some(inode) { unmount(request, stage) } else { Ok(()) }
}

fn make(
    request: &Request,
    id: ContainerId,
    create: &Create,
    stage: &dyn Fn(&str),
) -> Result<Created, Refusal> {
    let store = Store::make(&request.root)?;
    mount(request, create, stage)?;
    stage("create");
    let made = create::create(&store, &create_request(request, id, create));
    if made.is_err() && !create.rootfs.is_empty() {
        let _ = unmount(request, stage);
    }
    Ok(made?)
}

fn create_request(request: &Request, id: ContainerId, create: &Create) -> CreateRequest {
    let driver = if request.systemd_cgroup {
        Driver::Systemd { owner: Owner::System, bus: Address::system() }
    } else {
        Driver::Cgroupfs
    };
    CreateRequest {
        id,
        bundle: request.bundle.clone(),
        console_socket: None,
        pidfd_socket: None,
        pid_file: None,
        pivot: if create.no_pivot_root { Pivot::MoveRoot } else { Pivot::PivotRoot },
        keyring: if create.no_new_keyring { Keyring::Inherit } else { Keyring::New },
        preserve_fds: 0,
        listen_fds: 0,
        inherited: 0,
        notify_socket: None,
        terminal: Terminal::Relay,
        driver,
        rootless: Rootless::of_caller(),
    }
}

/// The library's log, to the shim.
struct Forward(OnceLock<OwnedFd>);

static FORWARD: Forward = Forward(OnceLock::new());

impl Log for Forward {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let word = Word::Log { level: record.level() as usize, text: record.args().to_string() };
        if let Some(socket) = self.0.get() {
            let _ = say(socket.as_fd(), word, &[]);
        }
    }

    fn flush(&self) {}
}

fn receive(socket: BorrowedFd<'_>) -> Result<Request, Word> {
    let invalid = |text: String| Word::Refused { kind: Kind::Invalid, text };
    let bytes = posted(socket).map_err(|error| invalid(format!("read the request: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| invalid(format!("read the request: {error}")))
}

/// What is in the file that comes first.
fn posted(socket: BorrowedFd<'_>) -> std::io::Result<Vec<u8>> {
    let (_, mut files) = message::receive(socket, &mut [0; 1], RecvFlags::empty())?;
    let file = File::from(files.pop().ok_or(Errno::BADF)?);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(LONGEST)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn say(socket: BorrowedFd<'_>, word: Word, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    message::send(socket, &word.encode(), descriptors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    #[test]
    fn a_process_that_nobody_waits_for_any_more_does_nothing() {
        let pair =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.unwrap();
        drop(ours);
        assert!(receive(theirs.as_fd()).is_err(), "there is no request");
        assert_eq!(perform(theirs), 1);
    }
}
