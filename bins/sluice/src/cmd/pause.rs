//! `sluice pause`.

use container::pause;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `pause`.
pub(crate) const VERB: Verb = Verb {
    name: "pause",
    group: Group::Control,
    about: "Freeze every process of a container",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "pause web",
    options: Vec::new,
    run,
};

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    pause::pause(&call.store()?, &call.id()?)?;
    Ok(0)
}
