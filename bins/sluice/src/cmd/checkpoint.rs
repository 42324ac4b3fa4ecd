//! `sluice checkpoint`: every option of runc is understood, CRIU is not called yet.

use clap::Arg;

use crate::failure::Failure;
use crate::flag::{repeated, switch, value};
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `checkpoint`.
pub(crate) const VERB: Verb = Verb {
    name: "checkpoint",
    group: Group::Control,
    about: "Save a running container to disk (not supported yet)",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "checkpoint --image-path /var/lib/web.img web",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        value("image-path", "DIR", "Where CRIU saves the image files"),
        value("work-path", "DIR", "Where CRIU keeps its log and working files"),
        value("parent-path", "DIR", "The former image of a pre-dump"),
        switch("leave-running", "Let the container run on"),
        switch("tcp-established", "Allow open TCP connections"),
        switch("tcp-skip-in-flight", "Skip TCP connections in flight"),
        switch("link-remap", "Allow unlinked files"),
        switch("ext-unix-sk", "Allow external UNIX sockets"),
        switch("shell-job", "Allow shell jobs"),
        switch("lazy-pages", "Serve memory on demand"),
        value("status-fd", "FD", "Write a byte to FD when lazy pages are ready"),
        value("page-server", "HOST:PORT", "Send memory to a page server"),
        switch("file-locks", "Allow file locks"),
        switch("pre-dump", "Save memory only, ahead of the whole"),
        value("manage-cgroups-mode", "MODE", "soft, full, strict or ignore"),
        repeated("empty-ns", "NAMESPACE", "Make a namespace but do not save what it holds"),
        switch("auto-dedup", "Deduplicate images"),
    ]
}

fn run(_call: &Invocation<'_>) -> Result<u8, Failure> {
    Err(Failure::NoCriu("checkpoint"))
}
