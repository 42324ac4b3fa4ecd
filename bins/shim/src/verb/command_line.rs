//! A verb for a container of another OCI runtime: that runtime's command line.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use container::create::Created;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::perform::{Refusal, mount, unmount, unmount_of};
use super::{Create, Request, Verb, orphans};
use crate::wrapper::{Connected, ConsoleSocket, Creation, Runtime, Stdio, Whom};

/// How long a runtime may take to hand over a terminal that it has made.
const TERMINAL: Duration = Duration::from_secs(10);

/// Carries a verb out through `binary`.
///
/// # Errors
/// What the runtime says.
pub(super) fn carry_out(
    request: &Request,
    binary: &Path,
    stage: &dyn Fn(&str),
) -> Result<Option<Created>, Refusal> {
    let runtime = Runtime {
        binary: binary.to_owned(),
        root: request.root.clone(),
        systemd_cgroup: request.systemd_cgroup,
        bundle: request.bundle.clone(),
    };
    let id = &request.id;
    orphans::begin_session();
    stage("the runtime's answer");
    match &request.verb {
        Verb::Create(create) => return make(&runtime, request, create, stage).map(Some),
        Verb::Exec { exec_id, spec, terminal } => {
            let (connected, socket) = connect(request, *terminal)?;
            let made = runtime.exec(id, exec_id, spec.as_bytes(), connected);
            return born(made.map_err(Refusal::Runtime)?, socket).map(Some);
        }
        Verb::Start => runtime.start(id),
        Verb::Delete => {
            runtime.delete_by_force(id).map_err(Refusal::Runtime)?;
            return unmount(request, stage).map(|()| None);
        }
        // Its command line knows a container by its id only.
        Verb::CleanUp { inode, .. } => {
            runtime.delete_by_force(id).map_err(Refusal::Runtime)?;
            return unmount_of(request, *inode, stage).map(|()| None);
        }
        Verb::Pause => runtime.pause(id),
        Verb::Resume => runtime.resume(id),
        Verb::Update { resources } => runtime.update(id, resources.as_bytes()),
        Verb::Kill { signal, all } => {
            let whom = if *all { Whom::All } else { Whom::Init };
            runtime.kill(id, signal.unsigned_abs(), whom)
        }
        // By its id only, too: the shim waits for this verb before it deletes.
        Verb::EndOthers { .. } => runtime.kill(id, Signal::KILL.as_raw().unsigned_abs(), Whom::All),
    }
    .map_err(Refusal::Runtime)?;
    Ok(None)
}

fn make(
    runtime: &Runtime,
    request: &Request,
    create: &Create,
    stage: &dyn Fn(&str),
) -> Result<Created, Refusal> {
    mount(request, create, stage)?;
    stage("the runtime's answer");
    let switches = Creation { no_pivot: create.no_pivot_root, no_new_keyring: create.no_new_keyring };
    let made = connect(request, create.terminal).and_then(|(connected, socket)| {
        let pid = runtime.create(&request.id, switches, connected).map_err(Refusal::Runtime)?;
        born(pid, socket)
    });
    made.inspect_err(|_| {
        // A half-made container is that runtime's to remove.
        let _ = runtime.delete_by_force(&request.id);
        let _ = unmount(request, stage);
    })
}

/// What the new process is connected with: our own streams, which are its, or a terminal.
fn connect(request: &Request, terminal: bool) -> Result<(Connected, Option<ConsoleSocket>), Refusal> {
    if terminal {
        let path = request.bundle.join(format!("tty-{}", std::process::id()));
        let socket =
            ConsoleSocket::bind(&path).map_err(|errno| Refusal::Step("make a console socket", errno))?;
        return Ok((Connected::Terminal(path), Some(socket)));
    }
    let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
    let [stdin, stdout, stderr] = sys::stdio::streams().map(copy);
    let refused = |errno| Refusal::Step("keep the standard streams", errno);
    let streams = Stdio {
        stdin: stdin.map_err(refused)?,
        stdout: stdout.map_err(refused)?,
        stderr: stderr.map_err(refused)?,
    };
    Ok((Connected::To(streams), None))
}

fn born(pid: i32, socket: Option<ConsoleSocket>) -> Result<Created, Refusal> {
    let known = Pid::from_raw(pid).ok_or(Refusal::Step("hold the new process", Errno::SRCH))?;
    let pidfd: OwnedFd = rustix::process::pidfd_open(known, PidfdFlags::empty())
        .map_err(|errno| Refusal::Step("hold the new process", errno))?;
    let console = socket.map(|socket| socket.receive(TERMINAL)).transpose();
    let console = console.map_err(|errno| Refusal::Step("receive the terminal", errno))?;
    Ok(Created { pid, pidfd, console })
}
