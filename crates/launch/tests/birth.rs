//! Births that the kernel refuses or stops, and deaths before the program, with real groups and namespaces.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a panic is a failed assertion, a skip is said aloud"
)]

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use child::stage::{Failure, Report, Stage};
use launch::visit::Visit;
use launch::{Birth, Ended, Error, Launched, Outcome, Patience, spawn};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use testkit::hang::GUARD;

fn exits(_: Report<'_>, status: &u8) -> ! {
    sys::clone::exit(*status)
}

fn waits(report: Report<'_>, (): &()) -> ! {
    let _ = report.step(Stage::Session, || Ok(()));
    loop {
        rustix::event::pause();
    }
}

/// Leaves its failure where memory is already; the pipe has no room for it.
fn leaves_a_word(report: Report<'_>, (): &()) -> ! {
    report.word.set(Stage::Gid as u32);
    report.word.leave(Errno::NOMEM.raw_os_error().unsigned_abs(), 7);
    sys::clone::exit(255)
}

/// A group of the v2 tree, or of a v1 hierarchy; emptied and removed when dropped.
struct Group(PathBuf);

impl Group {
    /// `None`, said aloud, where the hierarchy is not mounted or not ours to use.
    fn new(hierarchy: &str, name: &str) -> Option<Group> {
        let path = Path::new(hierarchy).join(format!("sluice-test-{name}-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Some(Group(path)),
            Err(error) => {
                eprintln!("SKIPPED {name}: make {}: {error}", path.display());
                None
            }
        }
    }

    fn unified(name: &str) -> Option<Group> {
        let mounted = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let found = mounted.into_iter().find(|path| Path::new(path).join("cgroup.subtree_control").exists());
        found.and_then(|path| Group::new(path, name))
    }

    fn open(&self) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, &self.0, flags, Mode::empty()).unwrap()
    }

    fn write(&self, file: &str, value: &str) {
        let file = fs::File::options().write(true).open(self.0.join(file)).unwrap();
        rustix::io::write(&file, value.as_bytes()).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap().trim().to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _gone = fs::remove_dir(&self.0);
    }
}

fn refused(birth: &Birth<'_>) -> Errno {
    match spawn(birth, &0, exits) {
        Err(Error::Clone(errno) | Error::PidNamespace(errno)) => errno,
        other => panic!("{other:?}"),
    }
}

fn outcome(launched: Result<Launched, Error>) -> Outcome {
    launched.unwrap().outcome(Some(&proc::Procfs::host().unwrap()), *GUARD).unwrap()
}

/// The init of a new pid namespace; killed and reaped when dropped.
struct Init {
    outside: Child,
    pidfd: OwnedFd,
    pid: i32,
}

impl Init {
    fn new() -> Init {
        let outside = Command::new("unshare").args(["--pid", "--fork", "sleep", "1000000"]).spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", outside.id());
        let pid = loop {
            if let Ok(pid) = fs::read_to_string(&children).unwrap().trim().parse() {
                break pid;
            }
            std::thread::yield_now();
        };
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        Init { outside, pidfd, pid }
    }

    fn kill(&self) {
        pidfd_send_signal(&self.pidfd, Signal::KILL).unwrap();
        assert!(launch::process::wait_dead(self.pidfd.as_fd(), *GUARD).unwrap());
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _gone = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ended = self.outside.wait();
    }
}

#[test]
fn a_removed_group_is_enoent() {
    let Some(group) = Group::unified("removed") else { return };
    let directory = group.open();
    drop(group);
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::NOENT);
}

#[test]
fn a_directory_that_is_no_group_is_ebadf() {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, "/tmp", flags, Mode::empty()).unwrap();
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::BADF);
}

#[test]
fn a_group_beside_a_threaded_one_is_eopnotsupp() {
    let Some(above) = Group::unified("domain") else { return };
    let nested = |name: &str| {
        let path = above.0.join(name);
        fs::create_dir(&path).unwrap();
        Group(path)
    };
    let (threaded, invalid) = (nested("threaded"), nested("invalid"));
    threaded.write("cgroup.type", "threaded");
    assert_eq!(invalid.read("cgroup.type"), "domain invalid");
    let directory = invalid.open();
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::OPNOTSUPP);
}

#[test]
fn a_child_born_into_a_frozen_v2_group_is_stuck_and_dies_of_a_kill_while_the_group_stays_frozen() {
    let Some(group) = Group::unified("frozen") else { return };
    group.write("cgroup.freeze", "1");
    let directory = group.open();
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    let launched = spawn(&birth, &0, exits).unwrap();
    let proc = proc::Procfs::host().unwrap();
    let Outcome::Stuck { stage, mut launched, .. } =
        launched.outcome(Some(&proc), Duration::from_millis(300)).unwrap()
    else {
        panic!("a frozen child went on");
    };
    assert_eq!(stage, Stage::Start);
    assert_eq!(launched.kill(*GUARD).unwrap(), Some(Ended::Signaled(9)));
    assert_eq!((group.read("cgroup.freeze"), group.read("cgroup.procs")), ("1".to_owned(), String::new()));
}

/// A report pipe that is closed before the program says that the child is dying, which may take its time.
fn waits_unheard(report: Report<'_>, (): &()) -> ! {
    let pipe = report.pipe.as_raw_fd().unsigned_abs();
    let _ = sys::close_range::close_range(pipe, pipe);
    waits(report, &())
}

#[test]
fn a_start_whose_caller_is_told_to_stop_is_given_up() {
    for child in [waits, waits_unheard] {
        told_to_stop(spawn(&Birth::default(), &(), child).unwrap());
    }
}

fn told_to_stop(launched: Launched) {
    let (stop, told) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&told, b"x").unwrap();
    let limit = 1000 * *GUARD;
    let patience = Patience { limit, stop: Some(stop.as_fd()) };
    let proc = proc::Procfs::host().unwrap();
    let Outcome::Stuck { waited, launched, .. } = launched.outcome(Some(&proc), patience).unwrap() else {
        panic!("a child that does nothing went on");
    };
    assert!(waited < limit, "{waited:?}");
    drop(launched);
    assert_eq!(rustix::io::read(&stop, &mut [0; 2]), Ok(1), "who told is still to be heard");
}

/// A group of the v2 tree with a nested one that has this controller; `None`, said aloud, where v2 does not have it.
fn with_controller(name: &str, controller: &str) -> Option<(Group, Group)> {
    let above = Group::unified(name)?;
    if !above.read("cgroup.controllers").split(' ').any(|known| known == controller) {
        eprintln!("NOT RUN {name}: the v2 tree of this host has no {controller} controller");
        return None;
    }
    let nested = Group(above.0.join("nested"));
    fs::create_dir(&nested.0).unwrap();
    above.write("cgroup.subtree_control", &format!("+{controller}"));
    Some((above, nested))
}

#[test]
fn a_full_pids_max_of_v2_is_eagain() {
    let Some((above, nested)) = with_controller("full2", "pids") else { return };
    nested.write("pids.max", "0");
    let directory = nested.open();
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::AGAIN);
    drop(nested);
    drop(above);
}

#[test]
fn a_group_with_controllers_below_it_is_ebusy() {
    let Some((above, nested)) = with_controller("busy", "memory") else { return };
    let directory = above.open();
    let birth = Birth { cgroup: Some(directory.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::BUSY);
    drop(nested);
    drop(above);
}

#[test]
fn a_full_pids_max_is_eagain() {
    let Some(group) = Group::new("/sys/fs/cgroup/pids", "full") else { return };
    // A v1 hierarchy takes single threads, so the other tests are not in it.
    group.write("tasks", "0");
    group.write("pids.max", "1");
    let errno = refused(&Birth::default());
    let away = fs::File::options().write(true).open("/sys/fs/cgroup/pids/tasks").unwrap();
    rustix::io::write(&away, b"0").unwrap();
    assert_eq!(errno, Errno::AGAIN);
    assert_eq!(group.read("pids.events"), "max 1");
}

#[test]
fn a_dead_init_is_esrch_at_once_and_when_it_was_reaped() {
    let init = Init::new();
    let birth = Birth { pid_namespace_of: Some(init.pidfd.as_fd()), ..Birth::default() };
    assert!(matches!(outcome(spawn(&birth, &3, exits)), Outcome::Died { ended: Ended::Exited(3), .. }));
    init.kill();
    assert_eq!(refused(&birth), Errno::SRCH);
    let mut init = init;
    let _ended = init.outside.wait();
    let birth = Birth { pid_namespace_of: Some(init.pidfd.as_fd()), ..Birth::default() };
    assert_eq!(refused(&birth), Errno::SRCH);
}

#[test]
fn a_dead_pid_namespace_is_enomem_though_no_memory_is_short() {
    let init = Init::new();
    let namespace = fs::File::open(format!("/proc/{}/ns/pid", init.pid)).unwrap();
    init.kill();
    drop(init);
    let proc = proc::Procfs::host().unwrap();
    let visit = Visit::enter(&proc, &[(namespace.as_fd(), sys::clone::new::PID)]).unwrap();
    let errno = refused(&Birth::default());
    visit.end().unwrap();
    assert_eq!(errno, Errno::NOMEM);
}

#[test]
fn a_silent_end_before_the_program_tells_stage_and_status() {
    let died = outcome(spawn(&Birth::default(), &255, exits));
    assert!(matches!(died, Outcome::Died { stage: Stage::Start, ended: Ended::Exited(255) }), "{died:?}");
    let launched = spawn(&Birth::default(), &(), waits).unwrap();
    while launched.stage() != Stage::Session {
        std::thread::yield_now();
    }
    pidfd_send_signal(launched.pidfd().unwrap(), Signal::KILL).unwrap();
    let died = outcome(Ok(launched));
    assert!(matches!(died, Outcome::Died { stage: Stage::Session, ended: Ended::Signaled(9) }), "{died:?}");
}

#[test]
fn a_failure_that_the_pipe_did_not_take_is_found_in_the_shared_page() {
    let expected = Failure { stage: Stage::Gid, errno: Errno::NOMEM, detail: 7 };
    let refused = outcome(spawn(&Birth::default(), &(), leaves_a_word));
    assert!(matches!(refused, Outcome::Refused(failure) if failure == expected), "{refused:?}");
}

#[test]
fn the_end_of_a_process_that_is_no_child_is_known() {
    let init = Init::new();
    let proc = proc::Procfs::host().unwrap();
    let held = launch::Process { pid: init.pid, pidfd: init.pidfd.try_clone().unwrap() };
    init.kill();
    // As a zombie by its stat; reaped, through its pidfd where the kernel is new enough (6.15).
    let known = launch::process::how_ended(&proc, &held);
    assert!(matches!(known, Some(Ended::Signaled(9)) | None), "{known:?}");
    drop(init);
    let known = launch::process::how_ended(&proc, &held);
    assert!(matches!(known, Some(Ended::Signaled(9)) | None), "{known:?}");
    eprintln!("a reaped process tells its end: {known:?}");
}
