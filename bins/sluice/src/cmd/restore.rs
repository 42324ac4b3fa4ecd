//! `sluice restore`: every option of runc is understood, CRIU is not called yet.

use clap::Arg;

use crate::failure::Failure;
use crate::flag::{repeated, switch, value};
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `restore`.
pub(crate) const VERB: Verb = Verb {
    name: "restore",
    group: Group::Control,
    about: "Bring a saved container back (not supported yet)",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "restore --image-path /var/lib/web.img --bundle /srv/web web",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        value("console-socket", "PATH", "Send the terminal's master to this AF_UNIX socket"),
        value("image-path", "DIR", "Where the image files are"),
        value("work-path", "DIR", "Where CRIU keeps its log and working files"),
        switch("tcp-established", "Allow open TCP connections"),
        switch("ext-unix-sk", "Allow external UNIX sockets"),
        switch("shell-job", "Allow shell jobs"),
        switch("file-locks", "Allow file locks"),
        value("manage-cgroups-mode", "MODE", "soft, full, strict or ignore"),
        value("bundle", "DIR", "Directory with config.json [default: .]").short('b'),
        switch("detach", "Do not wait for the container's end").short('d'),
        value("pid-file", "FILE", "Write the pid of the container's init to FILE"),
        switch("no-subreaper", "Leave orphans of the container to the next subreaper above"),
        switch("no-pivot", "Move the root instead of pivot_root(2)"),
        repeated("empty-ns", "NAMESPACE", "Make a namespace but do not restore what it held"),
        switch("auto-dedup", "Deduplicate images"),
        switch("lazy-pages", "Fetch memory on demand"),
        value("lsm-profile", "TYPE:NAME", "Security label of the restored processes"),
        value("lsm-mount-context", "CONTEXT", "Security label of the restored mounts"),
    ]
}

fn run(_call: &Invocation<'_>) -> Result<u8, Failure> {
    Err(Failure::NoCriu("restore"))
}
