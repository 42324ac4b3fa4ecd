//! `sluice delete`.

use clap::Arg;
use container::delete::{self, Force};

use crate::failure::Failure;
use crate::flag::switch;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `delete`.
pub(crate) const VERB: Verb = Verb {
    name: "delete",
    group: Group::LifeCycle,
    about: "Remove all that a stopped container holds",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "delete --force web",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![switch("force", "Kill it first if it lives (SIGKILL); a missing container is no error").short('f')]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let force = if call.is("force") { Force::Yes } else { Force::No };
    delete::delete(&call.store()?, &call.id()?, force)?;
    Ok(0)
}
