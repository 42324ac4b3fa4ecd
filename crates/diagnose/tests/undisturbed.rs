//! A snapshot of the live system changes nothing, waits for nobody, and says what it could not see.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use diagnose::snapshot::{FdTarget, Why};
use diagnose::{Snapshot, Source};

/// Longest wait of a test for something that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child that does not outlive its test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guarded {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    /// The system call it is in.
    fn call(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/syscall", self.pid())).unwrap_or_default()
    }

    /// Waits until it is in a system call whose line begins like that.
    fn wait_for_call(&self, numbers: &[&str]) {
        wait_until(|| numbers.iter().any(|number| self.call().starts_with(&format!("{number} "))));
    }

    fn fds(&self) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().flatten();
        let link = |path: &Path| std::fs::read_link(path).unwrap().to_string_lossy().into_owned();
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), link(&entry.path()))).collect()
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "it does not come to pass");
        std::thread::yield_now();
    }
}

fn snapshot() -> Snapshot {
    diagnose::collect(&Source::Live).unwrap()
}

#[cfg(target_arch = "x86_64")]
const OPEN: &[&str] = &["2", "257"];
#[cfg(target_arch = "aarch64")]
const OPEN: &[&str] = &["56"];
#[cfg(target_arch = "x86_64")]
const WRITE: &[&str] = &["1"];
#[cfg(target_arch = "aarch64")]
const WRITE: &[&str] = &["64"];

#[test]
fn a_writer_that_waits_for_a_reader_of_its_fifo_still_waits() {
    let lab = tempfile::tempdir().unwrap();
    // A name that looks like those of state files and of daemons' streams.
    for name in ["state.json", "init-stdout"] {
        let fifo = lab.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        let writer =
            Guarded::start(Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", fifo.display())));
        writer.wait_for_call(OPEN);
        let seen = snapshot();
        let process = seen.process(writer.pid()).expect("the writer is seen");
        let call = process.threads[0].call.as_ref().and_then(|call| call.name.as_deref());
        assert!(matches!(call, Some("open" | "openat")), "{call:?}");
        let call = writer.call();
        assert!(OPEN.iter().any(|number| call.starts_with(&format!("{number} "))), "it was let in: {call}");
    }
}

#[test]
fn a_full_pipe_is_measured_and_stays_as_it_is() {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg("exec yes").stdout(Stdio::from(write));
    let writer = Guarded::start(&mut command);
    drop(command);
    writer.wait_for_call(WRITE);
    let before = writer.fds();
    let full = rustix::io::ioctl_fionread(&read).unwrap();
    let seen = snapshot();
    assert_eq!(writer.fds(), before, "descriptors come and go");
    assert_eq!(rustix::io::ioctl_fionread(&read).unwrap(), full);

    let fd = seen.process(writer.pid()).unwrap().fd(1).unwrap();
    let FdTarget::Pipe { inode } = fd.target else { panic!("{fd:?}") };
    let pipe = seen.pipe(inode).unwrap();
    assert_eq!((pipe.bytes, pipe.capacity), (Some(full), Some(65_536)));
    assert!(pipe.writers.iter().any(|end| end.pid == writer.pid()), "{:?}", pipe.writers);
    // Children of other tests may have it as well for a moment.
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(
        pipe.readers.iter().any(|end| (end.pid, end.fd) == (own, read.as_raw_fd())),
        "{:?}",
        pipe.readers
    );
}

#[test]
fn secrets_of_arguments_and_environments_are_not_kept() {
    let secret = format!("hunter{}", std::process::id());
    let mut command = Command::new("sleep");
    command.arg0("dockerd").arg("1000").env("REGISTRY_PASSWORD", &secret).env("INNOCENT", &secret);
    let daemon = Guarded::start(&mut command);
    let mut command = Command::new("sh");
    command.args(["-c", "kill -STOP $$", "x", "--password", &secret, &format!("--token={secret}")]);
    let client = Guarded::start(&mut command);
    wait_until(|| comm(client.pid()) == "sh" && comm(daemon.pid()) == "sleep");
    let seen = snapshot();
    let args = seen.process(client.pid()).unwrap().args.clone().unwrap();
    assert_eq!(&args[4..], ["--password", "<redacted>", "--token=<redacted>"]);
    let saved = diagnose::saved::encode(&seen).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(saved.as_slice()).read_to_string(&mut text).unwrap();
    assert!(!text.contains(&secret), "a secret is in the snapshot");
}

fn comm(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
fn what_is_loaded_elsewhere_is_judged_the_same() {
    let seen = snapshot();
    let bytes = diagnose::saved::encode(&seen).unwrap();
    let loaded = diagnose::saved::decode(&bytes, Path::new("node.snapshot")).unwrap();
    assert_eq!(loaded, seen);
    let (here, there) = (diagnose::diagnose::diagnose(&seen), diagnose::diagnose::diagnose(&loaded));
    assert_eq!(here, there);
}

#[test]
fn without_root_it_sees_its_own_and_says_what_it_does_not_see() {
    if !rustix::process::geteuid().is_root() {
        let seen = snapshot();
        assert!(seen.unseen.iter().any(|it| it.why == Why::Denied), "{:?}", seen.unseen);
        return;
    }
    // The same test again, as nobody: from a copy, since a build folder may be closed to others.
    let lab = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = lab.path().join("undisturbed");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "without_root_it_sees_its_own_and_says_what_it_does_not_see"]).current_dir("/");
    command.uid(65_534).gid(65_534);
    let output = when_closed(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs a program that was just written: what another test starts meanwhile has it open for writing until its `execve`.
fn when_closed(command: &mut Command) -> Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => return output.unwrap(),
        }
    }
}

/// A file system whose server never answers but to the greeting.
struct Fuse {
    folder: tempfile::TempDir,
    device: File,
}

impl Fuse {
    /// Mounts it; `None` where that is not allowed.
    fn mount() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let folder = tempfile::tempdir().unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("deaf", folder.path(), "fuse.deaf", flags, options.as_c_str()).ok()?;
        let mut fuse = Self { folder, device };
        fuse.greet();
        rustix::io::ioctl_fionbio(&fuse.device, true).unwrap();
        Some(fuse)
    }

    /// `FUSE_INIT`. Source: include/uapi/linux/fuse.h, version 7.31 of the protocol.
    fn greet(&mut self) {
        let request = self.request().unwrap();
        assert_eq!(opcode(&request), 26, "FUSE_INIT comes first");
        let mut answer = Vec::new();
        answer.extend_from_slice(&80_u32.to_ne_bytes());
        answer.extend_from_slice(&0_i32.to_ne_bytes());
        answer.extend_from_slice(&request[8..16]);
        answer.extend_from_slice(&7_u32.to_ne_bytes());
        answer.extend_from_slice(&31_u32.to_ne_bytes());
        answer.resize(80, 0);
        self.device.write_all(&answer).unwrap();
    }

    /// The next request; `None` when there is none.
    fn request(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1 << 20];
        let count = self.device.read(&mut buffer).ok()?;
        buffer.truncate(count);
        Some(buffer)
    }
}

fn opcode(request: &[u8]) -> u32 {
    u32::from_ne_bytes(request[4..8].try_into().unwrap())
}

impl Drop for Fuse {
    fn drop(&mut self) {
        // Whoever waits for it gets an error when the device is closed, after this.
        let _ = rustix::mount::unmount(self.folder.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_process_that_waits_for_a_dead_file_server_delays_nothing() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: mounting takes root");
    }
    // Before the server, so that it goes after it: once its request is read, only the server's end ends its wait.
    let reader;
    let Some(mut fuse) = Fuse::mount() else { return eprintln!("skipped: no FUSE here") };
    let file = fuse.folder.path().join("file");
    reader = Guarded::start(Command::new("cat").arg(&file).stderr(Stdio::null()));
    let wchan = || std::fs::read_to_string(format!("/proc/{}/wchan", reader.pid())).unwrap_or_default();
    wait_until(|| wchan().contains("request_wait"));
    let begin = Instant::now();
    let seen = snapshot();
    assert!(begin.elapsed() < Duration::from_secs(20), "it hung: {:?}", begin.elapsed());
    let process = seen.process(reader.pid()).expect("the reader is seen");
    assert_eq!(process.threads[0].wchan.as_deref(), Some(wchan().as_str()));
    let opcodes: Vec<u32> = std::iter::from_fn(|| fuse.request()).map(|request| opcode(&request)).collect();
    assert_eq!(opcodes, [1], "the reader's FUSE_LOOKUP, and nothing from the snapshot");
}
