//! `/proc/PID/stat` and `/proc/PID/stack`.
//!
//! Source: proc_pid_stat(5), proc_pid_stack(5).

/// `PF_FORKNOEXEC` of `Stat::flags`: forked, and has not completed an `execve` yet.
///
/// Kernel: include/linux/sched.h; the value has been the same since 2.6.
pub const PF_FORKNOEXEC: u32 = 0x40;

/// `PF_EXITING` of `Stat::flags`.
pub const PF_EXITING: u32 = 0x4;

/// The fields of one process that identify it and tell how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id in the pid namespace of the procfs.
    pub pid: i32,
    /// Name; may hold spaces, parentheses and newlines.
    pub comm: String,
    /// One letter: `R`, `S`, `D`, `Z`, `T`, `t`, `X`, `I`.
    pub state: char,
    /// Parent's process id, 0 when it is outside the namespace.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// Session.
    pub session: i32,
    /// `PF_*` bits.
    pub flags: u32,
    /// Number of threads.
    pub num_threads: u32,
    /// Start after boot, in clock ticks (field 22).
    pub start_time: u64,
    /// Wait status of a process that has ended (field 52); `None` before Linux 3.5, 0 for whoever may not trace it.
    pub wait_status: Option<i32>,
}

impl Stat {
    /// Parses one line of stat; `None` when it is not in the documented form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once(" (")?;
        // The name is free text: only the last ") " ends it.
        let (comm, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            state: field(3)?.chars().next()?,
            ppid: field(4)?.parse().ok()?,
            pgrp: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            num_threads: field(20)?.parse().ok()?,
            start_time: field(22)?.parse().ok()?,
            wait_status: field(52).and_then(|status| status.parse().ok()),
        })
    }

    /// Whether the process has ended and only waits to be reaped.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether the process's first thread has begun to end.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.flags & PF_EXITING != 0
    }

    /// Whether the process has never completed an `execve`.
    #[must_use]
    pub fn has_never_executed(&self) -> bool {
        self.flags & PF_FORKNOEXEC != 0
    }
}

/// The functions in a kernel stack (`[<0>] futex_wait+0x67/0x120` a line), innermost first, without addresses.
#[must_use]
pub fn stack(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let (_, name) = line.split_once("] ")?;
        Some(name.split('+').next()?.trim().to_owned())
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(comm: &str) -> String {
        format!(
            "42 ({comm}) S 1 42 40 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 98765 1000 2 18446744073709551615\n"
        )
    }

    #[test]
    fn a_stack_is_a_list_of_names() {
        let text =
            "[<0>] mem_cgroup_oom_synchronize+0x1a/0x20\n[<0>] do_compat_epoll_pwait.part.0+0xe/0x80\n";
        assert_eq!(stack(text), ["mem_cgroup_oom_synchronize", "do_compat_epoll_pwait.part.0"]);
        assert_eq!(stack("nonsense\n"), Vec::<String>::new());
    }

    #[test]
    fn the_fields_are_found_by_their_number() {
        let stat = Stat::parse(&line("sh")).unwrap();
        assert_eq!((stat.pid, stat.ppid, stat.pgrp, stat.session), (42, 1, 42, 40));
        assert_eq!((stat.state, stat.num_threads, stat.start_time), ('S', 3, 98765));
        assert!(stat.has_never_executed());
        assert!(!stat.is_dead());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = Stat::parse(&line("a) Z 1 (b c")).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state), ("a) Z 1 (b c", 'S'));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Stat::parse(&text);
        }

        #[test]
        fn any_name_is_read_back(comm in "[^\u{0}]{0,15}") {
            let text = line(&comm);
            let stat = Stat::parse(&text).unwrap();
            prop_assert_eq!(stat.comm, comm);
            prop_assert_eq!(stat.start_time, 98765);
        }
    }
}
