//! System calls that can also be made through `socketcall` or `ipc`.
//!
//! i386, MIPS o32, POWER and S/390 got socket and System V IPC calls as operations of two multiplexers and
//! direct numbers only later, if at all. A rule for such a call must hold both ways, else the other way is
//! a hole, or is closed to old programs.
//!
//! Compat: libseccomp keeps the rule's other conditions for the multiplexer, although its arguments mean
//! something else there; a filter cannot follow the pointer to the real ones.
//! Source: `linux/net.h` (`SYS_*`), `linux/ipc.h` (`SEMOP` to `SHMCTL`)

use crate::Arch;
use crate::profile::Operator;
use crate::rules::{Condition, Rule};

/// A call as an operation of a multiplexer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inner {
    /// The multiplexer's number.
    pub(crate) number: u32,
    /// What its first argument must be.
    operation: Condition,
}

/// How `name` is reached through a multiplexer of `arch`, if it is.
pub(crate) fn inner(arch: Arch, name: &str) -> Option<Inner> {
    let multiplexers = arch.multiplexers()?;
    let find = |table: &[(&str, u64)]| table.iter().find(|row| row.0 == name).map(|row| row.1);
    let (number, value) = match find(&SOCKETCALL) {
        Some(operation) => (multiplexers.socketcall, operation),
        None => (multiplexers.ipc, find(&IPC)?),
    };
    let operation = Condition { index: 0, operator: Operator::Equal, mask: arch.width().all(), value };
    Some(Inner { number, operation })
}

impl Inner {
    /// The rule for the multiplexer that stands beside `rule` for the direct number.
    pub(crate) fn rewrite(self, rule: &Rule) -> Rule {
        let others = rule.conditions.iter().filter(|condition| condition.index != 0).copied();
        Rule { conditions: std::iter::once(self.operation).chain(others).collect(), returns: rule.returns }
    }
}

const SOCKETCALL: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];
