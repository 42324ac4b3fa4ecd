//! `sluice start`.

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `start`.
pub(crate) const VERB: Verb = Verb {
    name: "start",
    group: Group::LifeCycle,
    about: "Let the program of a created container run",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "start web",
    options: Vec::new,
    run,
};

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    container::run::start_and_notify(&call.store()?, &call.id()?, call.environment.notify_socket.as_deref())?;
    Ok(0)
}
