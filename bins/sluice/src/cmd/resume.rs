//! `sluice resume`.

use container::resume;

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `resume`.
pub(crate) const VERB: Verb = Verb {
    name: "resume",
    group: Group::Control,
    about: "Thaw a paused container",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "resume web",
    options: Vec::new,
    run,
};

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    resume::resume(&call.store()?, &call.id()?)?;
    Ok(0)
}
