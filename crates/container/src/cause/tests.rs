//! Every text goes through the rules by which dockerd and containerd read it.

use super::*;

/// What dockerd makes of a start error's text.
///
/// Compat: moby, daemon/start_unix.go and daemon/errors.go: phrases are looked for without regard to case, and their
/// order differs between versions, so a text with phrases of two classes is a mistake.
fn dockerd_exit_code(text: &str) -> u8 {
    const PHRASES: [(&str, u8); 7] = [
        ("executable file not found", 127),
        ("no such file or directory", 127),
        ("system cannot find the file specified", 127),
        ("failed to run runc create/exec call", 127),
        ("not a directory", 127),
        ("permission denied", 126),
        ("is a directory", 126),
    ];
    let text = text.to_lowercase();
    let mut found = PHRASES.iter().filter(|(phrase, _)| text.contains(phrase)).map(|(_, code)| *code);
    let first = found.next().unwrap_or(128);
    assert!(found.all(|code| code == first), "two classes: {text}");
    first
}

/// What containerd, its shim and cri-o take for "not found", "finished" or "not running".
const NOT_FOUND: [&str; 6] = [
    "does not exist",
    "no such process",
    "container not running",
    "os: process already finished",
    "invalid process",
    "no such container",
];

/// The exit code that dockerd must derive from a variant. No wildcard: a new variant does not compile without a row.
fn expected(cause: &Cause) -> u8 {
    use Cause as C;
    match cause {
        C::NotInPath { .. }
        | C::NoSuchFile { .. }
        | C::NoLoader { .. }
        | C::NoInterpreter { .. }
        | C::NotADirectory { .. }
        | C::LinkLoop { .. } => 127,
        C::IsDirectory { .. }
        | C::NotAFile { .. }
        | C::NotExecutable { .. }
        | C::NoexecMount { .. }
        | C::ClosedInterpreter { .. }
        | C::Denied { .. }
        | C::NoSearch { .. }
        | C::NoExecute { .. }
        | C::Format { .. }
        | C::Busy { .. } => 126,
        C::ArgumentTooLong { .. }
        | C::ArgumentsTooLong { .. }
        | C::TooManyProcesses { .. }
        | C::ExecveForbidden { .. }
        | C::SeccompKilled { .. }
        | C::NoDirectory { .. }
        | C::DirectoryIsFile { .. }
        | C::DirectoryLoop { .. }
        | C::DirectoryClosed { .. }
        | C::DirectoryOutside { .. }
        | C::PidsLimit { .. }
        | C::HostProcesses { .. }
        | C::OutOfMemory { .. }
        | C::NoMemory { .. }
        | C::NoRoom { .. }
        | C::InitOutOfMemory { .. }
        | C::OomDisabled { .. }
        | C::Frozen { .. }
        | C::FrozenAbove { .. }
        | C::InitHalted { .. }
        | C::CgroupGone { .. }
        | C::CgroupBusy { .. }
        | C::CgroupNotDomain { .. }
        | C::CgroupClosed { .. }
        | C::EmptyCpuset { .. }
        | C::NotRunning
        | C::Stopped { .. }
        | C::LeaderGone { .. }
        | C::NotMapped { .. }
        | C::GroupsDenied { .. }
        | C::Rlimit { .. }
        | C::OomScore { .. }
        | C::KeyQuota { .. }
        | C::NoProfile { .. }
        | C::Filter { .. }
        | C::Step { .. }
        | C::Died { .. }
        | C::Stuck { .. } => 128,
    }
}

/// One of each variant, in the order of the enum; its length is checked against the source.
fn samples() -> Vec<Cause> {
    let path = || "/bin/x".to_owned();
    let group = || PathBuf::from("/sys/fs/cgroup/pids/c1");
    let memory = || cgroup::Cause::OomKilled {
        path: group(),
        file: "memory.max",
        limit: Some(1 << 20),
        usage: Some(1 << 19),
        kills: 1,
    };
    let shortage = || cgroup::Shortage {
        path: group(),
        file: "memory.max",
        limit: 1 << 20,
        usage: 1 << 20,
        file_pages: 0,
        kernel_caches: 0,
    };
    let errno = || crate::error::errno_text(rustix::io::Errno::PERM);
    vec![
        Cause::NotInPath { program: "x".into() },
        Cause::NoSuchFile { path: path() },
        Cause::NoLoader { path: path(), loader: "/lib/ld.so".into() },
        Cause::NoInterpreter { path: path(), interpreter: "/no/such".into() },
        Cause::ClosedInterpreter {
            path: path(),
            interpreter: "/etc".into(),
            reason: "is a directory".into(),
        },
        Cause::NotADirectory { path: path(), component: "/bin".into() },
        Cause::LinkLoop { path: path() },
        Cause::IsDirectory { path: path() },
        Cause::NotAFile { path: path(), kind: "fifo" },
        Cause::NotExecutable { path: path(), mode: 0o644 },
        Cause::NoexecMount { path: path() },
        Cause::Denied { path: path() },
        Cause::NoSearch { path: path(), uid: 1, component: "/a".into(), mode: 0o700, owner: 0, group: 0 },
        Cause::NoExecute { path: path(), uid: 1, mode: 0o700, owner: 0, group: 0 },
        Cause::Format { path: path(), reason: "the file is empty".into() },
        Cause::Busy { path: path() },
        Cause::ArgumentTooLong { path: path(), what: "argument", index: 1, bytes: 2, limit: 1 },
        Cause::ArgumentsTooLong { path: path(), bytes: 2 },
        Cause::TooManyProcesses { path: path(), uid: 1, limit: "1".into() },
        Cause::ExecveForbidden { path: path(), errno: errno() },
        Cause::SeccompKilled { stage: Stage::Execve },
        Cause::NoDirectory { path: path() },
        Cause::DirectoryIsFile { path: path() },
        Cause::DirectoryLoop { path: path() },
        Cause::DirectoryClosed { path: path(), uid: 1 },
        Cause::DirectoryOutside { path: path() },
        Cause::PidsLimit { path: group(), current: 1, max: 1 },
        Cause::HostProcesses { threads_max: "1".into(), pid_max: "1".into() },
        Cause::OutOfMemory { stage: Stage::Room, cause: memory() },
        Cause::NoMemory { stage: Stage::Execve, cause: memory() },
        Cause::NoRoom { needed: 1 << 19, shortage: shortage() },
        Cause::InitOutOfMemory { cause: memory() },
        Cause::OomDisabled { path: group() },
        Cause::Frozen { path: group() },
        Cause::FrozenAbove { path: group() },
        Cause::InitHalted { pid: 7 },
        Cause::CgroupGone { path: group() },
        Cause::CgroupBusy { path: group() },
        Cause::CgroupNotDomain { path: group() },
        Cause::CgroupClosed { path: group() },
        Cause::EmptyCpuset { path: group() },
        Cause::NotRunning,
        Cause::Stopped { stage: Stage::Namespaces },
        Cause::LeaderGone { pid: 1, threads: 1 },
        Cause::NotMapped { kind: "uid", id: 1 },
        Cause::GroupsDenied { pid: 1 },
        Cause::Rlimit { name: "RLIMIT_NOFILE", value: "1".into(), reason: "is above fs.nr_open=0".into() },
        Cause::OomScore { wanted: "-1".into(), own: "0".into() },
        Cause::KeyQuota { uid: 1 },
        Cause::NoProfile { profile: path() },
        Cause::Filter { errno: errno() },
        Cause::Step { stage: Stage::Groups, operand: String::new(), errno: errno() },
        Cause::Died { stage: Stage::Start, how: "was killed by signal 9".into() },
        Cause::Stuck { pid: 1, stage: Stage::Execve, waited_ms: 1, state: 'D', wchan: "x".into() },
    ]
}

#[test]
fn every_variant_has_a_sample() {
    let of = |cause: &Cause| std::mem::discriminant(cause);
    let samples = samples();
    let distinct: std::collections::HashSet<_> = samples.iter().map(of).collect();
    let variants = include_str!("../cause.rs").matches("#[error(").count();
    assert_eq!((samples.len(), distinct.len()), (variants, variants));
}

#[test]
fn dockerd_derives_the_exit_code_of_the_class_from_each_text() {
    for cause in samples() {
        let text = cause.to_string();
        assert_eq!(dockerd_exit_code(&text), expected(&cause), "{text}");
        let wrapped = format!("OCI runtime exec failed: {text}: unknown");
        assert_eq!(dockerd_exit_code(&wrapped), expected(&cause), "{wrapped}");
    }
}

#[test]
fn no_text_reads_as_a_missing_container() {
    for cause in samples() {
        let text = cause.to_string().to_lowercase();
        let found = NOT_FOUND.iter().find(|phrase| text.contains(*phrase));
        assert_eq!(found, None, "{text}");
    }
}

#[test]
fn an_errno_in_a_step_never_changes_the_class() {
    for number in 1..134 {
        let errno = crate::error::errno_text(rustix::io::Errno::from_raw_os_error(number));
        for stage in Stage::ALL {
            let cause = Cause::Step { stage: *stage, operand: String::new(), errno: errno.clone() };
            let text = cause.to_string();
            assert_eq!(dockerd_exit_code(&text), 128, "{text}");
            assert!(NOT_FOUND.iter().all(|phrase| !text.to_lowercase().contains(phrase)), "{text}");
        }
    }
}

#[test]
fn every_text_is_one_line_and_names_its_verb() {
    for cause in samples() {
        let text = cause.to_string();
        assert!(text.starts_with("exec: ") && !text.contains('\n'), "{text}");
    }
}
