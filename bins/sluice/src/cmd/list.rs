//! `sluice list`.

use clap::Arg;
use container::list;
use container::state::StateView;

use crate::answer;
use crate::failure::Failure;
use crate::flag::{switch, value};
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `list`.
pub(crate) const VERB: Verb = Verb {
    name: "list",
    group: Group::Questions,
    about: "List the containers below the state root",
    synopsis: "",
    count: Count::Exactly(0),
    order: Order::Mixed,
    reach: Reach::Host,
    example: "list --quiet",
    options,
    run,
};

fn options() -> Vec<Arg> {
    vec![
        value("format", "FORMAT", "table or json [default: table]").short('f'),
        switch("quiet", "Print the ids only").short('q'),
    ]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let (views, unreadable) = list::list(&call.store()?)?;
    for (id, error) in unreadable {
        log::warn!("container {id}: {}", container::chain(&error));
    }
    if call.is("quiet") {
        answer::text(&views.iter().map(|view| format!("{}\n", view.id)).collect::<String>())?;
        return Ok(0);
    }
    match call.text("format")?.as_deref() {
        None | Some("table") => answer::text(&table(&views))?,
        Some("json") => answer::json(&views)?,
        Some(other) => return Err(Failure::Format(other.into())),
    }
    Ok(0)
}

/// Compat: runc, list.go: these columns.
fn table(views: &[StateView]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(views.iter().map(row)).collect();
    answer::table(&rows)
}

fn row(view: &StateView) -> Vec<String> {
    vec![
        view.id.clone(),
        view.pid.to_string(),
        view.status.to_string(),
        view.bundle.display().to_string(),
        view.created.clone(),
        view.owner.clone(),
    ]
}
