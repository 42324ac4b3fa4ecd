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

/// A call that some architecture has as an operation of a multiplexer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    through: Through,
    value: u64,
}

impl Operation {
    /// Looks a name up.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let row = OPERATIONS.binary_search_by(|row| row.0.cmp(name)).ok()?;
        let (_, through, value) = OPERATIONS[row];
        Some(Self { through, value })
    }

    /// How it is reached through a multiplexer of `arch`, if it is.
    pub(crate) fn on(self, arch: Arch) -> Option<Inner> {
        let multiplexers = arch.multiplexers()?;
        let number = match self.through {
            Through::Socketcall => multiplexers.socketcall,
            Through::Ipc => multiplexers.ipc,
        };
        let (mask, value) = (arch.width().all(), self.value);
        Some(Inner { number, operation: Condition { index: 0, operator: Operator::Equal, mask, value } })
    }
}

impl Inner {
    /// The rule for the multiplexer that stands beside `rule` for the direct number.
    pub(crate) fn rewrite(self, rule: &Rule) -> Rule {
        let others = rule.conditions.iter().filter(|condition| condition.index != 0).copied();
        Rule { conditions: std::iter::once(self.operation).chain(others).collect(), returns: rule.returns }
    }
}

/// Which multiplexer.
#[derive(Debug, Clone, Copy)]
enum Through {
    Socketcall,
    Ipc,
}

/// The operations and their values, sorted by name.
#[rustfmt::skip]
const OPERATIONS: [(&str, Through, u64); 32] = [
    ("accept", Through::Socketcall, 5),
    ("accept4", Through::Socketcall, 18),
    ("bind", Through::Socketcall, 2),
    ("connect", Through::Socketcall, 3),
    ("getpeername", Through::Socketcall, 7),
    ("getsockname", Through::Socketcall, 6),
    ("getsockopt", Through::Socketcall, 15),
    ("listen", Through::Socketcall, 4),
    ("msgctl", Through::Ipc, 14),
    ("msgget", Through::Ipc, 13),
    ("msgrcv", Through::Ipc, 12),
    ("msgsnd", Through::Ipc, 11),
    ("recv", Through::Socketcall, 10),
    ("recvfrom", Through::Socketcall, 12),
    ("recvmmsg", Through::Socketcall, 19),
    ("recvmsg", Through::Socketcall, 17),
    ("semctl", Through::Ipc, 3),
    ("semget", Through::Ipc, 2),
    ("semop", Through::Ipc, 1),
    ("semtimedop", Through::Ipc, 4),
    ("send", Through::Socketcall, 9),
    ("sendmmsg", Through::Socketcall, 20),
    ("sendmsg", Through::Socketcall, 16),
    ("sendto", Through::Socketcall, 11),
    ("setsockopt", Through::Socketcall, 14),
    ("shmat", Through::Ipc, 21),
    ("shmctl", Through::Ipc, 24),
    ("shmdt", Through::Ipc, 22),
    ("shmget", Through::Ipc, 23),
    ("shutdown", Through::Socketcall, 13),
    ("socket", Through::Socketcall, 1),
    ("socketpair", Through::Socketcall, 8),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_sorted_by_name() {
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_call_is_an_operation_only_where_there_are_multiplexers() {
        let inner = |arch, name| Operation::find(name).and_then(|operation| operation.on(arch));
        let socket = inner(Arch::X86, "socket").map(|inner| (inner.number, inner.operation.value));
        assert_eq!(socket, Some((102, 1)));
        let shmctl = inner(Arch::Mipsel, "shmctl").map(|inner| (inner.number, inner.operation.value));
        assert_eq!(shmctl, Some((4117, 24)));
        assert_eq!(inner(Arch::X86_64, "socket"), None);
        assert_eq!(inner(Arch::X86, "read"), None);
    }
}
