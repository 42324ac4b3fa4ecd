//! What ended children have used, as the kernel keeps it for this process.

use std::time::Duration;

/// Sums over all children that were waited for, and theirs.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    /// Time on a processor, in user and kernel mode.
    cpu: Duration,
    /// Page faults served without input.
    pub(super) faults: u64,
}

/// `USER_HZ`, fixed by the kernel's interface on all architectures this is built for. Source: time(7).
const HZ: u64 = 100;

impl Usage {
    /// Of something that the kernel counts by itself.
    pub(super) fn of_time(cpu: Duration) -> Self {
        Self { cpu, faults: 0 }
    }

    /// Reads `/proc/self/stat`; what cannot be read counts as 0.
    pub(super) fn of_children() -> Self {
        let [_, children] = Self::parse(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default());
        children
    }

    /// The same of another process, with its own share.
    pub(super) fn of_process(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let [own, children] = Self::parse(&text);
        own.plus(children)
    }

    /// A process' own share and that of its children.
    ///
    /// Source: proc_pid_stat(5): fields 10 (`minflt`), 11 (`cminflt`), 14 to 17 (`utime`, `stime`, `cutime`, `cstime`).
    fn parse(text: &str) -> [Self; 2] {
        let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u64> =
            behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        [
            Self { cpu: of_ticks(field(14) + field(15)), faults: field(10) },
            Self { cpu: of_ticks(field(16) + field(17)), faults: field(11) },
        ]
    }

    /// What came on top since an earlier moment.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), faults: self.faults.saturating_sub(earlier.faults) }
    }

    /// Both sums together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, faults: self.faults + other.faults }
    }

    /// Time on a processor.
    pub(super) fn cpu(self) -> Duration {
        self.cpu
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_behind_the_name() {
        let text = "1 (a ) b) S 1 1 1 0 -1 4194560 100 7000 3 4 5 6 70 80 20 0 1";
        let shares = Usage::parse(text).map(|usage| (usage.faults, usage.cpu.as_millis()));
        assert_eq!(shares, [(100, 110), (7000, 1500)]);
    }
}
