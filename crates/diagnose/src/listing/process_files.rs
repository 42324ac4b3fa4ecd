//! Files below `/proc/PID`, each process under a header `== PID`: `ls -l fd`, `status`, `syscall`, `stack`; and limits
//! that were printed with `cat`.

use super::{Import, access};
use crate::collect::process::target;
use crate::collect::syscall::{self, Machine};
use crate::snapshot::cgroup::Pids;
use crate::snapshot::{Cgroup, Fd};

/// Takes the line if it is one of them.
pub(super) fn line(import: &mut Import, line: &str) -> bool {
    printed(import, line)
        || header(import, line).is_some()
        || link(import, line).is_some()
        || status(import, line).is_some()
        || call(import, line).is_some()
        || stack(import, line).is_some()
}

/// `== 123 runc init`, `-- /proc/123/task/124 anon_pipe_read`
fn header(import: &mut Import, line: &str) -> Option<()> {
    if let Some(rest) = line.strip_prefix("== ") {
        let mut words = rest.split_whitespace();
        let pid: i32 = words.next()?.parse().ok()?;
        let args: Vec<String> = words.map(str::to_owned).collect();
        if !args.is_empty() {
            import.process(pid).args = Some(args);
        }
        (import.context.pid, import.context.tid) = (Some(pid), None);
        return Some(());
    }
    let (path, wchan) = line.strip_prefix("-- /proc/")?.split_once(' ')?;
    let (pid, tid) = path.split_once("/task/")?;
    let (pid, tid) = (pid.parse().ok()?, tid.parse().ok()?);
    (import.context.pid, import.context.tid) = (Some(pid), Some(tid));
    let wchan = wchan.trim().to_owned();
    let state = import.process(pid).state;
    let thread = import.thread(pid, tid);
    thread.wchan = Some(wchan);
    thread.state = if tid == pid { state } else { 'S' };
    Some(())
}

/// `l-wx------ 1 root root 64 Nov 21 00:17 2 -> pipe:[753309]`
fn link(import: &mut Import, line: &str) -> Option<()> {
    let mode = match line.get(..4)? {
        "lr-x" => 'r',
        "l-wx" => 'w',
        "lrwx" => 'u',
        "l---" => '-',
        _ => return None,
    };
    let (left, right) = line.split_once(" -> ")?;
    let number = left.rsplit(' ').next()?.parse().ok()?;
    let pid = import.context.pid?;
    let fd = Fd { number, target: target(right), flags: access(mode), offset: None };
    let fds = &mut import.process(pid).fds;
    fds.retain(|other| other.number != number);
    fds.push(fd);
    Some(())
}

/// `Name:\tawk`, `State:\tS (sleeping)`, `Threads:\t9`, `total 0`
fn status(import: &mut Import, line: &str) -> Option<()> {
    let pid = import.context.pid?;
    if line.starts_with("Threads:\t") || line == "total 0" {
        return Some(());
    }
    if let Some(name) = line.strip_prefix("Name:\t") {
        name.clone_into(&mut import.process(pid).comm);
        return Some(());
    }
    let state = line.strip_prefix("State:\t")?.chars().next()?;
    import.process(pid).state = state;
    Some(())
}

/// `1 0x1 0x1e5a3900 0x26e ...` as in `/proc/PID/syscall`; without a header each is another thread.
fn call(import: &mut Import, line: &str) -> Option<()> {
    let pid = import.context.pid?;
    line.split(' ').nth(1).filter(|word| word.starts_with("0x"))?;
    let call = syscall::parse(line, Machine::of("x86_64"))?;
    let tid = import.context.tid.map_or(pid, |tid| tid + 1);
    import.context.tid = Some(tid);
    let state = import.process(pid).state;
    let thread = import.thread(pid, tid);
    (thread.call, thread.state) = (Some(call), state);
    Some(())
}

/// `[<0>] anon_pipe_write+0x332/0x6c0`
fn stack(import: &mut Import, line: &str) -> Option<()> {
    let (_, function) = line.strip_prefix("[<")?.split_once(">] ")?;
    let name = function.split('+').next()?.to_owned();
    let (pid, tid) = (import.context.pid?, import.context.tid.or(import.context.pid)?);
    let thread = import.thread(pid, tid);
    if thread.wchan.is_none() && thread.stack.is_empty() {
        thread.wchan = Some(name.clone());
    }
    thread.stack.push(name);
    Some(())
}

/// `# cat /sys/fs/cgroup/pids/.../pids.max` or `$ cat /proc/sys/crypto/fips_enabled`, and the number on the next line.
fn printed(import: &mut Import, line: &str) -> bool {
    if let Some(path) = import.context.printed.take()
        && let Ok(number) = line.trim().parse()
    {
        keep(import, &path, number);
        return true;
    }
    let path = line.trim_start_matches(['#', '$', ' ']).strip_prefix("cat ").map(str::trim);
    let is_known = |path: &&str| path.ends_with("/pids.max") || *path == FIPS;
    import.context.printed = path.filter(is_known).map(str::to_owned);
    import.context.printed.is_some()
}

/// Whether the kernel is in FIPS mode.
const FIPS: &str = "/proc/sys/crypto/fips_enabled";

fn keep(import: &mut Import, path: &str, number: u64) {
    let Some(directory) = path.strip_suffix("/pids.max") else {
        import.fips = Some(number == 1);
        return;
    };
    import.cgroups.push(Cgroup {
        hierarchy: String::from("pids"),
        path: directory.trim_start_matches("/sys/fs/cgroup/pids").to_owned(),
        directory: directory.to_owned(),
        pids: Some(Pids { current: None, max: Some(number), refused: None }),
        ..Cgroup::default()
    });
}
