//! The disk below a bundle or a root: full, or frozen, so that who writes to it sleeps uninterruptibly.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use containerd_shim_protos::api::{
    ConnectRequest, ConnectResponse, CreateTaskResponse, PidsRequest, PidsResponse, StatsRequest,
    StatsResponse, Status,
};
use protobuf::well_known_types::empty::Empty;
use rustix::process::Signal;
use serde_json::json;
use testkit::disk::Disk;
use testkit::hang::eventually;
use testkit::{Config, process};
use ttrpc::Code;

use crate::session::{LogReader, Session, call, sessions};

/// Writes a configuration of the first container whose root is elsewhere.
fn configure(session: &Session<'_>, config: Config, root: &Path) {
    let first = session.first();
    first
        .write_config(&config.set("/root/path", json!(root)).set("/linux/cgroupsPath", json!(first.group())));
}

/// Takes the root out of the first container's bundle, has something mounted there, and writes the configuration anew.
fn remount<T>(session: &Session<'_>, config: Config, mount: impl FnOnce(&Path) -> Option<T>) -> Option<T> {
    let (bundle, tree) = (session.first().bundle(), session.lab.path("tree"));
    // It answers: so it has opened its log, by the path that is about to lead elsewhere.
    let _answer: ConnectResponse = session.ok("Connect", &ConnectRequest::new());
    fs::rename(session.first().rootfs(""), &tree).unwrap();
    let mounted = mount(bundle)?;
    configure(session, config, &tree);
    Some(mounted)
}

/// Puts the bundle of the first container, but not its root, on a disk of its own.
fn bundle_on_disk<'lab>(session: &Session<'lab>, config: Config) -> Option<Disk<'lab>> {
    remount(session, config, |bundle| Disk::mount(session.lab, bundle))
}

/// Puts the root of the first container on a disk of its own.
pub(crate) fn root_on_disk<'lab>(session: &Session<'lab>) -> Option<Disk<'lab>> {
    let (first, place) = (session.first(), session.lab.path("disk"));
    fs::create_dir(&place).unwrap();
    let disk = Disk::mount(session.lab, &place)?;
    session.lab.program("cp").args(["-a"]).args([first.rootfs("."), place.clone()]).ok();
    configure(session, Config::new(), &place);
    Some(disk)
}

fn journal(session: &Session<'_>) -> String {
    fs::read_to_string(session.first().bundle().join("sluice.journal")).unwrap_or_default()
}

/// Writes a shell script that can be executed; gives its path.
fn executable(session: &Session<'_>, name: &str, body: &str) -> String {
    let path = session.lab.write(name, &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Writes to a disk until it takes no more.
fn fill(disk: &Path) {
    let mut file = fs::File::options().create(true).append(true).open(disk.join("filler")).unwrap();
    while std::io::Write::write(&mut file, &[b'x'; 4096]).is_ok_and(|count| count > 0) {}
}

/// Waits until the first container can be made anew, and takes it through its life.
fn the_id_is_free_again(session: &Session<'_>) {
    configure(session, Config::new(), &session.lab.path("tree"));
    eventually("the id to be free", || session.create(session.first()).is_ok());
    session.start_process(session.first().id(), "").unwrap();
    session.remove_first();
}

/// Has the shim write dumps to its bundle, on a frozen disk, until as many threads are stuck as may be.
fn exhaust_threads(session: &Session<'_>) {
    let connect: ConnectResponse = session.ok("Connect", &ConnectRequest::new());
    let mut log = LogReader::new(session);
    eventually("all threads to be stuck", || {
        process::signal(i32::try_from(connect.shim_pid).unwrap(), Signal::USR1);
        log.read();
        log.text().contains("; 32 stuck")
    });
}

sessions! {
    ours
    /// What has to be written down waits for the disk; the end of a process, questions and execs do not.
    fn a_disk_that_takes_no_record_keeps_nobody_waiting(session) {
        let Some(disk) = bundle_on_disk(session, Config::new()) else { return };
        session.run_first();
        session.exec("runs", &["/bin/sleep", "1000000"]);
        disk.freeze();
        let _killed: Empty = session.ok("Kill", &session.kill_request("runs", 9));
        assert_eq!(session.status(""), Status::RUNNING);
        assert_eq!(session.wait("runs"), 137);
        assert_eq!(session.exit_of("runs").exit_status, 137);
        let id = session.first().id().to_owned();
        let listed: PidsResponse = session.ok("Pids", &PidsRequest { id: id.clone(), ..PidsRequest::default() });
        assert_eq!(listed.processes.len(), 1);
        let _metrics: StatsResponse = session.ok("Stats", &StatsRequest { id, ..StatsRequest::default() });
        session.exec("next", &["/bin/true"]);
        assert_eq!(session.wait("next"), 0);
        assert!(!journal(session).contains("\"status\":137"), "it was not frozen");
        disk.thaw();
        eventually("the records", || journal(session).contains("\"status\":137"));
        session.remove_first();
    }

    ours
    /// Who begins on a stalled disk is told so, and can be waited for and killed: only its record waits.
    fn an_exec_that_is_the_first_to_find_the_disk_stalled_starts(session) {
        let Some(disk) = bundle_on_disk(session, Config::new()) else { return };
        session.run_first();
        disk.freeze();
        session.exec("first", &["/bin/sleep", "1000000"]);
        assert_eq!(session.status("first"), Status::RUNNING);
        assert!(!journal(session).contains("\"first\""), "it was not frozen");
        let _killed: Empty = session.ok("Kill", &session.kill_request("first", 9));
        assert_eq!(session.wait("first"), 137);
        disk.thaw();
        eventually("the records", || journal(session).contains("\"status\":137"));
        session.remove_first();
    }

    ours
    /// A full disk costs records and counters, and no process; with room again the next record is whole.
    fn a_full_bundle_harms_nobody(session) {
        let tmpfs = |place: &Path| {
            session.lab.program("mount").args(["-t", "tmpfs", "-o", "size=256k", "small"]).args([place]).ok();
            Some(())
        };
        remount(session, Config::new(), tmpfs).unwrap();
        fill(session.first().bundle());
        session.run_first();
        session.exec("e", &["/bin/sh", "-c", "exit 3"]);
        assert_eq!((session.wait("e"), session.exit_of("e").exit_status), (3, 3));
        let mut log = LogReader::new(session);
        log.wait("ENOSPC");
        fs::remove_file(session.first().bundle().join("filler")).unwrap();
        session.exec("later", &["/bin/sh", "-c", "exit 4"]);
        assert_eq!(session.wait("later"), 4);
        let whole = |line: &str| line.starts_with("1 ") && line.contains("\"later\"") && line.ends_with('}');
        eventually("a whole record", || journal(session).lines().any(whole));
        session.remove_first();
        // Who writes the counts once a second may still be at it.
        eventually("the bundle to be let go", || {
            session.lab.program("umount").args([session.first().bundle()]).run().status.success()
        });
    }

    ours
    /// The stock shim keeps no journal; when a step after `runc create` fails it leaves the container behind.
    fn a_create_that_fails_after_its_verb_leaves_no_container(session) {
        let freeze = executable(session, "freeze", "");
        let hook = Config::new().hook("createRuntime", &freeze);
        let Some(disk) = bundle_on_disk(session, hook) else { return };
        executable(session, "freeze", &format!("exec fsfreeze --freeze {}", session.first().bundle().display()));
        let text = session.refused("Create", &session.create_request(session.first()), Code::DEADLINE_EXCEEDED);
        assert!(text.contains("journal"), "{text}");
        session.refused("State", &session.state_request(""), Code::NOT_FOUND);
        let group = session.first().control("pids", "cgroup.procs");
        assert!(!group.exists(), "{} is left", group.display());
        assert_eq!(session.events().len(), 0, "nobody was told of a container");
        disk.thaw();
        configure(session, Config::new(), &session.lab.path("tree"));
        let pid = session.run_first();
        let started = format!("\"pid\":{pid},");
        let others = journal(session).lines().filter(|line| line.contains("\"started\"") && !line.contains(&started)).count();
        assert_eq!(others, 0, "the journal has the container that was given up: {}", journal(session));
        session.remove_first();
    }

    ours
    /// The answer does not wait for a removal that does not end; the id is free when it has.
    fn a_create_that_fails_and_cannot_be_undone_in_time_is_answered(session) {
        let go = session.lab.path("go");
        let freeze = executable(session, "freeze", "");
        let wait = executable(session, "wait", &format!("while [ ! -e {} ]; do sleep 0.1; done", go.display()));
        let hooks = Config::new().hook("createRuntime", &freeze).hook("poststop", &wait);
        let Some(disk) = bundle_on_disk(session, hooks) else { return };
        executable(session, "freeze", &format!("exec fsfreeze --freeze {}", session.first().bundle().display()));
        let request = session.create_request(session.first());
        let text = session.refused("Create", &request, Code::DEADLINE_EXCEEDED);
        assert!(text.contains("journal"), "{text}");
        session.refused("Create", &request, Code::ALREADY_EXISTS);
        session.lab.write("go", "");
        disk.thaw();
        the_id_is_free_again(session);
    }

    ours
    /// With as many threads stuck as may be, the removal of a container that was created in vain waits for one of them.
    fn a_create_that_fails_for_want_of_threads_is_undone_when_they_are_back(session) {
        let (frozen, go) = (session.lab.path("frozen"), session.lab.path("go"));
        let stall = executable(session, "stall", "");
        let Some(disk) = bundle_on_disk(session, Config::new().hook("createRuntime", &stall)) else { return };
        let bundle = session.first().bundle().display();
        let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
        executable(session, "stall", &format!("fsfreeze --freeze {bundle}; touch {}; {wait}", frozen.display()));
        let (client, request) = (session.another_client(), session.create_request(session.first()));
        std::thread::scope(|scope| {
            let creating = scope.spawn(move || call::<_, CreateTaskResponse>(&client, "Create", &request));
            eventually("the hook", || frozen.exists());
            exhaust_threads(session);
            session.lab.write("go", "");
            let refused = creating.join().unwrap().unwrap_err().to_string();
            assert!(refused.contains("stuck already"), "{refused}");
        });
        disk.thaw();
        let group = session.first().control("pids", "cgroup.procs");
        eventually("the group to go", || !group.exists());
        the_id_is_free_again(session);
    }

    ours
    /// SIGKILL does not end an uninterruptible sleep: the kill is answered, the process is said to run because it does,
    /// and the log says where it sleeps. The stock shim says nothing, and its `Kill` of the container polls for ever.
    fn an_uninterruptible_sleep_is_named_and_not_said_to_be_over(session) {
        let Some(disk) = root_on_disk(session) else { return };
        session.run_first();
        disk.freeze();
        let pid = i32::try_from(session.exec("e", &["/bin/sh", "-c", "echo x > /file"])).unwrap();
        eventually("the sleep", || process::status_line(pid, "State").starts_with('D'));
        let _answered: Empty = session.ok("Kill", &session.kill_request("e", 9));
        let mut log = LogReader::new(session);
        log.wait("is in state D");
        let said = log.text();
        let line = said.lines().find(|line| line.contains("is in state D")).unwrap();
        // The stack, since wchan is 0 on x86 before 5.16.
        let stack = fs::read_to_string(format!("/proc/{pid}/stack")).unwrap();
        let function = stack.split(['+', ' ']).nth(1).unwrap();
        for part in [format!("process {pid} (sh)"), format!("sleeps in {function}"), "(open".to_owned()] {
            assert!(line.contains(&part), "no {part:?}: {line}");
        }
        assert_eq!(session.status("e"), Status::RUNNING);
        assert!(session.exits().is_empty(), "{:?}", session.exits());
        session.exec("other", &["/bin/true"]);
        assert_eq!(session.wait("other"), 0);
        disk.thaw();
        assert_eq!(session.wait("e"), 137);
        session.remove_first();
    }
}
