//! `sluice state`.

use container::state;

use crate::answer;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `state`.
pub(crate) const VERB: Verb = Verb {
    name: "state",
    group: Group::Questions,
    about: "Print what a container is doing, as JSON",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "state web",
    options: Vec::new,
    run,
};

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    answer::pretty_json(&state::state(&call.store()?, &call.id()?)?)?;
    Ok(0)
}
