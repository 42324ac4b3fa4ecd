//! The subcommand `delete`: what it answers, and how soon, with nothing but a bundle to go by.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Lab;
use testkit::hang::eventually;

use crate::ctr::{self, Ctr, lab, ours};
use crate::session::{NAMESPACE, Recorder};

/// containerd gives up after five seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer than somebody may take who is not there, shorter than all that containerd gives for the answer.
const SLOW: Duration = Duration::from_millis(1500);

/// CRC-32 of gzip, for journals that are written here.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ 0xedb8_8320 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

fn journal(bundle: &Path, records: &[String]) {
    let line = |json: &String| format!("1 {:08x} {json}\n", crc32(json.as_bytes()));
    fs::create_dir_all(bundle).unwrap();
    let mut file =
        fs::File::options().create_new(true).write(true).open(bundle.join("sluice.journal")).unwrap();
    file.write_all(records.iter().map(line).collect::<String>().as_bytes()).unwrap();
}

fn created(root: &Path) -> String {
    let root = root.display();
    format!("{{\"record\":\"created\",\"id\":\"c\",\"namespace\":\"test\",\"root\":\"{root}\"}}")
}

fn started(exec: &str, pid: i32, start_time: u64) -> String {
    format!("{{\"record\":\"started\",\"exec\":\"{exec}\",\"pid\":{pid},\"start_time\":{start_time}}}")
}

fn exited(exec: &str, status: u32) -> String {
    let exit = format!("{{\"status\":{status},\"seconds\":1700000000,\"nanoseconds\":5}}");
    format!("{{\"record\":\"exited\",\"exec\":\"{exec}\",\"exit\":{exit}}}")
}

/// The numbers of a protobuf message by field; messages in it are left out.
fn numbers(mut bytes: &[u8]) -> Vec<(u64, u64)> {
    let varint = |bytes: &mut &[u8]| {
        let mut value = 0_u64;
        for shift in 0.. {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << (7 * shift);
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    };
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = varint(&mut bytes);
        match tag & 7 {
            0 => found.push((tag >> 3, value)),
            _ => bytes = &bytes[usize::try_from(value).unwrap()..],
        }
    }
    found
}

/// Pid and exit status of the answer.
fn delete(lab: &Lab, shim: &Path, bundle: &Path) -> (u64, u64) {
    let begun = Instant::now();
    // The answer is no text.
    let script = "\"$@\" > answer && od -An -v -tu1 answer";
    let command = lab.program("sh").args(["-c", script, "sh"]).args([shim]);
    let command =
        command.args(["-namespace", "test", "-address", "/no/socket", "-publish-binary", "/bin/false"]);
    let output = command.args(["-id", "c", "-bundle"]).args([bundle]).args(["delete"]).cwd(bundle).ok();
    assert!(begun.elapsed() < PATIENCE, "containerd would have given up: {:?}", begun.elapsed());
    lab.step(&output.stderr);
    let bytes: Vec<u8> = output.stdout.split_whitespace().map(|byte| byte.parse().unwrap()).collect();
    let numbers = numbers(&bytes);
    let field = |wanted: u64| numbers.iter().find(|(field, _)| *field == wanted).map_or(0, |found| found.1);
    (field(1), field(2))
}

#[test]
fn an_end_in_the_journal_is_the_answer() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    journal(&bundle, &[created(&lab.root()), started("", 4_000_000, 1), exited("", 42)]);
    assert_eq!(delete(&lab, &shim, &bundle), (4_000_000, 42));
}

#[test]
fn a_torn_journal_is_read_up_to_the_tear() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    journal(&bundle, &[created(&lab.root()), started("", 4_000_000, 1), exited("", 42)]);
    let file = fs::File::options().write(true).open(bundle.join("sluice.journal")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    assert_eq!(delete(&lab, &shim, &bundle), (4_000_000, 137));
}

#[test]
fn without_a_journal_the_container_counts_as_killed() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    fs::create_dir(&bundle).unwrap();
    assert_eq!(delete(&lab, &shim, &bundle), (0, 137));
}

#[test]
fn what_the_runtime_does_not_know_is_killed_by_its_identity_and_nobody_else_with_its_pid() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    let sleep = || lab.program("sleep").args(["1000000"]).spawn();
    let (ours, other) = (sleep(), sleep());
    let start_time = |pid: i32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
    };
    let records = [
        created(&lab.root()),
        started("", ours.pid(), start_time(ours.pid())),
        started("e", other.pid(), start_time(other.pid()) + 1),
    ];
    journal(&bundle, &records);
    assert_eq!(delete(&lab, &shim, &bundle), (u64::try_from(ours.pid()).unwrap(), 137));
    ours.wait();
    assert!(!other.has_ended(), "another process was killed");
}

#[test]
fn a_root_that_is_mounted_is_not_mounted_afterwards() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    journal(&bundle, &[created(&lab.root()), started("", 4_000_000, 1)]);
    let rootfs = bundle.join("rootfs");
    fs::create_dir(&rootfs).unwrap();
    lab.program("mount").args(["-t", "tmpfs", "t"]).args([&rootfs]).ok();
    assert_eq!(lab.mounts(), [rootfs]);
    delete(&lab, &shim, &bundle);
    assert_eq!(lab.mounts(), Vec::<std::path::PathBuf>::new());
}

/// containerd may make the next container of an id before the `delete` after the last one is through.
#[test]
fn the_next_container_of_an_id_is_left_alone() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let ctr = Ctr::start(&lab, &shim);
    ctr.sleeper(&[], "c");
    let root = lab.path("state").join(ctr::NAMESPACE);
    assert!(root.join("c/state.json").exists(), "its state is somewhere else");
    let bundle = lab.path("bundle");
    journal(&bundle, &[created(&root), started("", 4_000_000, 1)]);
    delete(&lab, &shim, &bundle);
    ctr.exec("c", "e", &["/bin/sh", "-c", "exit 6"]).run().code(6);
    ctr.remove("c");
    ctr.end();
}

/// It tells of the container's end as soon as it has the answer: dockerd would forget the exec. And it alone does: after a
/// container that was deleted as it should be it tells nobody, and `docker restart` may have brought up the next by then.
#[test]
fn a_containerd_that_is_slow_hears_of_the_execs_before_it_has_the_answer() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    journal(
        &bundle,
        &[created(&lab.root()), started("", 4_000_000, 1), started("e", 4_000_001, 1), exited("e", 7)],
    );
    let recorder = Recorder::default();
    let server = recorder.serve(&lab);
    let held = recorder.hold();
    let events = lab.path("e").display().to_string();
    let asked = lab.program(&shim).env("TTRPC_ADDRESS", events).args([
        "-namespace",
        "test",
        "-address",
        "/no/socket",
    ]);
    let asked = asked.args(["-publish-binary", "/bin/false", "-id", "c", "-bundle"]).args([&bundle]);
    let deleting = asked.args(["delete"]).cwd(&bundle).spawn();
    // Not a wait for something: this is how slow it is.
    std::thread::sleep(SLOW);
    assert!(!deleting.has_ended(), "it answers before the exits are taken");
    drop(held);
    deleting.wait().code(0);
    let told = recorder.events();
    assert!(told.iter().any(|event| event.ends("e")), "{told:?}");
    assert!(!told.iter().any(|event| event.ends("c")), "the end of the container is told twice: {told:?}");
    server.shutdown();
}

/// What the process is told that goes on for a `delete`; the bundle had this number.
fn orders(lab: &Lab, inode: u64) -> Vec<u8> {
    let exit =
        |exec: &str| json!({"exec": exec, "pid": 1, "exit": {"status": 9, "seconds": 1, "nanoseconds": 0}});
    let mut orders =
        json!({"namespace": NAMESPACE, "id": "c", "inode": inode, "untold": [exit("e"), exit("")]});
    orders["events"] = json!(lab.path("e"));
    orders["bundle"] = json!(lab.path("bundle"));
    orders.to_string().into_bytes()
}

/// What `delete` cannot tell because containerd is just starting is left to this: see the test of `order.rs`.
#[test]
fn who_comes_back_between_two_exits_of_a_lost_shim_hears_that_of_the_exec_first() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let recorder = Recorder::default();
    let server = recorder.serve(&lab);
    let forwards = lab.program(&shim).stdin_bytes(&orders(&lab, 1)).args(["forward"]).spawn();
    eventually("the exit of init", || recorder.events().iter().any(|event| event.ends("c")));
    let told = recorder.events();
    assert!(told[0].ends("e"), "{told:?}");
    assert!(told[1].ends("e"), "who has missed one exit hears that of init next: {told:?}");
    forwards.wait().code(0);
    server.shutdown();
}

/// dockerd from 23 on takes an end of this id for that of the run that it knows.
#[test]
fn the_end_of_a_lost_container_is_not_told_of_its_next_run() {
    let (Some(lab), Some(shim)) = (lab(), ours()) else { return };
    let bundle = lab.path("bundle");
    fs::create_dir_all(&bundle).expect("make the bundle of the next run");
    let of_another = fs::metadata(lab.root()).expect("look at a folder").ino();
    let recorder = Recorder::default();
    let server = recorder.serve(&lab);
    let forwards = lab.program(&shim).stdin_bytes(&orders(&lab, of_another)).args(["forward"]).spawn();
    forwards.wait().code(0);
    let told = recorder.events();
    assert!(told.iter().all(|event| event.ends("e")) && !told.is_empty(), "{told:?}");
    server.shutdown();
}
