//! `strace -f -p PID`: the call each thread is in.

use super::Import;
use crate::snapshot::Call;

/// Takes the line if strace wrote it.
pub(super) fn line(import: &mut Import, line: &str) -> bool {
    let line = line.trim();
    if let Some(pid) = attached(line) {
        import.context.pid = Some(pid);
        return true;
    }
    let Some((tid, text)) = thread(line) else { return false };
    let owner = import.context.pid.filter(|_| line.starts_with("[pid"));
    let pid = owner.unwrap_or(tid);
    let Some(call) = call(text) else { return text.starts_with("<...") && resumed(import, pid, tid) };
    import.thread(pid, tid).call = (!text.contains(") = ") && !text.contains(")  = ")).then_some(call);
    true
}

/// `Process 123 attached with 10 threads`
fn attached(line: &str) -> Option<i32> {
    line.strip_prefix("strace: ")
        .unwrap_or(line)
        .strip_prefix("Process ")?
        .split_once(" attached")?
        .0
        .parse()
        .ok()
}

/// `[pid 123] TEXT` or `123  TEXT`
fn thread(line: &str) -> Option<(i32, &str)> {
    let (number, text) = match line.strip_prefix("[pid") {
        Some(rest) => rest.split_once(']')?,
        None => line.split_once(' ')?,
    };
    Some((number.trim().parse().ok()?, text.trim()))
}

/// `write(2, "..."`
fn call(text: &str) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_name.then_some(())?;
    let takes_fd = ["read", "write", "readv", "writev", "recvmsg", "sendmsg", "recvfrom", "sendto", "splice"];
    let first = arguments.split([',', ')']).next().and_then(|word| word.trim().parse().ok());
    let fd = first.filter(|_| takes_fd.contains(&name) || name.starts_with("epoll_"));
    Some(Call { number: -1, name: Some(name.to_owned()), fd, args: [0; 6] })
}

/// `<... futex resumed>) = 0`: the call has ended.
fn resumed(import: &mut Import, pid: i32, tid: i32) -> bool {
    import.thread(pid, tid).call = None;
    true
}
