//! Every text that a snapshot is made from: files of `/proc`, unit files, package databases, lines of journals.

use diagnose::collect::syscall::Machine;
use diagnose::collect::{cgroup, host, installed, kernel_log, logs, mount, process, runtime_state, syscall};
use diagnose::redact;
use diagnose::snapshot::Process;
use diagnose::snapshot::runtime_state::RuntimeKind;
use diagnose::version::Version;

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.as_ref();
    of_processes(text);
    let _ = (host::key_users(text), mount::parse(text), kernel_log::parse(text), logs::journal_line(text));
    let _ = (installed::settings(text), installed::dpkg(text), installed::apk(text));
    let _ = (host::load(text), host::processors(text), cgroup::cpu_max(text), cgroup::memory_events(text));
    let memory = host::memory(text);
    assert!(memory.used <= memory.max || memory.max.is_none(), "more memory in use than there is");
    let _ = runtime_state::parse(text, RuntimeKind::Runc);
    let _ = Version::parse(text);
    let once = redact::text(text);
    assert_eq!(redact::text(&once), once, "redacted twice is another text");
}

fn of_processes(text: &str) {
    let mut process = process::stat(text).unwrap_or_default();
    process::status(text, &mut process);
    process::groups(text, &mut process);
    let _ = (process::args(text), process::environment(text), process::container_id(text));
    let _ = (process::target(text), process::fdinfo(text), proc::pid::stack(text));
    let _ = (process::open_files_limit(text), process::inode_of_link(text));
    for machine in [Machine::X86, Machine::Arm, Machine::Other] {
        let _ = syscall::parse(text, machine);
    }
    let _: Process = process;
}
