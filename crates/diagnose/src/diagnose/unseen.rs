//! What a diagnosis does not rest on: what was refused, and whom the kernel did not show at all.

use crate::snapshot::{Snapshot, Unseen, Why};

/// The pid namespace in which the machine was started.
///
/// Kernel: `PROC_PID_INIT_INO` of include/linux/proc_ns.h.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Everything that was not seen, one line each.
#[must_use]
pub fn lines(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = hidden(snapshot);
    lines.extend(snapshot.unseen.iter().map(refused));
    lines
}

/// Processes that are not there for whoever took the snapshot, so that no read of them was refused.
#[must_use]
pub fn hidden(snapshot: &Snapshot) -> Vec<String> {
    let namespace = snapshot.taken.pid_namespace;
    let mut lines = Vec::new();
    if ![0, FIRST_PID_NAMESPACE].contains(&namespace) && !shows_the_host(snapshot) {
        lines.push(format!(
            "the host's processes: only those of pid namespace {namespace} are seen; look from the host's (hostPID: true, \
             --pid=host)"
        ));
    }
    if hides_others(snapshot) {
        lines.push(String::from(
            "processes of other users: /proc is mounted with hidepid; root would see them",
        ));
    }
    lines
}

/// Kernel: its threads are children of process 2 of the first namespace. Somebody in another may look at the host's `/proc`.
fn shows_the_host(snapshot: &Snapshot) -> bool {
    snapshot.process(2).is_some_and(|process| process.comm == "kthreadd")
}

/// Kernel: with hidepid 2 and 4 there are no directories of whom one may not trace (1 keeps them: their reads are refused).
fn hides_others(snapshot: &Snapshot) -> bool {
    let own = snapshot.taken.uid;
    let hides = |option: &str| {
        let word = option.strip_prefix("hidepid=");
        word.is_some_and(|word| ["2", "4", "invisible", "ptraceable"].contains(&word))
    };
    let mut mounts = snapshot.mounts.iter().filter(|it| it.fs_type == "proc" && it.mount_point == "/proc");
    let is_other = |uid: u32| uid != own;
    own != 0
        && mounts.any(|mount| mount.options.split(',').any(hides))
        && !snapshot.processes.iter().any(|process| process.uid.is_some_and(is_other))
}

fn refused(unseen: &Unseen) -> String {
    let why = match &unseen.why {
        Why::Denied => String::from("permission denied; root would see it"),
        Why::TimedOut { after_ms } => format!("no answer within {after_ms} ms"),
        Why::Uninterruptible => String::from("not tried: the process is in uninterruptible sleep"),
        Why::TooMuch { taken } => format!("there is more; {taken} were taken"),
        Why::Refused { errno } => format!("refused with errno {errno}"),
        Why::Malformed => String::from("not in a form that is known"),
        Why::Absent => String::from("this host has no such thing"),
    };
    crate::finding::one_line(&format!("{}: {why}", unseen.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Mount, Process};

    fn process(pid: i32, comm: &str, uid: u32) -> Process {
        Process { pid, comm: comm.to_owned(), uid: Some(uid), ..Process::default() }
    }

    #[test]
    fn who_is_in_another_pid_namespace_is_told_so() {
        let mut snapshot = Snapshot::default();
        for (namespace, told) in [(0, 0), (FIRST_PID_NAMESPACE, 0), (4_026_532_200, 1)] {
            snapshot.taken.pid_namespace = namespace;
            assert_eq!(lines(&snapshot).len(), told, "{namespace}");
        }
        assert!(lines(&snapshot)[0].contains("only those of pid namespace 4026532200"));
        snapshot.processes = vec![process(2, "kthreadd", 0)];
        assert_eq!(lines(&snapshot), Vec::<String>::new(), "the host's /proc");
    }

    #[test]
    fn who_does_not_see_others_is_told_so() {
        let mount = |options: &str| Mount {
            fs_type: String::from("proc"),
            mount_point: String::from("/proc"),
            options: options.to_owned(),
            ..Mount::default()
        };
        let mut snapshot = Snapshot { processes: vec![process(9, "sh", 7)], ..Snapshot::default() };
        for (uid, options, told) in [
            (7, "rw,rw,hidepid=2", 1),
            (7, "rw,rw,hidepid=invisible", 1),
            (7, "rw,rw", 0),
            (7, "rw,rw,hidepid=1", 0),
            (0, "rw,rw,hidepid=2", 0),
        ] {
            snapshot.taken.uid = uid;
            snapshot.mounts = vec![mount(options)];
            assert_eq!(lines(&snapshot).len(), told, "{uid} {options}");
        }
        snapshot.taken.uid = 7;
        snapshot.mounts = vec![mount("hidepid=2")];
        snapshot.processes.push(process(1, "init", 0));
        assert_eq!(lines(&snapshot).len(), 0, "of the group that may see all");
    }
}
