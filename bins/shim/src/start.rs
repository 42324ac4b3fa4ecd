//! The subcommand `start`: finds the shim of a pod, or starts one, and prints its address.
//!
//! Compat: containerd gives it 5 seconds, reads standard output to its end, and before 2.0 standard error with it; so
//! nothing but the address may ever be printed, and the process that serves holds neither.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use cgroup::{Cgroup, Layout, Paths};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::CoreSchedulingScope;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::argv::Invocation;
use crate::bootstrap::Given;
use crate::options::{self, Options};
use crate::refused::{Refused, refused};
use crate::socket::{self, Claim};

/// Annotations that name the group of a container, the first first.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// The most that is read from standard input, in bytes.
pub const LONGEST: u64 = 4 << 20;

/// The shim cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step was refused.
    #[error(transparent)]
    Step(#[from] Refused),
    /// A step on a file was refused.
    #[error("{step} {}", path.display())]
    File {
        /// What was to be done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: Errno,
    },
    /// The socket.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The options.
    #[error(transparent)]
    Options(#[from] options::Error),
    /// The cgroup that the options name for the shim.
    #[error("put the shim into the cgroup of its options (ShimCgroup)")]
    Cgroup(#[from] cgroup::Error),
    /// `config.json` is none.
    #[error("read the annotations of config.json")]
    Config(#[source] serde_json::Error),
    /// A flag is missing.
    #[error("-{name} must not be empty")]
    NoFlag {
        /// The flag.
        name: &'static str,
    },
}

/// With whom the shim and everything that it starts share the cores of processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// With anybody.
    Shared,
    /// With nobody else: containerd asks for that by the variable `SCHED_CORE`.
    Own,
}

/// Finds or starts the shim; gives what is to be printed.
///
/// # Errors
/// [`Error`].
pub fn start(invocation: &Invocation, cores: Cores) -> Result<Vec<u8>, Error> {
    for (name, value) in [("namespace", &invocation.namespace), ("id", &invocation.id)] {
        if value.is_empty() {
            return Err(Error::NoFlag { name });
        }
    }
    let given = Given::decode(&standard_input()?, &invocation.namespace, &invocation.id);
    let bundle = std::env::current_dir().map_err(refused("find the bundle"))?;
    let group = group(&bundle)?.unwrap_or_else(|| invocation.id.clone());
    let directory = given.socket_directory.as_deref();
    let path = socket::path(directory, &invocation.address, &invocation.namespace, &group);
    let address = format!("unix://{}", path.display());
    if let Claim::Ours(listener) = socket::claim(&path)? {
        let begun = separate(cores).and_then(|()| begin(invocation, &given, (&bundle, listener)));
        begun.inspect_err(|_| _ = rustix::fs::unlink(&path))?;
    }
    // For containerd 1.6 and 1.7, which look here after a restart.
    write(&bundle.join("address"), &address)?;
    Ok(given.answer(&address))
}

fn standard_input() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(LONGEST).read_to_end(&mut bytes);
    read.map_err(refused("read standard input"))?;
    Ok(bytes)
}

#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The group that the container's annotations name.
fn group(bundle: &Path) -> Result<Option<String>, Error> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).map_err(|error| Error::File {
        step: "read",
        path,
        source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    let mut annotated: Annotated = serde_json::from_slice(&text).map_err(Error::Config)?;
    Ok(GROUPS.iter().find_map(|name| annotated.annotations.remove(*name)).filter(|group| !group.is_empty()))
}

/// Gives this process a core-scheduling cookie of its own, which the shim and all its containers inherit.
///
/// Kernel: 5.14; `EINVAL` where it is not built in. The start is refused then, as the stock shim does it: who asks for
/// separation must not run without. `ENODEV` says that no core runs two threads, so there is nobody to be separated from.
fn separate(cores: Cores) -> Result<(), Error> {
    if cores == Cores::Shared {
        return Ok(());
    }
    let own = rustix::process::getpid();
    match rustix::thread::create_core_scheduling_cookie(own, CoreSchedulingScope::ThreadGroup) {
        Ok(()) | Err(Errno::NODEV) => Ok(()),
        Err(errno) => Err(refused("enable core scheduling (SCHED_CORE)")(errno).into()),
    }
}

/// Starts the process that serves; it is in its place when this comes back.
fn begin(invocation: &Invocation, given: &Given, (bundle, listener): (&Path, OwnedFd)) -> Result<(), Error> {
    let options = Options::decode(given.options.as_ref())?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("containerd-shim-sluice-v2");
    command.args(["-namespace", &invocation.namespace, "-id", &invocation.id]);
    command.args(["-address", &invocation.address]);
    if invocation.debug {
        command.arg("-debug");
    }
    if let Some(events) = &given.events {
        command.env("TTRPC_ADDRESS", events);
    }
    command.current_dir(bundle).process_group(0);
    // The socket is its standard input: the one descriptor that a new program gets under a number it knows.
    command.stdin(Stdio::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(refused("start the shim"))?;
    let placed = place(child.id(), &options);
    placed.inspect_err(|_| kill(child.id()))
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Its cgroup, and who goes before it when memory is short: containerd does, just so.
fn place(pid: u32, options: &Options) -> Result<(), Error> {
    if !options.shim_cgroup.is_empty() {
        join(pid, &options.shim_cgroup)?;
    }
    let parent = rustix::process::getppid().map_or(1, rustix::process::Pid::as_raw_pid);
    let path = format!("/proc/{parent}/oom_score_adj");
    let score = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(score) = score {
        let path = PathBuf::from(format!("/proc/{pid}/oom_score_adj"));
        write_existing(&path, &(score + 1).min(1000).to_string())?;
    }
    Ok(())
}

/// Puts a process into the group of that path in every hierarchy; makes it where it is not, with the processors and the
/// memory of the group above.
fn join(pid: u32, path: &str) -> Result<(), cgroup::Error> {
    let layout = Layout::discover()?;
    let below_the_root = format!("/{path}");
    let group = if is_root(Path::new(path)) {
        Cgroup::new(root(&layout))
    } else {
        let group = Cgroup::new(cgroup::resolve(&layout, Some(&below_the_root), "")?);
        group.create()?;
        group
    };
    group.adopt(i32::try_from(pid).unwrap_or_default(), &Paths::default())
}

/// Whether a path names no group below the root.
fn is_root(path: &Path) -> bool {
    !path.components().any(|part| matches!(part, Component::Normal(_)))
}

/// Compat: the stock shim takes `/` for the root of every hierarchy; a container's own path may not be that.
fn root(layout: &Layout) -> Paths {
    let v1 = layout.v1().iter().map(|hierarchy| (hierarchy.key(), hierarchy.mount_point.clone()));
    Paths { unified: layout.unified().map(|hierarchy| hierarchy.mount_point.clone()), v1: v1.collect() }
}

fn write_existing(path: &Path, text: &str) -> Result<(), Error> {
    let refused = |source| Error::File { step: "write", path: path.to_owned(), source };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(refused)?;
    rustix::io::write(&file, text.as_bytes()).map_err(refused)?;
    Ok(())
}

/// Replaces a small file: a reader sees the old text or the new one.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let refused = |source| Error::File { step: "write", path: path.to_owned(), source };
    let temporary = path.with_extension(std::process::id().to_string());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, &temporary, flags, Mode::RUSR | Mode::WUSR).map_err(refused)?;
    let written = rustix::io::write(&file, text.as_bytes()).map(drop);
    written.and_then(|()| rustix::fs::rename(&temporary, path)).map_err(|errno| {
        let _ = rustix::fs::unlink(&temporary);
        refused(errno)
    })
}
