//! Why a profile cannot be compiled. Places are given below `linux/seccomp` of `config.json`.

use crate::Arch;

/// What is wrong with a profile, or with stored bytes that should be a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are rules, but nothing is said about all other system calls.
    #[error("defaultAction: absent, but a profile with rules needs one, for example SCMP_ACT_ERRNO")]
    NoDefaultAction,
    /// An errno that does not fit into the 16 bits the kernel gives it.
    #[error("{place}: {value} is not an errno, the largest that a filter can return is 65535")]
    ErrnoTooLarge {
        /// The field.
        place: String,
        /// Its value.
        value: u32,
    },
    /// A condition on an argument that no system call has.
    #[error("{place}: there is no argument {index}, a system call has the arguments 0 to 5")]
    NoSuchArgument {
        /// The field.
        place: String,
        /// Its value.
        index: u32,
    },
    /// An empty name of a system call.
    #[error("{place}: empty, but must name a system call")]
    EmptyName {
        /// The field.
        place: String,
    },
    /// `SCMP_ACT_NOTIFY` where the runtime itself would wait for an answer that cannot come.
    #[error("{place}: SCMP_ACT_NOTIFY cannot be used for {what}, which is needed to hand over the listener")]
    NotifyNotPossible {
        /// The field.
        place: String,
        /// What it would apply to.
        what: &'static str,
    },
    /// A flag that only has a meaning with a listener.
    #[error("flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY")]
    WaitKillableWithoutNotify,
    /// An architecture of the other byte order, whose arguments the filter would read wrongly.
    #[error("architectures: {arch:?} has not the byte order of {native:?}, which this filter is for")]
    ForeignByteOrder {
        /// The architecture of the profile.
        arch: Arch,
        /// The architecture the filter runs on.
        native: Arch,
    },
    /// Two rules with the same conditions and different actions.
    #[error("{place}: another rule gives {name} a different action under the same conditions")]
    Contradiction {
        /// The rule that came later.
        place: String,
        /// The system call.
        name: String,
    },
    /// More than the kernel accepts.
    #[error("compile the profile: {instructions} instructions or more, the kernel accepts at most {limit}")]
    TooLong {
        /// A lower bound for the length of the filter.
        instructions: usize,
        /// `BPF_MAXINSNS`.
        limit: usize,
    },
    /// Stored bytes that are not an array of `struct sock_filter`.
    #[error("read a stored filter: {length} bytes are not a whole number of 8-byte instructions, 1 to 4096")]
    Truncated {
        /// Number of bytes.
        length: usize,
    },
}

/// Something that is skipped, as runc does, and worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A name that no architecture has, which may be newer than this program.
    #[error("unknown seccomp syscall {name:?} ignored")]
    UnknownSyscall {
        /// The name.
        name: String,
    },
}
