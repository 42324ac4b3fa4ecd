//! Traps of the protocol that have no other file: what a shim is to its host and to processes that it did not start.
//!
//! `docs/shim.md` lists all of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{
    CloseIORequest, ConnectRequest, ConnectResponse, ShutdownRequest, StatsRequest, Status,
};
use containerd_shim_protos::shim::oci::Options;
use protobuf::Message as _;
use protobuf::well_known_types::empty::Empty;
use rustix::fs::{CWD, FileType, Mode};
use testkit::hang::eventually;
use testkit::{Config, hierarchy, process};
use ttrpc::{Client, Code};

use crate::session::{Beginning, Session, any, begin, call, sessions};

fn shim_pid(client: &Client) -> i32 {
    let answer: ConnectResponse = call(client, "Connect", &ConnectRequest::new()).unwrap();
    i32::try_from(answer.shim_pid).unwrap()
}

/// Ends a shim without containers.
fn end(address: &str) {
    let client = Client::connect(address).unwrap();
    let _ends: Result<Empty, _> = call(&client, "Shutdown", &ShutdownRequest::new());
    let socket = PathBuf::from(address.trim_start_matches("unix://"));
    eventually("the socket to go", || !socket.exists());
}

/// The address of another shim.
fn start(session: &Session<'_>, beginning: &Beginning<'_>) -> String {
    let container = session.lab.bundle(&Config::new());
    let output = begin(session.lab, &session.binary, &container, beginning);
    let address = String::from_utf8(output.stdout).unwrap();
    assert!(address.starts_with("unix://"), "{address}{}", String::from_utf8_lossy(&output.stderr));
    address
}

/// Children of a process that have ended and that nobody has taken away.
fn zombies(parent: i32) -> Vec<i32> {
    let (parent, zombie) = (format!("PPid:\t{parent}"), "State:\tZ");
    // Who has gone meanwhile is none.
    let status = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let dead = |pid: &i32| {
        let status = status(pid);
        status.lines().any(|line| line == parent) && status.lines().any(|line| line.starts_with(zombie))
    };
    process::all().into_iter().filter(dead).collect()
}

/// A shim whose options name this group is in it.
fn assert_goes_to(session: &Session<'_>, group: &str) {
    assert_starts_in(session, group);
    hierarchy::destroy(group);
}

fn assert_starts_in(session: &Session<'_>, group: &str) {
    let options = Options { shim_cgroup: group.to_owned(), ..Options::default() };
    let input = any("containerd.runc.v1.Options", &options).write_to_bytes().unwrap();
    let address = start(session, &Beginning { input: &input, ..Beginning::default() });
    let pid = shim_pid(&Client::connect(&address).unwrap());
    assert!(hierarchy::pids(group).contains(&pid), "{:?}", hierarchy::pids(group));
    end(&address);
    eventually("the shim to end", || !process::is_alive(pid));
}

/// Makes a group, below one that may be there, in every hierarchy.
fn make_group(parent: &str, group: &str) {
    for hierarchy in hierarchy::all() {
        for directory in [hierarchy.directory(parent), hierarchy.directory(group)] {
            fs::create_dir_all(&directory).unwrap();
            // Kernel: on v1 a new group has no processors and no memory to run on.
            for file in ["cpuset.cpus", "cpuset.mems"]
                .map(|name| directory.join(name))
                .iter()
                .filter(|file| file.exists())
            {
                if !hierarchy.is_unified() {
                    let above = directory.parent().unwrap().join(file.file_name().unwrap());
                    hierarchy::write(file, fs::read_to_string(above).unwrap().trim());
                }
            }
        }
    }
}

fn fifo(path: &Path) -> String {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path.display().to_string()
}

fn score(pid: &str) -> i32 {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}

sessions! {
    #[doc = "Each exit is told of the process whose exit it is, however many are being started at that moment."]
    fn no_exit_is_taken_for_another_s(session) {
        session.run_first();
        let statuses = 1..=30_u32;
        std::thread::scope(|scope| {
            for status in statuses.clone() {
                let script = format!("exit {status}");
                scope.spawn(move || session.exec(&format!("e{status}"), &["/bin/sh", "-c", &script]));
            }
        });
        for status in statuses {
            let id = format!("e{status}");
            assert_eq!((session.exit_of(&id).exit_status, session.wait(&id)), (status, status));
        }
        session.remove_first();
    }

    #[doc = "An orphan of a container without pids of its own is taken away when it has ended, and no exit with it."]
    fn an_orphan_is_taken_away(session) {
        let config = Config::new().without_namespace("pid");
        session.first().write_config(&config.set("/linux/cgroupsPath", serde_json::json!(session.first().group())));
        session.run_first();
        let shim = shim_pid(&session.another_client());
        let script = "for n in 1 2 3 4; do /bin/sh -c '(/bin/sleep 0.2; exit 8) &'; done; exit 6";
        for round in 0..5 {
            let id = format!("e{round}");
            session.exec(&id, &["/bin/sh", "-c", script]);
            assert_eq!(session.wait(&id), 6);
        }
        eventually("the orphans to end", || hierarchy::pids(&session.first().group()).len() == 1);
        eventually("the orphans to be taken away", || zombies(shim).is_empty());
        session.remove_first();
    }

    #[doc = "A client of standard input that goes is no end of it; `CloseIO` is, and it may be said twice."]
    fn input_ends_when_it_is_closed_and_not_before(session) {
        session.run_first();
        let (input, output) = (session.lab.path("in"), session.lab.path("out"));
        let mut request = session.exec_request("e", &["/bin/sh", "-c", "while read x; do echo $x > /$x; done; exit 7"]);
        request.stdin = fifo(&input);
        request.stdout = fifo(&output);
        request.stderr = fifo(&session.lab.path("err"));
        let open = |path: &Path| fs::File::options().read(true).write(true).open(path).unwrap();
        let _readers = [open(&output), open(&session.lab.path("err"))];
        let _added: Empty = session.ok("Exec", &request);
        session.start_process(session.first().id(), "e").unwrap();
        open(&input).write_all(b"one\n").unwrap();
        eventually("the first line", || session.first().rootfs("one").exists());
        assert_eq!(session.status("e"), Status::RUNNING, "the client has gone");
        if !session.stock_differs("takes nothing from a second client") {
            open(&input).write_all(b"two\n").unwrap();
            eventually("the second line", || session.first().rootfs("two").exists());
        }
        let close = CloseIORequest { id: session.first().id().into(), exec_id: "e".into(), stdin: true, ..Default::default() };
        let _closed: Empty = session.ok("CloseIO", &close);
        let _again: Result<Empty, _> = session.call("CloseIO", &close);
        assert_eq!(session.wait("e"), 7);
        session.remove_first();
    }

    #[doc = "When memory is short the shim goes before containerd does."]
    fn the_shim_is_killed_before_its_parent(session) {
        let shim = shim_pid(&session.another_client());
        assert_eq!(score(&shim.to_string()), (score("self") + 1).min(1000));
    }

    #[doc = "A shim is put into the cgroup that the options name."]
    fn a_shim_goes_to_its_cgroup(session) {
        let group = format!("{}/the-shim", session.lab.group());
        make_group(session.lab.group(), &group);
        assert_goes_to(session, &group);
    }

    #[doc = "The root is a group, too."]
    fn a_shim_goes_to_the_root_of_every_hierarchy(session) {
        assert_starts_in(session, "/");
    }

    #[doc = "The same container in two namespaces has two shims."]
    fn a_shim_serves_one_namespace(session) {
        let elsewhere = Beginning { namespace: "elsewhere", ..Beginning::default() };
        let output = begin(session.lab, &session.binary, session.first(), &elsewhere);
        let other = String::from_utf8(output.stdout).unwrap();
        assert_ne!(other, format!("unix://{}", session.socket().display()));
        session.run_first();
        let client = Client::connect(&other).unwrap();
        assert!(call::<_, Empty>(&client, "State", &session.state_request("")).is_err(), "it is known there");
        end(&other);
        session.remove_first();
    }
}

sessions! {
    ours
    /// The stock shim of 1.6 wants it to be there. Kernel: on v1 a new group has no processors and no memory to run on.
    fn the_cgroup_of_a_shim_is_made_where_it_is_missing(session) {
        let above = format!("{}/shims", session.lab.group());
        assert_goes_to(session, &format!("{above}/the-shim"));
        hierarchy::destroy(&above);
    }

    ours
    /// The stock shim of 1.6 answers with empty metrics on v1.
    fn the_metrics_of_a_cgroup_that_has_gone_are_not_found(session) {
        session.run_first();
        let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
        session.wait("");
        hierarchy::destroy(&session.first().group());
        let request = StatsRequest { id: session.first().id().into(), ..StatsRequest::default() };
        session.refused("Stats", &request, Code::NOT_FOUND);
        session.remove_first();
    }
}
