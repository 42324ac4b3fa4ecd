//! The process that serves: one control thread, from the first request to the last.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use ttrpc::r#async::Server;
use ttrpc::asynchronous::transport::Listener;

use crate::accept::Accept;
use crate::dump::{Dump, Waiting};
use crate::pod::Pod;
use crate::refused::{Refused, refused};
use crate::watched::watched;
use crate::workers::Task;
use crate::{log as own_log, service};

/// How long containerd may take for the last events.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// How long the last answers are given to leave.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// What the process that serves is given.
#[derive(Debug)]
pub struct Daemon {
    /// containerd's namespace.
    pub namespace: String,
    /// The bundle of the container that it was started for.
    pub bundle: PathBuf,
    /// containerd's socket for events; empty for none.
    pub events: String,
    /// The socket that it listens at.
    pub listener: OwnedFd,
    /// `PATH`, for the runtimes that options name.
    pub search: Option<String>,
    /// What is logged.
    pub detail: own_log::Detail,
}

/// The shim cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step was refused.
    #[error(transparent)]
    Step(#[from] Refused),
    /// The server does not start.
    #[error("start the ttrpc server")]
    Server(#[source] ttrpc::Error),
}

impl Daemon {
    /// Serves until no container is left and containerd says so, or until SIGTERM.
    ///
    /// # Errors
    /// [`Error`] before the first request.
    pub fn serve(self) -> Result<(), Error> {
        own_log::open(&self.bundle, self.detail);
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(refused("become a subreaper"))?;
        let signals = block_signals().map_err(refused("block the signals"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(refused("make the event loop"))?;
        let ended = runtime.block_on(self.run(signals));
        // A worker that sleeps in the kernel is none to wait for.
        runtime.shutdown_background();
        ended
    }

    async fn run(self, signals: OwnedFd) -> Result<(), Error> {
        let listener = UnixListener::from(self.listener);
        let mut found_by = vec![self.bundle.join("address")];
        let address = listener.local_addr().ok();
        found_by.extend(address.and_then(|address| address.as_pathname().map(PathBuf::from)));
        let pod = Arc::new(Pod::new(&self.namespace, self.search, found_by));
        listener.set_nonblocking(true).map_err(refused("prepare the socket"))?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(refused("watch the socket"))?;
        let server = Server::new().add_listener(Listener::new(Accept::new(listener)));
        let mut server = server.register_service(service::services(&pod));
        server.start().await.map_err(Error::Server)?;
        tokio::spawn(pod.events.clone().send(self.events));
        tokio::spawn(pod.children.clone().sweep());
        tokio::spawn(service::watch(Arc::clone(&pod)));
        let signals = watched(signals, Interest::READABLE).map_err(refused("watch the signals"))?;
        tokio::select! {
            () = pod.end.notified() => {}
            () = obey(&pod, &signals, &self.bundle) => pod.withdraw(),
        }
        pod.events.hurry();
        pod.events.flush(LAST_EVENTS).await;
        tokio::time::sleep(LAST_ANSWERS).await;
        let _ = tokio::time::timeout(LAST_EVENTS, server.shutdown()).await;
        Ok(())
    }
}

const OWN: [Signal; 4] = [Signal::CHILD, Signal::TERM, Signal::INT, Signal::USR1];

fn block_signals() -> Result<OwnedFd, Errno> {
    let mask = OWN.into_iter().fold(0, |mask, signal| mask | bit(signal));
    sys::signal::set_mask(mask)?;
    sys::signalfd::open(mask)
}

/// Comes back when the shim is told to end.
async fn obey(pod: &Arc<Pod>, signals: &AsyncFd<OwnedFd>, bundle: &Path) {
    loop {
        let Ok(mut ready) = signals.readable().await else { return };
        let pending = sys::signalfd::pending(signals.get_ref().as_fd()).unwrap_or_else(|errno| {
            log::error!("read the signals: {errno}");
            0
        });
        ready.clear_ready();
        let came = |signal: Signal| pending & bit(signal) != 0;
        if came(Signal::CHILD) {
            pod.children.look();
        }
        if came(Signal::USR1) {
            tell(pod, bundle);
        }
        if let Some(signal) = [Signal::TERM, Signal::INT].into_iter().find(|signal| came(*signal)) {
            log::info!("signal {}: the shim ends", signal.as_raw());
            return;
        }
    }
}

/// Its place in a set of signals.
fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// Writes down what is going on, on a worker; a worker that is stuck is told of by the next one.
fn tell(pod: &Arc<Pod>, bundle: &Path) {
    let dump = dump(pod);
    let (pod, bundle) = (Arc::clone(pod), bundle.to_owned());
    tokio::spawn(async move {
        let task = Task { name: "write a dump".to_owned(), container: String::new(), limit: LAST_EVENTS };
        let work = move || dump.write(&bundle, Instant::now());
        match pod.workers.run(task, work).await {
            Ok(Ok(())) => {}
            Ok(Err(errno)) => log::warn!("write a dump: {errno}"),
            Err(failure) => log::warn!("{failure}"),
        }
    });
}

fn dump(pod: &Pod) -> Dump {
    let operations = pod.operations.list().into_iter().map(|running| Waiting {
        name: running.name.to_owned(),
        id: running.id,
        exec_id: running.exec_id,
        stage: running.stage.into_owned(),
        since: running.since,
        stage_since: running.stage_since,
    });
    let mut parts = vec![
        ("events", format!("{:?}", pod.events)),
        ("workers", format!("{:?}", pod.workers)),
        ("log", format!("{} lines dropped", own_log::dropped())),
    ];
    for task in pod.all() {
        let execs = task.execs().len();
        let (phase, pid) = (task.init.phase(), task.init.pid());
        parts.push(("container", format!("{} {phase:?} init={pid} execs={execs}", task.id)));
    }
    Dump { operations: operations.collect(), parts }
}
