//! `/proc/PID/syscall`: the call a thread is in, by name, with the descriptor it is made on.
//!
//! Source: proc_pid_syscall(5); the numbers are those of asm/unistd_64.h and asm-generic/unistd.h.

use crate::snapshot::Call;

/// Architectures whose numbers are known, as `uname -m` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// `x86_64`.
    X86,
    /// `aarch64`.
    Arm,
    /// Any other: calls have numbers and no names.
    Other,
}

impl Machine {
    /// From `uname -m`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "x86_64" => Self::X86,
            "aarch64" => Self::Arm,
            _ => Self::Other,
        }
    }
}

/// What the first argument of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Descriptor,
    Otherwise,
}

use First::{Descriptor, Otherwise};

/// Name, number on x86-64, number on arm64 (-1: not there), first argument: the calls that processes wait in.
const CALLS: &[(&str, i64, i64, First)] = &[
    ("read", 0, 63, Descriptor),
    ("write", 1, 64, Descriptor),
    ("open", 2, -1, Otherwise),
    ("close", 3, 57, Descriptor),
    ("stat", 4, -1, Otherwise),
    ("fstat", 5, 80, Descriptor),
    ("lstat", 6, -1, Otherwise),
    ("poll", 7, -1, Otherwise),
    ("ioctl", 16, 29, Descriptor),
    ("pread64", 17, 67, Descriptor),
    ("pwrite64", 18, 68, Descriptor),
    ("readv", 19, 65, Descriptor),
    ("writev", 20, 66, Descriptor),
    ("access", 21, -1, Otherwise),
    ("select", 23, -1, Otherwise),
    ("madvise", 28, 233, Otherwise),
    ("pause", 34, -1, Otherwise),
    ("nanosleep", 35, 101, Otherwise),
    ("sendfile", 40, 71, Descriptor),
    ("connect", 42, 203, Descriptor),
    ("accept", 43, 202, Descriptor),
    ("sendto", 44, 206, Descriptor),
    ("recvfrom", 45, 207, Descriptor),
    ("sendmsg", 46, 211, Descriptor),
    ("recvmsg", 47, 212, Descriptor),
    ("clone", 56, 220, Otherwise),
    ("fork", 57, -1, Otherwise),
    ("vfork", 58, -1, Otherwise),
    ("execve", 59, 221, Otherwise),
    ("exit", 60, 93, Otherwise),
    ("wait4", 61, 260, Otherwise),
    ("msgrcv", 70, 188, Otherwise),
    ("fcntl", 72, 25, Descriptor),
    ("flock", 73, 32, Descriptor),
    ("fsync", 74, 82, Descriptor),
    ("fdatasync", 75, 83, Descriptor),
    ("getdents", 78, -1, Descriptor),
    ("rename", 82, -1, Otherwise),
    ("mkdir", 83, -1, Otherwise),
    ("rmdir", 84, -1, Otherwise),
    ("unlink", 87, -1, Otherwise),
    ("readlink", 89, -1, Otherwise),
    ("ptrace", 101, 117, Otherwise),
    ("rt_sigtimedwait", 128, 137, Otherwise),
    ("rt_sigsuspend", 130, 133, Otherwise),
    ("statfs", 137, 43, Otherwise),
    ("sync", 162, 81, Otherwise),
    ("mount", 165, 40, Otherwise),
    ("umount2", 166, 39, Otherwise),
    ("futex", 202, 98, Otherwise),
    ("getdents64", 217, 61, Descriptor),
    ("restart_syscall", 219, 128, Otherwise),
    ("clock_nanosleep", 230, 115, Otherwise),
    ("exit_group", 231, 94, Otherwise),
    ("epoll_wait", 232, -1, Descriptor),
    ("waitid", 247, 95, Otherwise),
    ("openat", 257, 56, Otherwise),
    ("newfstatat", 262, 79, Otherwise),
    ("unlinkat", 263, 35, Otherwise),
    ("pselect6", 270, 72, Otherwise),
    ("ppoll", 271, 73, Otherwise),
    ("splice", 275, 76, Descriptor),
    ("tee", 276, 77, Descriptor),
    ("epoll_pwait", 281, 22, Descriptor),
    ("accept4", 288, 242, Descriptor),
    ("setns", 308, 268, Descriptor),
    ("execveat", 322, 281, Otherwise),
    ("statx", 332, 291, Otherwise),
    ("io_uring_enter", 426, 426, Descriptor),
    ("clone3", 435, 435, Otherwise),
    ("openat2", 437, 437, Otherwise),
    ("epoll_pwait2", 441, 441, Descriptor),
    ("futex_waitv", 449, 449, Otherwise),
    ("futex_wait", 455, 455, Otherwise),
];

/// Parses the line; `None` when the thread runs in user mode or the line is not in the documented form.
#[must_use]
pub fn parse(line: &str, machine: Machine) -> Option<Call> {
    let mut words = line.split_ascii_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let mut args = [0; 6];
    for (slot, word) in args.iter_mut().zip(&mut words) {
        *slot = u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
    }
    let row = CALLS.iter().find(|(_, x86, arm, _)| match machine {
        Machine::X86 => *x86 == number && number >= 0,
        Machine::Arm => *arm == number && number >= 0,
        Machine::Other => false,
    });
    let fd = row.filter(|row| row.3 == Descriptor).and_then(|_| i32::try_from(args[0] & 0xffff_ffff).ok());
    Some(Call { number, name: row.map(|row| row.0.to_owned()), fd, args })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_write_has_its_descriptor_and_a_futex_has_none() {
        let write = parse("1 0x2 0x5571 0x1000 0x0 0x0 0x0 0x7ffd 0x7fac\n", Machine::X86).unwrap();
        assert_eq!((write.name.as_deref(), write.fd, write.args[2]), (Some("write"), Some(2), 0x1000));
        let futex = parse("202 0xf17308 0x80 0x0 0x0 0x0 0x0 0x7ffe 0x65d863", Machine::X86).unwrap();
        assert_eq!((futex.name.as_deref(), futex.fd), (Some("futex"), None));
    }

    #[test]
    fn numbers_belong_to_an_architecture() {
        let line = "64 0x2 0x0 0x0 0x0 0x0 0x0 0x0 0x0";
        assert_eq!(parse(line, Machine::Arm).unwrap().name.as_deref(), Some("write"));
        assert_eq!(parse(line, Machine::X86).unwrap().name, None);
        assert_eq!(parse(line, Machine::Other).unwrap().fd, None);
    }

    #[test]
    fn a_thread_outside_a_call_has_none_or_minus_one() {
        assert_eq!(parse("running\n", Machine::X86), None);
        let stopped = parse("-1 0x7ffd 0x7fac\n", Machine::Arm).unwrap();
        assert_eq!((stopped.number, stopped.name), (-1, None));
    }

    #[test]
    fn no_number_stands_twice() {
        for column in [|row: &(&str, i64, i64, First)| row.1, |row: &(&str, i64, i64, First)| row.2] {
            let mut numbers: Vec<i64> = CALLS.iter().map(column).filter(|number| *number >= 0).collect();
            numbers.sort_unstable();
            let count = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), count);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(line in "\\PC*") {
            let _ = parse(&line, Machine::X86);
        }
    }
}
