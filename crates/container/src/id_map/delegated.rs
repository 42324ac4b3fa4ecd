//! Mappings of ids that are delegated to a user: `newuidmap` and `newgidmap` write them.
//!
//! Source: newuidmap(1), subuid(5).

use super::Kind;
use crate::Error;
use crate::config::IdMapping;
use launch::process::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take. It may ask a directory service who the user is.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest part of the helper's complaint that is kept, in bytes.
const COMPLAINT: u64 = 4096;

/// Lets the helper write the mappings of a process.
///
/// # Errors
/// [`Error::IdMapHelperMissing`], [`Error::IdMapHelper`] with what the helper said and the line that would be right.
pub(super) fn write(kind: Kind, pid: i32, mappings: &[IdMapping]) -> Result<(), Error> {
    let mut arguments = vec![pid.to_string()];
    for one in mappings {
        arguments.extend([one.container_id, one.host_id, one.size].map(|number| number.to_string()));
    }
    let refused = |reason: String| Error::IdMapHelper {
        field: kind.field(),
        helper: kind.helper(),
        reason,
        advice: advice(kind, mappings),
    };
    let child = start(kind.helper(), &arguments).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::IdMapHelperMissing { field: kind.field(), helper: kind.helper() }
        }
        _ => refused(error.to_string()),
    })?;
    let own_name = format!("{}: ", kind.helper());
    attend(child).map_err(|reason| refused(reason.replace(&own_name, "")))
}

/// From `PATH`, else from where distributions put it.
fn start(helper: &str, arguments: &[String]) -> std::io::Result<Child> {
    let spawn = |program: &str| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn()
    };
    match spawn(helper) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => spawn(&format!("/usr/bin/{helper}")),
        other => other,
    }
}

/// Waits for the end of the helper; its complaint otherwise.
fn attend(mut child: Child) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    let mut complaint = Vec::new();
    let drained = child.stderr.take().is_none_or(|stderr| drain(stderr, until, &mut complaint));
    if !drained {
        // A helper that sleeps in the kernel is left to init: waiting for it is what must not happen.
        let _ = child.kill();
        return Err(format!("not done after {} s, and killed", LIMIT.as_secs()));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = complaint.trim().lines().collect::<Vec<_>>().join("; ");
    Err(if complaint.is_empty() { status.to_string() } else { complaint })
}

/// Reads to the end, which comes with the end of the helper; whether it came in time.
fn drain(mut stderr: std::process::ChildStderr, until: Instant, complaint: &mut Vec<u8>) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&stderr, PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return true,
        }
        let mut chunk = [0; 1024];
        match stderr.read(&mut chunk) {
            Ok(0) | Err(_) => return true,
            Ok(count) => {
                let room = COMPLAINT.saturating_sub(complaint.len() as u64);
                let kept = chunk.get(..count).unwrap_or(&[]);
                let kept = kept.get(..usize::try_from(room).unwrap_or(0)).unwrap_or(kept);
                complaint.extend_from_slice(kept);
            }
        }
    }
}

/// The line of `/etc/subuid` or `/etc/subgid` that would allow the mappings; nothing when the file has it already.
fn advice(kind: Kind, mappings: &[IdMapping]) -> String {
    let own = kind.own_id();
    let database = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = rustix::process::getuid().as_raw();
    let name = proc::passwd::by_uid(&database, uid).map_or_else(|| uid.to_string(), |user| user.name);
    let file = kind.delegations();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let delegated = delegations(&text, &name, uid);
    missing(mappings, &delegated, own).map_or_else(String::new, |(first, count)| {
        let present: Vec<String> =
            delegated.iter().map(|(first, count)| format!("{name}:{first}:{count}")).collect();
        let present = if present.is_empty() {
            format!("no line for {name}")
        } else {
            format!("only {}", present.join(" "))
        };
        format!(" ({file} has {present}; these ids need a line such as {name}:{first}:{count})")
    })
}

/// First id and count of every line of this user.
fn delegations(text: &str, name: &str, uid: u32) -> Vec<(u32, u32)> {
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (owner == name || owner.parse() == Ok(uid)).then_some(range)
    };
    text.lines().filter_map(line).collect()
}

/// The first range of host ids that is neither delegated nor the user's own id.
fn missing(mappings: &[IdMapping], delegated: &[(u32, u32)], own: u32) -> Option<(u32, u32)> {
    let is_delegated = |one: &IdMapping| {
        let inside = |(first, count): &(u32, u32)| {
            one.host_id >= *first
                && u64::from(one.host_id) + u64::from(one.size) <= u64::from(*first) + u64::from(*count)
        };
        delegated.iter().any(inside) || (one.host_id == own && one.size == 1)
    };
    mappings.iter().find(|one| !is_delegated(one)).map(|one| (one.host_id, one.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }

    #[test]
    fn the_first_range_that_is_not_delegated_is_found() {
        let text = "# comment\nbob:1:2\nalice:100000:65536\n1000:300000:10\nalice:x:1\n";
        let delegated = delegations(text, "alice", 1000);
        assert_eq!(delegated, [(100_000, 65536), (300_000, 10)]);
        let own = mapping(0, 1000, 1);
        let rest = |host, size| missing(&[own, mapping(1, host, size)], &delegated, 1000);
        assert_eq!(rest(100_000, 65536), None);
        assert_eq!(rest(300_005, 5), None);
        assert_eq!(rest(100_000, 65537), Some((100_000, 65537)));
        assert_eq!(rest(99_999, 2), Some((99_999, 2)));
        assert_eq!(missing(&[mapping(0, 1000, 2)], &delegated, 1000), Some((1000, 2)));
        assert_eq!(missing(&[mapping(0, u32::MAX - 1, 1)], &[(u32::MAX - 1, 1)], 0), None);
    }
}
