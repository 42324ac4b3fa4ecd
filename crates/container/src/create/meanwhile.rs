//! What a second thread prepares while the first writes the state and makes the control groups: the network namespace,
//! which takes the kernel longer than all other namespaces together, and the seccomp filter.
//!
//! ```text
//!     create                                 thread
//!       |  state, groups, limits               |  unshare(CLONE_NEWNET), lo up, its file opened
//!       |                                      |  profile -> filter
//!       | <------- Prepared ------------------ |  (ends)
//!       |  clone3                              |
//! ```
//!
//! **Invariant:** when [`Meanwhile`] is gone, so is the thread: nothing is forked while there are two, and the namespace
//! lives no longer than its descriptor.

use crate::Error;
use crate::config::{Config, NamespaceType};
use crate::network;
use crate::record::Filter;
use proc::Procfs;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use sys::clone::new;
use sys::seccomp::Instruction;

/// A compiled filter, ready for init, with what an exec needs to know about it.
pub(super) type Compiled = Option<(Vec<Instruction>, Filter)>;

/// The outcome.
#[derive(Debug)]
pub(super) struct Prepared {
    /// A network namespace with loopback; none: `clone3` makes it, or says why it cannot.
    pub(super) network: Option<OwnedFd>,
    /// The filter.
    pub(super) filter: Compiled,
}

/// The work under way.
#[derive(Debug)]
pub(super) struct Meanwhile {
    work: Arc<Work>,
    /// None: there could be no second thread, so the first does the work when it is wanted.
    thread: Option<JoinHandle<Result<Prepared, Error>>>,
}

/// What is to be done.
#[derive(Debug)]
struct Work {
    network: bool,
    profile: Option<seccomp::Profile>,
}

impl Meanwhile {
    /// Begins; takes the profile out of `config`, where nothing else needs it.
    pub(super) fn begin(config: &mut Config) -> Self {
        const STACK: usize = 256 << 10;
        let profile = config.linux.seccomp.take().filter(|profile| !profile.is_disabled());
        let work = Arc::new(Work { network: may_make_network(config), profile });
        let theirs = Arc::clone(&work);
        let thread = std::thread::Builder::new().stack_size(STACK);
        Self { work, thread: thread.spawn(move || theirs.run()).ok() }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`Error::Seccomp`].
    pub(super) fn end(mut self) -> Result<Prepared, Error> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(prepared)) => prepared,
            Some(Err(_)) => Err(Error::Step { step: "run a second thread", source: Errno::CANCELED }),
            None => Ok(Prepared { network: None, filter: self.work.filter()? }),
        }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Only where init can join it: the namespace belongs to the user namespace of this process, and init comes to stand in
/// this process's other namespaces.
fn may_make_network(config: &Config) -> bool {
    let joins = config.linux.namespaces.iter().any(|namespace| namespace.path().is_some());
    config.linux.makes_new(NamespaceType::Network)
        && config.linux.namespace(NamespaceType::User).is_none()
        && !joins
}

impl Work {
    fn run(&self) -> Result<Prepared, Error> {
        let network = if self.network { network_namespace().ok() } else { None };
        Ok(Prepared { network, filter: self.filter()? })
    }

    fn filter(&self) -> Result<Compiled, Error> {
        self.profile.as_ref().map(compile).transpose()
    }
}

fn compile(profile: &seccomp::Profile) -> Result<(Vec<Instruction>, Filter), Error> {
    let compiled = seccomp::compile(profile).map_err(Error::Seccomp)?;
    for warning in &compiled.warnings {
        log::warn!("config.json/linux/seccomp: {warning}");
    }
    let convert =
        |one: &seccomp::Instruction| Instruction { code: one.code, jt: one.jt, jf: one.jf, k: one.k };
    let instructions = compiled.instructions.iter().map(convert).collect();
    let listener = if compiled.notify { sys::seccomp::NEW_LISTENER } else { 0 };
    let filter = Filter {
        flags: compiled.flags | listener,
        listener_path: Some(&profile.listener_path).filter(|path| !path.is_empty()).map(PathBuf::from),
        listener_metadata: profile.listener_metadata.clone(),
    };
    Ok((instructions, filter))
}

/// A new network namespace, as one of this thread, which ends soon.
fn network_namespace() -> Result<OwnedFd, Error> {
    let step = |step| move |source| Error::Step { step, source };
    sys::namespace::unshare(new::NET).map_err(step("make the network namespace"))?;
    network::bring_loopback_up()?;
    let proc = Procfs::host().map_err(Error::Proc)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&proc, "thread-self/ns/net", flags, Mode::empty())
        .map_err(step("open the network namespace"))
}
