//! Streams end to end, with this process as container, as client and as survivor. Bounds are either nothing or an hour,
//! so that no test depends on how fast a machine is.

use std::future::Future;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::*;

mod consumers;
mod interleavings;
mod terminal;

const HOUR: Duration = Duration::from_secs(3600);

/// Nobody is waited for.
const IMPATIENT: Bounds =
    Bounds { idle: Duration::ZERO, total: Duration::ZERO, delete: Duration::ZERO, ready: HOUR };

/// Everybody is waited for.
const PATIENT: Bounds = Bounds { idle: HOUR, total: HOUR, delete: HOUR, ready: HOUR };

/// Runs a test on a runtime like the shim's, with a hang guard.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test hangs")
    })
}

/// Lets the tasks of the streams do all that they can do now.
async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

/// A directory with the fifos of one process.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        for name in ["stdin", "stdout", "stderr"] {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(CWD, place.path(name), FileType::Fifo, mode, 0).expect("a fifo");
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A client's end, non-blocking.
    fn client(&self, name: &str, end: OFlags) -> OwnedFd {
        let flags = end | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, self.path(name), flags, Mode::empty()).expect("a fifo")
    }

    fn reader(&self, name: &str) -> OwnedFd {
        self.client(name, OFlags::RDONLY)
    }

    async fn open(&self, bounds: Bounds) -> (Stdio, [OwnedFd; 3]) {
        let (stdin, stdout, stderr) = (self.text("stdin"), self.text("stdout"), self.text("stderr"));
        open(&request(&stdin, &stdout, &stderr), bounds).await.expect("streams")
    }
}

fn request<'a>(stdin: &'a str, stdout: &'a str, stderr: &'a str) -> Request<'a> {
    let owner = Owner::default();
    Request { namespace: "tests", id: "exec", stdin, stdout, stderr, terminal: false, owner }
}

async fn open(request: &Request<'_>, bounds: Bounds) -> Result<(Stdio, [OwnedFd; 3]), Error> {
    let (stdio, ends) = Stdio::open(request, bounds).await?;
    let ChildEnds::Pipes { stdin, stdout, stderr } = ends else { return Err(Error::NoTerminal) };
    Ok((stdio, [stdin, stdout, stderr]))
}

/// All that can be read now; `true` when the end of file was seen.
fn read_now(from: &OwnedFd) -> (Vec<u8>, bool) {
    let (mut all, mut piece) = (Vec::new(), [0; 8192]);
    loop {
        match rustix::io::read(from, &mut piece) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&piece[..count]),
            Err(Errno::AGAIN) => return (all, false),
            Err(errno) => panic!("read: {errno}"),
        }
    }
}

/// Reads up to the end of file, letting the streams work in between.
async fn read_to_end(from: &OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (bytes, end) = read_now(from);
        all.extend(bytes);
        if end {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Fills a pipe through its non-blocking copy; gives what went in.
async fn flood(into: &OwnedFd) -> Vec<u8> {
    rustix::io::ioctl_fionbio(into, true).expect("non-blocking");
    let mut all = Vec::new();
    for turn in 0_u32.. {
        let piece = turn.to_le_bytes().repeat(1024);
        match rustix::io::write(into, &piece) {
            Ok(count) => all.extend_from_slice(&piece[..count]),
            Err(_) => {
                settle().await;
                if rustix::io::write(into, b"!").is_err() {
                    break;
                }
                all.push(b'!');
            }
        }
    }
    rustix::io::ioctl_fionbio(into, false).expect("blocking");
    all
}

#[test]
fn a_reader_that_sleeps_gets_every_byte_though_delete_waits_for_nobody() {
    run(async {
        let place = Place::new();
        let reader = place.reader("stdout");
        let (stdio, ends) = place.open(IMPATIENT).await;
        let written = flood(&ends[1]).await;
        assert!(written.len() > 120_000, "the pipe and the fifo are full: {}", written.len());
        drop(ends);
        stdio.leader_exited();
        let outcome = stdio.finish().await;
        assert_eq!(outcome, Outcome { delivered: written.len() as u64, lost: 0, cut: 0 });
        assert!(read_now(&reader) == (written, true), "now it wakes up, and finds all of it");
    });
}

#[test]
fn nobody_reads_and_nothing_is_lost_until_somebody_does() {
    run(async {
        let place = Place::new();
        let (stdio, ends) = place.open(PATIENT).await;
        let written = flood(&ends[1]).await;
        drop(ends);
        stdio.leader_exited();
        settle().await;
        assert_eq!(stdio.progress.borrow().open, 2, "both are held for a reader");
        let (stdout, stderr) = (place.reader("stdout"), place.reader("stderr"));
        assert!(read_to_end(&stdout).await == written);
        assert!(read_to_end(&stderr).await.is_empty());
        assert_eq!(stdio.drained().await.lost, 0);
    });
}

#[test]
fn what_nobody_came_for_is_counted_at_the_deletion() {
    run(async {
        let place = Place::new();
        let (stdio, ends) = place.open(IMPATIENT).await;
        rustix::io::write(&ends[1], b"twelve bytes").expect("written");
        settle().await;
        drop(ends);
        stdio.leader_exited();
        assert_eq!(stdio.finish().await, Outcome { delivered: 0, lost: 12, cut: 0 });
    });
}

#[test]
fn a_deletion_does_not_wait_for_a_reader_when_there_is_nothing_to_read() {
    run(async {
        let place = Place::new();
        let (stdio, ends) = place.open(Bounds { delete: HOUR, ..PATIENT }).await;
        drop(ends);
        stdio.leader_exited();
        assert_eq!(stdio.finish().await, Outcome::default());
    });
}

#[test]
fn a_survivor_that_holds_the_pipe_delays_nobody_and_is_not_killed() {
    run(async {
        let place = Place::new();
        let (stdout, stderr) = (place.reader("stdout"), place.reader("stderr"));
        let (stdio, [_, survivor, _]) = place.open(IMPATIENT).await;
        rustix::io::write(&survivor, b"mine").expect("written");
        stdio.leader_exited();
        assert_eq!(stdio.drained().await, Outcome { delivered: 4, lost: 0, cut: 1 });
        assert_eq!((read_to_end(&stdout).await, read_to_end(&stderr).await), (b"mine".to_vec(), Vec::new()));
        let before = discarding().1;
        let writes = tokio::task::spawn_blocking(move || {
            std::fs::File::from(survivor).write_all(&vec![0; 1 << 20]).expect("no SIGPIPE, no wait for ever");
        });
        drop(stdio);
        writes.await.expect("written");
        assert!(discarding().1 > before);
    });
}

#[test]
fn owed_bytes_come_before_the_bound_for_survivors() {
    run(async {
        let place = Place::new();
        let (stdio, [_, survivor, _]) = place.open(Bounds { delete: HOUR, ..IMPATIENT }).await;
        let written = flood(&survivor).await;
        stdio.leader_exited();
        let stdout = place.reader("stdout");
        assert!(read_to_end(&stdout).await == written);
        assert_eq!(stdio.finish().await, Outcome { delivered: written.len() as u64, lost: 0, cut: 1 });
    });
}

#[test]
fn no_bound_runs_while_the_leader_lives() {
    run(async {
        let place = Place::new();
        let stdout = place.reader("stdout");
        let (stdio, ends) = place.open(IMPATIENT).await;
        for _ in 0..3 {
            settle().await;
            rustix::io::write(&ends[1], b"x").expect("written");
        }
        settle().await;
        assert_eq!(read_now(&stdout), (b"xxx".to_vec(), false));
        assert_eq!(stdio.outcome(), Outcome::default());
    });
}

#[test]
fn a_reader_that_goes_and_comes_back_misses_nothing() {
    run(async {
        let place = Place::new();
        let (stdio, ends) = place.open(PATIENT).await;
        let mut got = Vec::new();
        for turn in 0..5_u8 {
            let reader = place.reader("stdout");
            rustix::io::write(&ends[1], &[turn; 3000]).expect("written");
            settle().await;
            let mut piece = [0; 2000];
            let count = rustix::io::read(&reader, &mut piece).expect("read");
            got.extend_from_slice(&piece[..count]);
            drop(reader);
            rustix::io::write(&ends[1], &[turn; 1000]).expect("written without a reader");
            settle().await;
        }
        drop(ends);
        stdio.leader_exited();
        let reader = place.reader("stdout");
        got.extend(read_to_end(&reader).await);
        let wanted: Vec<u8> = (0..5).flat_map(|turn| vec![turn; 4000]).collect();
        assert!(got == wanted, "{} bytes", got.len());
    });
}

/// A sum that depends on the order.
fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

#[test]
fn a_hundred_megabytes_arrive_as_they_were_written() {
    const PIECES: u32 = 1600;
    run(async {
        let place = Place::new();
        let path = place.path("stdout");
        let reads = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::open(path).expect("the fifo");
            let (mut piece, mut sum, mut all) = (vec![0; 50_000], 0, 0_u64);
            loop {
                match file.read(&mut piece).expect("read") {
                    0 => return (all, sum),
                    count => (all, sum) = (all + count as u64, checksum(sum, &piece[..count])),
                }
            }
        });
        let (stdio, [_, stdout, _]) = place.open(PATIENT).await;
        let writes = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::from(stdout);
            (0..PIECES).fold(0, |sum, turn| {
                let piece = turn.to_le_bytes().repeat(16_384);
                file.write_all(&piece).expect("written");
                checksum(sum, &piece)
            })
        });
        let sum = writes.await.expect("written");
        stdio.leader_exited();
        assert_eq!(reads.await.expect("read"), (u64::from(PIECES) * 65_536, sum));
    });
}

#[test]
fn each_stream_stands_alone() {
    run(async {
        let place = Place::new();
        let (stdout, stderr) = (place.reader("stdout"), place.reader("stderr"));
        let (stdio, ends) = place.open(PATIENT).await;
        let stuck = flood(&ends[1]).await;
        let piece = vec![b'e'; 66_000];
        let mut got = Vec::new();
        for part in piece.chunks(6000) {
            rustix::io::write(&ends[2], part).expect("written");
            settle().await;
            got.extend(read_now(&stderr).0);
        }
        assert!(got == piece, "nobody reads standard output, and standard error does not care");
        drop(ends);
        stdio.leader_exited();
        assert!(read_to_end(&stdout).await == stuck);
    });
}

#[test]
fn a_process_that_closes_its_output_early_does_not_end_the_other_stream() {
    run(async {
        let place = Place::new();
        let (stdout, stderr) = (place.reader("stdout"), place.reader("stderr"));
        let (stdio, [stdin, out, errors]) = place.open(IMPATIENT).await;
        drop(out);
        assert!(read_to_end(&stdout).await.is_empty());
        rustix::io::write(&errors, b"later").expect("written");
        drop((stdin, errors));
        stdio.leader_exited();
        assert_eq!(read_to_end(&stderr).await, b"later");
    });
}

#[test]
fn input_outlives_its_client_and_ends_with_close_io() {
    run(async {
        let place = Place::new();
        let (stdio, [stdin, ..]) = place.open(PATIENT).await;
        rustix::io::ioctl_fionbio(&stdin, true).expect("non-blocking");
        for text in ["first client", "second client"] {
            let client = place.client("stdin", OFlags::WRONLY);
            rustix::io::write(&client, text.as_bytes()).expect("written");
            drop(client);
            settle().await;
            assert_eq!(read_now(&stdin), (text.as_bytes().to_vec(), false));
        }
        let client = place.client("stdin", OFlags::WRONLY);
        stdio.close_stdin();
        stdio.close_stdin();
        rustix::io::write(&client, b"and last").expect("written");
        settle().await;
        assert_eq!(read_now(&stdin), (b"and last".to_vec(), false));
        drop(client);
        assert!(read_to_end(&stdin).await.is_empty());
    });
}

#[test]
fn a_process_that_reads_no_more_lets_its_client_wait_but_not_die() {
    run(async {
        let place = Place::new();
        let (stdio, [stdin, ..]) = place.open(IMPATIENT).await;
        let client = place.client("stdin", OFlags::WRONLY);
        drop(stdin);
        let taken = flood(&client).await;
        assert!(taken.len() >= 65_536);
        rustix::io::ioctl_fionbio(&client, true).expect("non-blocking");
        assert_eq!(rustix::io::write(&client, b"more"), Err(Errno::AGAIN), "and no SIGPIPE");
        stdio.close();
        settle().await;
        assert_eq!(rustix::io::write(&client, b"more"), Err(Errno::PIPE));
    });
}

#[test]
fn a_slow_process_gets_all_of_its_input() {
    run(async {
        let place = Place::new();
        let (stdio, [stdin, ..]) = place.open(PATIENT).await;
        let client = place.client("stdin", OFlags::WRONLY);
        let written = flood(&client).await;
        assert!(written.len() > 120_000);
        drop(client);
        stdio.close_stdin();
        rustix::io::ioctl_fionbio(&stdin, true).expect("non-blocking");
        assert!(read_to_end(&stdin).await == written);
    });
}

#[test]
fn the_end_of_a_start_that_failed_leaves_nothing_open() {
    run(async {
        let place = Place::new();
        let (stdio, ends) = place.open(PATIENT).await;
        drop((stdio, ends));
        settle().await;
        assert!(read_now(&place.reader("stdout")).1, "nobody writes");
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        let refused = rustix::fs::openat(CWD, place.path("stdin"), flags, Mode::empty());
        assert_eq!(refused.expect_err("nobody reads"), Errno::NXIO);
    });
}

#[test]
fn pipes_belong_to_whom_the_request_names() {
    run(async {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = Place::new();
        let (stdin, stdout) = (place.text("stdin"), place.text("stdout"));
        let owner = Owner { uid: 1234, gid: 5678 };
        let request = Request { owner, ..request(&stdin, &stdout, "") };
        let (_stdio, ends) = open(&request, PATIENT).await.expect("streams");
        for end in &ends[..2] {
            let stat = rustix::fs::fstat(end).expect("stat");
            assert_eq!((stat.st_uid, stat.st_gid), (1234, 5678));
        }
        let flags = |end: &OwnedFd| rustix::fs::fcntl_getfl(end).expect("flags");
        assert!(!flags(&ends[0]).contains(OFlags::NONBLOCK) && !flags(&ends[1]).contains(OFlags::NONBLOCK));
    });
}

#[test]
fn what_cannot_be_opened_is_named() {
    run(async {
        let rows = [
            (request("", "/no/such/fifo", ""), "open /no/such/fifo for a stream"),
            (request("/no/such/fifo", "", ""), "open /no/such/fifo for a stream"),
            (request("", "", "nope:///x"), "address \"nope:///x\" of a stream: unknown scheme"),
            (request("", "binary:///no/such/logger", ""), "start the logger /no/such/logger: "),
        ];
        for (request, text) in rows {
            let error = open(&request, PATIENT).await.expect_err(text);
            assert!(error.to_string().starts_with(text), "{error}");
        }
        assert!(matches!(fifo::is_fifo(Path::new("/")), Ok(false)));
    });
}
