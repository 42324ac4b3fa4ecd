//! `sluice-doctor goroutines`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diagnose::goroutines::{Dump, Group, Link, Queue, Wait, chain, operation, queues, read};
use serde_json::{Value, json};

use crate::answer;
use crate::failure::Failure;

/// Groups of each dump that people are shown.
const GROUPS: usize = 12;
/// Calls of a stack that people are shown.
const CALLS: usize = 5;

/// Groups goroutine dumps by what is waited for, finds who holds the lock, and follows the wait into the next process.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Dumps of dockerd, containerd and shims, or logs with such dumps; `-` or none is standard input.
    files: Vec<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// A dump and where it was read.
struct Source {
    name: String,
    dump: Dump,
}

/// Carries it out.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let mut sources = Vec::new();
    if options.files.is_empty() {
        answer::await_input();
        add(&mut sources, "-", &mut std::io::stdin().lock())?;
    }
    for path in &options.files {
        if path.as_os_str() == "-" {
            add(&mut sources, "-", &mut std::io::stdin().lock())?;
            continue;
        }
        let failed = |source| Failure::Open { path: path.clone(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        add(&mut sources, &path.to_string_lossy(), &mut file)?;
    }
    let dumps: Vec<Dump> = sources.iter().map(|source| source.dump.clone()).collect();
    let links = chain(&dumps);
    if options.json {
        answer::print_json(&programs(&sources, &links))?;
    } else {
        answer::print(&people(&sources, &links))?;
    }
    if sources.is_empty() {
        let inputs: Vec<String> = options.files.iter().map(|path| path.display().to_string()).collect();
        let inputs = if inputs.is_empty() { String::from("the input") } else { inputs.join(", ") };
        return Err(Failure::NoDump { inputs });
    }
    Ok(ExitCode::SUCCESS)
}

fn add(sources: &mut Vec<Source>, name: &str, input: &mut dyn Read) -> Result<(), Failure> {
    let dumps = read(input)?;
    sources.extend(dumps.into_iter().map(|dump| Source { name: name.to_owned(), dump }));
    Ok(())
}

fn people(sources: &[Source], links: &[Link]) -> String {
    let mut text = String::new();
    for source in sources {
        dump(&mut text, source);
    }
    if !links.is_empty() {
        text.push_str("who waits for whom\n");
    }
    for (depth, link) in links.iter().enumerate() {
        let id = link.goroutine.map_or(String::new(), |id| format!(" (goroutine {id})"));
        let (program, what, wait) = (link.program.name(), &link.operation, link.wait.text());
        let _ = writeln!(text, "  {:depth$}{program}: {what}{id} waits for {wait}", "");
    }
    if let Some(end) = conclusion(links) {
        let _ = writeln!(text, "\n{end}");
    }
    text
}

fn dump(text: &mut String, source: &Source) {
    let dump = &source.dump;
    let declared = match dump.declared {
        Some(declared) if declared != dump.goroutines => format!(" of {declared}"),
        _ => String::new(),
    };
    let (name, program) = (&source.name, dump.program.name());
    let _ = writeln!(
        text,
        "{name}: {program}, {}{declared} goroutines, {} stacks",
        dump.goroutines,
        dump.groups.len()
    );
    for queue in queues(dump) {
        behind(text, &queue);
    }
    for group in dump.groups.iter().take(GROUPS) {
        let calls: Vec<&str> = group
            .frames
            .iter()
            .map(diagnose::goroutines::Frame::short)
            .filter(|name| is_telling(name))
            .take(CALLS)
            .collect();
        let _ = writeln!(
            text,
            "  {:>8}  {}, for {}: {}",
            group.count,
            operation(group),
            Wait::of(group).text(),
            calls.join(" < ")
        );
    }
    if dump.groups.len() > GROUPS {
        let rest: u64 = dump.groups.iter().skip(GROUPS).map(|group| group.count).sum();
        let _ = writeln!(text, "  {rest:>8}  in {} other stacks", dump.groups.len() - GROUPS);
    }
    if dump.uncounted > 0 {
        let _ = writeln!(text, "  {:>8}  in too many different stacks to keep", dump.uncounted);
    }
    text.push('\n');
}

fn is_telling(name: &str) -> bool {
    !name.starts_with("sync.") && !name.starts_with("runtime.") && !name.starts_with("poll.")
}

fn behind(text: &mut String, queue: &Queue) {
    let operations: Vec<String> = queue.operations.iter().map(|row| format!("{} {}", row.1, row.0)).collect();
    let since = if queue.longest_minutes > 0 {
        format!(" for up to {} minutes", queue.longest_minutes)
    } else {
        String::new()
    };
    let _ = writeln!(text, "  {} wait{since} for {} ({})", queue.waiting, queue.lock, operations.join(", "));
    match &queue.holder {
        Some(holder) => {
            let id = holder.goroutine.map_or(String::new(), |id| format!("goroutine {id}, "));
            let _ = writeln!(
                text,
                "      held by {id}{}, which waits for {}",
                holder.operation,
                holder.wait.text()
            );
        }
        None => text.push_str("      held by a goroutine that this dump does not show\n"),
    }
}

/// Name and version of what `--json` prints; the number rises when a field changes its meaning or goes away.
const SCHEMA: &str = "sluice-doctor.goroutines/1";

/// What the end of the chain means, and the failure class.
fn conclusion(links: &[Link]) -> Option<String> {
    let last = links.last()?;
    let class = class(links)?;
    Some(match &last.wait {
        Wait::Child { of } => format!(
            "{class}: everything waits for `{of}` of a {}. Look at that process: a full stderr pipe (pipe_write), a frozen \
             or full container, or a process in D state holds it.",
            last.program.name()
        ),
        Wait::Answer { of, call } => format!(
            "{class}: everything waits for the {of}'s {call}. Give also that process's dump, or look at what it started."
        ),
        wait => format!("{class}: everything waits for {}.", wait.text()),
    })
}

/// A runtime helper that does not end is EX-03; a lock in a daemon IN-03.
fn class(links: &[Link]) -> Option<&'static str> {
    match &links.last()?.wait {
        Wait::Child { .. } => Some("EX-03"),
        Wait::Answer { call, .. } if call.ends_with("Start") || call.ends_with("Exec") => Some("EX-03"),
        Wait::Answer { .. } | Wait::Lock { .. } => Some("IN-03"),
        _ => None,
    }
}

fn programs(sources: &[Source], links: &[Link]) -> Value {
    let dumps: Vec<Value> = sources.iter().map(object).collect();
    let chain: Vec<Value> = links
        .iter()
        .map(|link| {
            json!({
                "file": sources.get(link.dump).map(|source| &source.name),
                "program": link.program.name(),
                "goroutine": link.goroutine,
                "operation": link.operation,
                "waits_for": link.wait.text(),
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "dumps": dumps, "chain": chain, "class": class(links), "conclusion": conclusion(links) })
}

fn object(source: &Source) -> Value {
    let dump = &source.dump;
    json!({
        "file": source.name,
        "program": dump.program.name(),
        "goroutines": dump.goroutines,
        "declared": dump.declared,
        "uncounted": dump.uncounted,
        "queues": queues(dump).iter().map(queue).collect::<Vec<Value>>(),
        "groups": dump.groups.iter().map(group).collect::<Vec<Value>>(),
    })
}

fn queue(queue: &Queue) -> Value {
    let operations: Vec<Value> =
        queue.operations.iter().map(|row| json!({ "operation": row.0, "count": row.1 })).collect();
    let holder = queue.holder.as_ref().map(|holder| {
        json!({ "goroutine": holder.goroutine, "operation": holder.operation, "waits_for": holder.wait.text() })
    });
    json!({
        "lock": queue.lock,
        "mutex": queue.mutex,
        "waiting": queue.waiting,
        "longest_minutes": queue.longest_minutes,
        "operations": operations,
        "holder": holder,
    })
}

fn group(group: &Group) -> Value {
    json!({
        "count": group.count,
        "goroutine": group.first,
        "state": group.state,
        "longest_minutes": group.longest_minutes,
        "operation": operation(group),
        "waits_for": Wait::of(group).text(),
        "stack": group.frames.iter().map(|frame| json!({ "function": frame.function, "place": frame.place })).collect::<Vec<Value>>(),
    })
}
