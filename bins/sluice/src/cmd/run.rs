//! `sluice run`.

use clap::Arg;
use container::create::Terminal;
use container::foreground::Subreaper;
use container::run::{self, Keep};

use crate::failure::Failure;
use crate::flag::switch;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `run`.
pub(crate) const VERB: Verb = Verb {
    name: "run",
    group: Group::LifeCycle,
    about: "Make a container, start it, and wait for its end",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Container,
    example: "run --bundle /srv/web web",
    options,
    run: execute,
};

fn options() -> Vec<Arg> {
    let mut options: Vec<Arg> = super::create::options();
    options.retain(|option| option.get_id() != "detach");
    options.extend([
        switch("detach", "Do not wait for the container's end").short('d'),
        switch("keep", "Keep the container's state when it has ended"),
        switch("no-subreaper", "Leave orphans of the container to the next subreaper above"),
    ]);
    options
}

fn execute(call: &Invocation<'_>) -> Result<u8, Failure> {
    let store = call.made_store()?;
    if call.is("detach") {
        run::detached(&store, &super::create::request(call, Terminal::Socket)?)?;
        return Ok(0);
    }
    let keep = if call.is("keep") { Keep::Yes } else { Keep::No };
    let request = super::create::request(call, Terminal::Relay)?;
    let ended = run::foreground(&store, &request, keep, subreaper(call))?;
    Ok(ended.shell_status())
}

/// Whether this process adopts the orphans of what it supervises.
fn subreaper(call: &Invocation<'_>) -> Subreaper {
    if call.is("no-subreaper") { Subreaper::No } else { Subreaper::Yes }
}
