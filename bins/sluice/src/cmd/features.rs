//! `sluice features`.

use container::features;

use crate::answer;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `features`.
pub(crate) const VERB: Verb = Verb {
    name: "features",
    group: Group::Runtime,
    about: "Print what this runtime can do, as JSON",
    synopsis: "",
    count: Count::Exactly(0),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "features",
    options: Vec::new,
    run,
};

fn run(_call: &Invocation<'_>) -> Result<u8, Failure> {
    answer::pretty_json(&features::features(env!("CARGO_PKG_VERSION"), super::version::COMMIT))?;
    Ok(0)
}
