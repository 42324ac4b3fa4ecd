//! `lsof`: `COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME`.

use super::{Import, access};
use crate::snapshot::{Fd, FdTarget};

/// Takes the line if it is one of lsof's.
pub(super) fn line(import: &mut Import, line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.starts_with(&["COMMAND", "PID"]) {
        return true;
    }
    row(import, &words).is_some()
}

fn row(import: &mut Import, words: &[&str]) -> Option<()> {
    let [command, pid, _user, fd, kind, _device, ..] = words else { return None };
    let pid: i32 = pid.parse().ok()?;
    let name = words.get(8..).unwrap_or_default().join(" ");
    match (*fd, *kind) {
        ("cwd" | "rtd" | "mem" | "DEL", "DIR" | "REG" | "CHR") => {}
        ("txt", "REG") => import.process(pid).exe = Some(name.clone()),
        _ => {
            let fd = descriptor(fd, kind, (words.get(7)?, name))?;
            let fds = &mut import.process(pid).fds;
            fds.retain(|other| other.number != fd.number);
            fds.push(fd);
        }
    }
    let process = import.process(pid);
    if process.comm.is_empty() {
        (*command).clone_into(&mut process.comm);
    }
    Some(())
}

fn descriptor(fd: &str, kind: &str, (node, name): (&str, String)) -> Option<Fd> {
    let digits = fd.len() - fd.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = fd.get(..digits)?.parse().ok()?;
    let flags = fd[digits..].chars().next().and_then(access);
    let inode = node.parse();
    let target = match kind {
        "FIFO" if name == "pipe" => FdTarget::Pipe { inode: inode.ok()? },
        "FIFO" => FdTarget::Fifo { inode: inode.ok()?, path: name },
        "unix" | "sock" | "IPv4" | "IPv6" => FdTarget::Socket { inode: inode.ok()? },
        "a_inode" => FdTarget::Anonymous { name },
        "CHR" | "REG" | "DIR" | "BLK" => FdTarget::Path { path: name },
        _ => return None,
    };
    Some(Fd { number, target, flags, offset: None })
}
