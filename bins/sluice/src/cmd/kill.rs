//! `sluice kill`.

use clap::Arg;
use container::kill::{self, Scope};

use crate::failure::Failure;
use crate::flag::switch;
use crate::invocation::Invocation;
use crate::signal;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `kill`.
pub(crate) const VERB: Verb = Verb {
    name: "kill",
    group: Group::LifeCycle,
    about: "Send a signal to the container's init [default: TERM]",
    synopsis: "ID [SIGNAL]",
    count: Count::Between(1, 2),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "kill web KILL",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![switch("all", "Send it to every process of the container").short('a')]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let text = call.argument(1)?.unwrap_or_else(|| String::from("TERM"));
    let Some(signal) = signal::parse(&text) else {
        let wanted = "must be a number from 0 to 64 or a name such as KILL, SIGTERM or RTMIN+1".into();
        return Err(Failure::Value { option: "signal".into(), value: text, wanted });
    };
    let scope = if call.is("all") { Scope::All } else { Scope::Init };
    kill::kill(&call.store()?, &call.id()?, signal, scope)?;
    Ok(0)
}
