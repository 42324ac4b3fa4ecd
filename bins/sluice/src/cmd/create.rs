//! `sluice create`.

use clap::Arg;
use container::create::{self, CreateRequest, Keyring, Pivot, Terminal};

use crate::failure::Failure;
use crate::flag::{switch, value};
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `create`.
pub(crate) const VERB: Verb = Verb {
    name: "create",
    group: Group::LifeCycle,
    about: "Make a container and stop just before its program",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Container,
    example: "create --bundle /srv/web --pid-file /run/web.pid web",
    options,
    run,
};

/// The options that `create` and `run` share.
pub(crate) fn options() -> Vec<Arg> {
    vec![
        value("bundle", "DIR", "Directory with config.json [default: .]").short('b'),
        value("pid-file", "FILE", "Write the pid of the container's init to FILE"),
        value("console-socket", "PATH", "Send the terminal's master to this AF_UNIX socket"),
        value("pidfd-socket", "PATH", "Send the init's pidfd to this AF_UNIX socket"),
        value(
            "preserve-fds",
            "N",
            "Hand on N descriptors from 3 up, after those of $LISTEN_FDS [default: 0]",
        ),
        switch("no-pivot", "Move the root instead of pivot_root(2), for a root on the initramfs"),
        switch("no-new-keyring", "Keep the caller's session keyring"),
        // Compat: go-runc sends it when its CreateOpts say so; create always detaches.
        switch("detach", "").short('d').hide(true),
    ]
}

/// What the options of `create` and `run` ask for.
///
/// # Errors
/// The id or a number is wrong, or an option is not supported yet.
pub(crate) fn request(call: &Invocation<'_>, terminal: Terminal) -> Result<CreateRequest, Failure> {
    Ok(CreateRequest {
        id: call.id()?,
        bundle: call.path("bundle").unwrap_or_else(|| ".".into()),
        console_socket: call.path("console-socket"),
        pidfd_socket: call.path("pidfd-socket"),
        pid_file: call.path("pid-file"),
        pivot: if call.is("no-pivot") { Pivot::MoveRoot } else { Pivot::PivotRoot },
        keyring: if call.is("no-new-keyring") { Keyring::Inherit } else { Keyring::New },
        preserve_fds: call.number("preserve-fds")?.unwrap_or(0),
        listen_fds: call.environment.listen_fds,
        inherited: call.environment.inherited,
        notify_socket: call.environment.notify_socket.clone(),
        terminal,
        driver: call.globals.driver.clone(),
        rootless: call.globals.rootless,
    })
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    create::create(&call.made_store()?, &request(call, Terminal::Socket)?)?;
    Ok(0)
}
