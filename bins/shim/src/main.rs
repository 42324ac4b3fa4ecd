//! The program `containerd-shim-sluice-v2`: says what it was asked, or serves.

#![cfg_attr(not(test), no_main)]

use std::ffi::{CStr, OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use shim::argv::{Action, Invocation};
use shim::cleanup::{Forward, Remains};
use shim::counters::Counters;
use shim::daemon::Daemon;
use shim::log::Detail;
use shim::start::Cores;
use sys::start::Given;

/// musl's allocator maps and unmaps pages for nearly every exec, at one fault and one interrupt of the other processor
/// each; see docs/performance-shim.md.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(not(test))]
sys::program!(program);

/// From what the kernel gave to the exit status.
#[cfg_attr(test, expect(dead_code, reason = "the tests have a main of their own"))]
fn program(given: Given) -> u8 {
    // A descriptor that is opened later must not become a standard stream.
    let _ = sys::stdio::fill();
    let _ = sys::signal::set_ignored(rustix::process::Signal::PIPE.as_raw());
    container::own_children();
    let arguments: Vec<_> = given.arguments().skip(1).map(owned).collect();
    match Invocation::parse(&arguments) {
        Ok(invocation) => answer(&invocation, &given, arguments.get(1).map(OsString::as_os_str)),
        Err(error) => fail(&error),
    }
}

fn owned(argument: &CStr) -> OsString {
    OsStr::from_bytes(argument.to_bytes()).to_owned()
}

fn answer(invocation: &Invocation, given: &Given, operand: Option<&OsStr>) -> u8 {
    match invocation.action {
        Action::Version => print(version().as_bytes()),
        Action::Start => match shim::start::start(invocation, cores()) {
            Ok(address) => print(&address),
            Err(error) => fail(&error),
        },
        Action::Serve => match container::protect_first(given) {
            Ok(()) => serve(invocation),
            Err(error) => fail(&error),
        },
        Action::Verb => match container::protect_first(given) {
            Ok(()) => verb(operand),
            Err(error) => fail(&error),
        },
        Action::Delete => match container::protect_first(given) {
            Ok(()) => delete(invocation),
            Err(error) => fail(&error),
        },
        Action::Forward => forward(),
        Action::Counters => match Counters::read(&bundle(invocation)) {
            Ok(counters) => print(counters.to_string().as_bytes()),
            Err(error) => fail(&error),
        },
        Action::Info => info(),
    }
}

/// Standard output is the answer, to the byte; what is remarked goes to standard error.
fn info() -> u8 {
    shim::log::to_standard_error();
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(shim::start::LONGEST).read_to_end(&mut input) {
        return fail(&error);
    }
    match shim::info::answer(&input, search().as_deref()) {
        Ok(answer) => print(&answer),
        Err(error) => fail(&error),
    }
}

/// What `ps` and `top` call a process that stays: it was started by a path that says nothing.
fn name_process() {
    let _ = rustix::thread::set_name(c"containerd-shim");
}

/// The process that serves. It was started with the socket as its standard input.
fn serve(invocation: &Invocation) -> u8 {
    let Some(listener) = take_standard_input() else {
        return fail(&std::io::Error::other(
            "started without a socket: containerd starts this program by `start`",
        ));
    };
    name_process();
    let daemon = Daemon {
        namespace: invocation.namespace.clone(),
        bundle: std::env::current_dir().unwrap_or_default(),
        search: search(),
        events: events(),
        listener,
        detail: if invocation.debug { Detail::Debug } else { Detail::Usual },
    };
    match daemon.serve() {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{}", container::chain(&error));
            fail(&error)
        }
    }
}

/// Cleans up after a shim that is gone; what goes wrong is told on standard error, which containerd logs.
fn delete(invocation: &Invocation) -> u8 {
    shim::log::to_standard_error();
    let remains = Remains {
        namespace: invocation.namespace.clone(),
        id: invocation.id.clone(),
        bundle: bundle(invocation),
        events: events(),
    };
    print(&shim::cleanup::clean_up(&remains))
}

/// Goes on telling containerd. Its orders come on standard input.
fn forward() -> u8 {
    name_process();
    match Forward::read(std::io::stdin().lock()).map_err(std::io::Error::from).and_then(|it| it.run()) {
        Ok(()) => 0,
        Err(error) => fail(&error),
    }
}

/// The bundle that is named, else the working directory.
fn bundle(invocation: &Invocation) -> PathBuf {
    let named = Some(invocation.bundle.clone()).filter(|bundle| !bundle.as_os_str().is_empty());
    named.unwrap_or_else(|| std::env::current_dir().unwrap_or_default())
}

/// Compat: any value but an empty one counts.
fn cores() -> Cores {
    let asked = std::env::var_os("SCHED_CORE").is_some_and(|value| !value.is_empty());
    if asked { Cores::Own } else { Cores::Shared }
}

/// Where runtimes are looked for that options name without a path.
fn search() -> Option<String> {
    std::env::var_os("PATH").and_then(|path| path.into_string().ok())
}

/// containerd's socket for events.
fn events() -> String {
    std::env::var_os("TTRPC_ADDRESS").unwrap_or_default().to_string_lossy().into_owned()
}

/// Standard input under another number, with the null device in its place.
fn take_standard_input() -> Option<OwnedFd> {
    let [input, ..] = sys::stdio::streams();
    let socket = rustix::io::fcntl_dupfd_cloexec(input, 3).ok()?;
    rustix::net::sockopt::socket_acceptconn(socket.as_fd()).ok().filter(|listens| *listens)?;
    let null = std::fs::File::open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(socket)
}

/// The process of a verb. Its operand is the number of the socket that it was given.
fn verb(operand: Option<&OsStr>) -> u8 {
    let number = operand.and_then(|text| text.to_str()).and_then(|text| text.parse().ok());
    match number.and_then(sys::stdio::inherited) {
        Some(socket) => shim::verb::perform::perform(socket),
        None => fail(&std::io::Error::other("started without a request: only a shim starts this")),
    }
}

fn version() -> String {
    format!("containerd-shim-sluice-v2:\n  Version:  {}\n", env!("CARGO_PKG_VERSION"))
}

fn print(bytes: &[u8]) -> u8 {
    let mut stdout = std::io::stdout();
    // Without the start of the Rust runtime there is no end either that would flush it.
    u8::from(stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err())
}

fn fail(error: &(dyn std::error::Error + 'static)) -> u8 {
    let _ = writeln!(std::io::stderr(), "{}", container::chain(error));
    1
}
