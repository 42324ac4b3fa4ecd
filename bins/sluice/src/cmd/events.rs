//! `sluice events`.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::Arg;
use container::events;

use crate::answer;
use crate::failure::Failure;
use crate::flag::{switch, value};
use crate::invocation::{Invocation, invalid};
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `events`.
pub(crate) const VERB: Verb = Verb {
    name: "events",
    group: Group::Questions,
    about: "Print usage and out-of-memory events, as JSON lines",
    synopsis: "ID",
    count: Count::Exactly(1),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "events --stats web",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        value("interval", "DURATION", "Time between two reports, such as 500ms or 1m [default: 5s]"),
        switch("stats", "Print one report and end"),
    ]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let text = call.text("interval")?.unwrap_or_else(|| String::from("5s"));
    let interval = interval(&text)?;
    let (store, id) = (call.store()?, call.id()?);
    if call.is("stats") {
        answer::json(&events::stats(&store, &id)?)?;
        return Ok(0);
    }
    let mut told = Ok(());
    events::watch(&store, &id, interval, &mut |event| {
        told = answer::json(event);
        if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    told.map(|()| 0)
}

/// Compat: runc takes Go durations and refuses an interval of 0.
fn interval(text: &str) -> Result<Duration, Failure> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| invalid("interval", text, "must be a duration above 0 such as 500ms, 5s or 1m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_durations_above_zero() {
        for (text, millis) in [("5s", 5000), ("500ms", 500), ("1m30s", 90_000)] {
            assert_eq!(interval(text).expect("valid"), Duration::from_millis(millis));
        }
        for wrong in ["0s", "0", "5", "-1s", "x", ""] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
