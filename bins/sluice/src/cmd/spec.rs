//! `sluice spec`.

use std::path::PathBuf;

use clap::Arg;
use container::spec::{self, Identity};

use crate::failure::Failure;
use crate::flag::{switch, value};
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `spec`.
pub(crate) const VERB: Verb = Verb {
    name: "spec",
    group: Group::Runtime,
    about: "Write a config.json to start from",
    synopsis: "",
    count: Count::Exactly(0),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "spec --bundle /srv/web",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        value("bundle", "DIR", "Write it to this directory [default: .]").short('b'),
        switch("rootless", "For a caller without privileges: a user namespace that maps the caller to root"),
    ]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let identity = if call.is("rootless") { Identity::of_caller() } else { Identity::Root };
    let bundle = call.path("bundle").unwrap_or_else(|| PathBuf::from("."));
    spec::write(&bundle, identity).map_err(container::Error::from)?;
    Ok(0)
}
