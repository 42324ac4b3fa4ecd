//! Mappings of ids that are delegated to a user: `newuidmap` and `newgidmap` write them.
//!
//! Source: newuidmap(1), subuid(5).

use super::Kind;
use crate::Error;
use crate::config::IdMapping;
use launch::process::{timespec, wait_dead};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use std::io::Read;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take. It may ask a directory service who the user is.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest part of the helper's complaint that is kept, in bytes.
const COMPLAINT: usize = 4096;

/// How long the end of a killed helper is waited for.
const AFTER_KILL: Duration = Duration::from_secs(1);

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
    attend(child, LIMIT).map_err(|reason| refused(reason.replace(&own_name, "")))
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

/// Waits for the end of the helper, not of what it leaves running; its complaint otherwise.
fn attend(mut child: Child, limit: Duration) -> Result<(), String> {
    let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    let mut complaint = Vec::new();
    let stderr = child.stderr.take();
    let ended = pidfd.and_then(|pidfd| {
        Ok(listen(&pidfd, stderr, Instant::now() + limit, &mut complaint)? || give_up(&mut child, &pidfd))
    });
    match ended {
        Ok(true) => {}
        Ok(false) => return Err(format!("not done after {} s, and killed", limit.as_secs())),
        Err(errno) => {
            let _ = child.kill();
            let _ = child.try_wait();
            return Err(format!("wait for it: {errno}"));
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = complaint.trim().lines().collect::<Vec<_>>().join("; ");
    Err(if complaint.is_empty() { status.to_string() } else { complaint })
}

/// Kills the helper and reaps it; one that sleeps in the kernel is left to init.
fn give_up(child: &mut Child, pidfd: &OwnedFd) -> bool {
    let _ = child.kill();
    let _ = wait_dead(pidfd.as_fd(), AFTER_KILL);
    let _ = child.try_wait();
    false
}

/// Collects what the helper says until it has ended; whether that came in time.
fn listen(
    pidfd: &OwnedFd,
    mut stderr: Option<ChildStderr>,
    until: Instant,
    complaint: &mut Vec<u8>,
) -> Result<bool, Errno> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut fds = vec![PollFd::new(pidfd, PollFlags::IN)];
        fds.extend(stderr.iter().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        }
        let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        let (has_ended, has_said) = (is_ready(0), is_ready(1));
        // Who still talks after the helper's end is another process.
        if has_said && !(has_ended && complaint.len() >= COMPLAINT) {
            stderr = stderr.and_then(|stderr| read_on(stderr, complaint));
        } else if has_ended {
            return Ok(true);
        }
    }
}

/// What has been said by now; nothing is left to read from at the end.
fn read_on(mut stderr: ChildStderr, complaint: &mut Vec<u8>) -> Option<ChildStderr> {
    let mut chunk = [0; 1024];
    let count = stderr.read(&mut chunk).ok().filter(|count| *count > 0)?;
    let room = COMPLAINT.saturating_sub(complaint.len());
    complaint.extend_from_slice(chunk.get(..count.min(room)).unwrap_or(&[]));
    Some(stderr)
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

    fn helper(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn a_helper_is_waited_for_with_a_limit_whatever_it_closes() {
        for script in ["exec 2>&-; exec sleep 1000", "exec sleep 1000"] {
            let child = helper(script);
            let pid = Pid::from_child(&child);
            let reason = attend(child, Duration::from_secs(1)).unwrap_err();
            assert_eq!(reason, "not done after 1 s, and killed");
            let left = rustix::process::test_kill_process(pid);
            assert_eq!(left, Err(Errno::SRCH), "{script} is left");
        }
    }

    #[test]
    fn what_a_helper_leaves_running_is_not_waited_for() {
        assert_eq!(attend(helper("sleep 5 & exit 0"), Duration::from_secs(4)), Ok(()));
        let reason = attend(helper("sleep 5 & echo no >&2; echo more >&2; exit 1"), Duration::from_secs(4));
        assert_eq!(reason, Err("no; more".to_owned()));
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
