//! `sluice ps`.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Arg;
use container::ps;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::answer;
use crate::failure::Failure;
use crate::flag::value;
use crate::invocation::Invocation;
use crate::verb::{Count, Group, Order, Reach, Verb};

/// `ps`.
pub(crate) const VERB: Verb = Verb {
    name: "ps",
    group: Group::Questions,
    about: "List the processes of a container",
    synopsis: "ID [PS OPTIONS...]",
    count: Count::AtLeast(1),
    order: Order::OptionsFirst,
    reach: Reach::Host,
    example: "ps web -o pid,stat,args",
    options,
    run,
};

/// How long the host's `ps` may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn options() -> Vec<Arg> {
    vec![
        value("format", "FORMAT", "table (the host's ps) or json (an array of pids) [default: table]")
            .short('f'),
    ]
}

fn run(call: &Invocation<'_>) -> Result<u8, Failure> {
    let format = call.text("format")?;
    let pids = ps::pids(&call.store()?, &call.id()?)?;
    match format.as_deref() {
        Some("json") => answer::json(&pids)?,
        None | Some("table") => answer::text(&table(call, &pids)?)?,
        Some(other) => return Err(Failure::Format(other.into())),
    }
    Ok(0)
}

/// Compat: runc, ps.go: the host's `ps -ef`, or with the options given, reduced to the container's lines.
fn table(call: &Invocation<'_>, pids: &[i32]) -> Result<String, Failure> {
    let given = (1..call.arguments.len()).filter_map(|index| call.argument(index).transpose());
    let mut arguments: Vec<String> = given.collect::<Result<_, _>>()?;
    if arguments.is_empty() {
        arguments.push(String::from("-ef"));
    }
    let listing = listing(&arguments)?;
    filter(&listing, pids).ok_or(Failure::NoPidColumn(arguments))
}

/// Bounded, because `ps` itself sleeps when a process holds its memory map (`/proc/PID/cmdline`).
fn listing(arguments: &[String]) -> Result<String, Failure> {
    let failed = |error| Failure::RunPs(arguments.to_vec(), error);
    let mut command = Command::new("ps");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let Some(text) = read_until(&mut child, Instant::now() + PATIENCE).map_err(failed)? else {
        // A killed ps that sleeps in the kernel is left to init: waiting for it is what must not happen.
        let _ = child.kill();
        return Err(Failure::PsStuck(arguments.to_vec(), PATIENCE.as_secs()));
    };
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(Failure::PsFailed(arguments.to_vec(), status));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// All that the child writes, or none if it has not closed its output by the deadline.
fn read_until(child: &mut Child, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let Some(mut output) = child.stdout.take() else { return Ok(Some(Vec::new())) };
    let mut text = Vec::new();
    let mut piece = [0_u8; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        match output.read(&mut piece)? {
            0 => return Ok(Some(text)),
            length => text.extend_from_slice(&piece[..length]),
        }
    }
}

/// The head line and the lines of `pids`; none if no column is headed `PID`.
fn filter(listing: &str, pids: &[i32]) -> Option<String> {
    let mut lines = listing.lines();
    let head = lines.next()?;
    let column = head.split_whitespace().position(|title| title == "PID")?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|text| text.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    Some(std::iter::once(head).chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_column_is_found_by_its_head() {
        let listing = "UID   PID PPID CMD\nroot    1    0 init\nroot   12    1 sh 1\nroot  112   12 ps\n";
        let want = "UID   PID PPID CMD\nroot   12    1 sh 1\n";
        assert_eq!(filter(listing, &[12]).expect("a PID column"), want);
        assert_eq!(filter("USER CMD\nroot sh\n", &[12]), None);
        assert_eq!(filter("", &[12]), None);
    }
}
